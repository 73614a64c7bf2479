package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostile is a request that a client wrote by hand. TOKEN stands for an access token that is good, HOST for the proxy.
type hostile struct {
	name, request string
	refused       bool // the service must not get it; otherwise it may, with the true identity
	served        bool // the service must get it
	itself        bool // the proxy may answer 200 without the service
}

// get is a GET with further lines of header.
func get(lines ...string) string {
	return "GET /x HTTP/1.1\r\nHost: HOST\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

const good = "Authorization: Bearer TOKEN"

var hostileRequests = []hostile{
	{name: "honest", request: get(good), served: true},
	{name: "honest, by cookie", request: get("Cookie: a=b; __Host-authd_access=TOKEN"), served: true},
	{name: "nothing", request: get(), refused: true},
	{name: "another scheme", request: get("Authorization: Basic ZGVtbzpkZW1v"), refused: true},
	{name: "in the query", request: "GET /x?access_token=TOKEN&token=TOKEN HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "in the fragment", request: "GET /x#access_token=TOKEN HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "in a form", request: "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 20\r\n\r\naccess_token=TOKEN&a", refused: true},
	{name: "in another header", request: get("X-Authorization: Bearer TOKEN", "Proxy-Authorization: Bearer TOKEN", "X-Forwarded-Authorization: Bearer TOKEN"), refused: true},
	{name: "with an underscore", request: get("X_Authorization: Bearer TOKEN", "Authorization_: Bearer TOKEN"), refused: true},

	{name: "two headers", request: get(good, good), refused: true},
	{name: "good, then bad", request: get(good, "Authorization: Bearer bad"), refused: true},
	{name: "bad, then good", request: get("Authorization: Bearer bad", good), refused: true},
	{name: "Basic beside", request: get("Authorization: Basic ZGVtbzpkZW1v", good), refused: true},
	{name: "empty beside", request: get("Authorization:", good), refused: true},
	{name: "in another case", request: get("AUTHORIZATION: Bearer TOKEN", "authorization: Bearer TOKEN"), refused: true},
	{name: "two in one", request: get(good + ", Bearer TOKEN"), refused: true},
	{name: "two tokens", request: get(good + " TOKEN"), refused: true},
	{name: "cookie beside", request: get("Authorization: Bearer bad", "Cookie: __Host-authd_access=TOKEN"), refused: true},
	{name: "two cookies", request: get("Cookie: __Host-authd_access=TOKEN; __Host-authd_access=TOKEN"), refused: true},
	{name: "two lines of cookies", request: get("Cookie: __Host-authd_access=TOKEN", "Cookie: __Host-authd_access=TOKEN"), refused: true},

	{name: "tab after the scheme", request: get("Authorization: Bearer\tTOKEN"), refused: true},
	{name: "tab in the token", request: get("Authorization: Bearer TO\tTOKEN"), refused: true},
	{name: "space before the colon", request: get("Authorization : Bearer TOKEN"), refused: true},
	{name: "NUL", request: get(good + "\x00"), refused: true},
	{name: "bare CR", request: get("A: b\rAuthorization: Bearer TOKEN"), refused: true},
	{name: "padded", request: get(good + "="), refused: true},
	{name: "quoted", request: get(`Authorization: Bearer "TOKEN"`), refused: true},
	{name: "folded", request: get("Authorization: Bearer", " TOKEN")},
	{name: "9 KiB", request: get("Authorization: Bearer " + strings.Repeat("a", 9<<10)), refused: true},
	{name: "13 KiB", request: get("Authorization: Bearer " + strings.Repeat("a", 13<<10)), refused: true},
	{name: "100 KiB", request: get("Authorization: Bearer " + strings.Repeat("a", 100<<10)), refused: true},
	{name: "3 MiB", request: get("Authorization: Bearer " + strings.Repeat("a", 3<<20)), refused: true},
	{name: "100 KiB beside a good one", request: get(good, "A: "+strings.Repeat("a", 100<<10)), refused: true},
	{name: "many headers", request: get(good, strings.Repeat("A: "+strings.Repeat("b", 100)+"\r\n", 1000)+"A: b"), refused: true},
	{name: "15 KiB of cookies", request: get(good, "Cookie: a="+strings.Repeat("a", 7<<10), "Cookie: b="+strings.Repeat("a", 7<<10))},

	{name: "absolute form", request: "GET http://HOST/x HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "absolute form with a token", request: "GET http://HOST/x HTTP/1.1\r\nHost: HOST\r\n" + good + "\r\n\r\n"},
	{name: "absolute form of another host", request: "GET http://HOST/x HTTP/1.1\r\nHost: other\r\n\r\n", refused: true},
	{name: "two slashes", request: "GET //x HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "encoded slashes", request: "GET /%2f%2F..%2f%5c HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "encoded dots", request: "GET /%2e%2e/%2e/x HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "above the root", request: "GET /../../x HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "the question itself", request: "GET /_authd HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "the question, encoded", request: "GET /%5fauthd/../_authd HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "the question with a token", request: "GET /_authd HTTP/1.1\r\nHost: HOST\r\n" + good + "\r\n\r\n"},
	{name: "any path", request: "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true, itself: true},
	{name: "TRACE", request: "TRACE /x HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "CONNECT", request: "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "unknown method", request: "VERIFY /x HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "another address", request: get("X-Original-URL: /livez", "X-Rewrite-URL: /livez", "X-Forwarded-Uri: /livez", "X-Forwarded-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS"), refused: true},
	{name: "two hosts", request: get("Host: other"), refused: true},
	{name: "HTTP/1.0", request: "GET /x HTTP/1.0\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "HTTP/0.9", request: "GET /x\r\n\r\n", refused: true},
	{name: "body first", request: "POST /x HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", refused: true},

	{name: "two lengths", request: "POST /x HTTP/1.1\r\nHost: HOST\r\n" + good + "\r\nContent-Length: 0\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "length and chunks", request: "POST /x HTTP/1.1\r\nHost: HOST\r\n" + good + "\r\nContent-Length: 43\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"},
	{name: "hidden chunks", request: "POST /x HTTP/1.1\r\nHost: HOST\r\n" + good + "\r\nContent-Length: 43\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n", refused: true},
	{name: "the next without a token", request: get(good) + "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"},
	{name: "HTTP/2 by upgrade", request: get(good, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")},

	{name: "identity", request: get(good, "X-Auth-Subject: mallory", "X-Auth-Session: mallory", "X-Auth-Scope: mallory")},
	{name: "identity in another case", request: get(good, "x-auth-subject: mallory", "X-AUTH-SESSION: mallory", "x-Auth-sCope: mallory")},
	{name: "identity twice", request: get("X-Auth-Subject: mallory", good, "X-Auth-Subject: mallory", "X-Auth-Subject:")},
	{name: "identity with underscores", request: get(good, "X_Auth_Subject: mallory", "x_auth-session: mallory", "X-Auth_Scope: mallory", "X_AUTH_SUBJECT: mallory")},
	{name: "identity with dots", request: get(good, "X.Auth.Subject: mallory", "X-Auth.Session: mallory", "X.Auth-Scope: mallory")},
	{name: "identity before a space", request: get(good, "X-Auth-Subject : mallory")},
	{name: "identity before a tab", request: get(good, "X-Auth-Subject\t: mallory")},
	{name: "identity, folded", request: get(good, "A: b", " X-Auth-Subject: mallory", "\tX-Auth-Session: mallory")},
	{name: "identity behind CR", request: get(good, "A: b\rX-Auth-Subject: mallory")},
	{name: "identity behind LF", request: get(good, "A: b\nX-Auth-Subject: mallory")},
	{name: "identity with NUL", request: get(good, "X-Auth-Subject\x00: mallory")},
	{name: "identity taken away", request: get(good, "Connection: X-Auth-Subject, X-Auth-Session, X-Auth-Scope")},
	{name: "identity taken away twice", request: get(good, "Connection: keep-alive", "connection: a,x-auth-subject", "Keep-Alive: X-Auth-Subject")},
	{name: "identity taken away by others", request: get(good, "Proxy-Connection: X-Auth-Subject", "TE: X-Auth-Subject", "Trailer: X-Auth-Subject", "Upgrade: X-Auth-Subject")},
	{name: "credentials taken away", request: get(good, "Connection: Authorization, Cookie")},
	{name: "address", request: get(good, "X-Forwarded-For: 203.0.113.9", "x-forwarded-for: 203.0.113.9")},
	{name: "identity of everybody", request: get("X-Auth-Subject: mallory", "X-Auth-Session: mallory"), refused: true},
}

// No request by hand gets past authd, or makes the service take its sender for somebody else; and none is answered by a
// failure of the proxy's, which would be noise in an outage.
func TestProxiesHostileRequests(t *testing.T) {
	t.Parallel()
	authd := serve(t, t.TempDir(), "--demo")
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := authd.login(t, demoUser, demoPassword).AccessToken // here, as it may wait for longer than a token lives
			want := identityOf(t, authd, token)
			p := startProxied(t, name, authd.URL)
			for _, h := range hostileRequests {
				p.checkHostile(t, h, token, want)
				p.take()
			}
		})
	}
}

func (p *proxied) checkHostile(t *testing.T, h hostile, token string, want map[string][]string) {
	t.Helper()
	status := exchange(t, hostOf(p.URL), strings.NewReplacer("TOKEN", token, "HOST", hostOf(p.URL)).Replace(h.request))
	got := p.peek()
	switch {
	case len(got) > 1 || h.refused && len(got) > 0 || h.served && len(got) == 0:
		t.Errorf("%s: answered %d, and the service got %d requests", h.name, status, len(got))
	case len(got) == 0 && !refusal(status) && !(h.itself && status == http.StatusOK):
		t.Errorf("%s: answered %d", h.name, status)
	case len(got) == 1 && status != http.StatusOK:
		t.Errorf("%s: served, but answered %d", h.name, status)
	}
	for _, s := range got {
		if id := s.identity(); !maps.EqualFunc(id, want, slices.Equal) {
			t.Errorf("%s: the service takes the caller for %v, want %v", h.name, id, want)
		}
		if from := s.header["X-Forwarded-For"]; !slices.Equal(from, []string{"127.0.0.1"}) {
			t.Errorf("%s: the service takes %q for the sender's address", h.name, from)
		}
		if strings.Contains(s.uri, "smuggled") || strings.Contains(s.header.Get("Upgrade"), "h2c") {
			t.Errorf("%s: the service got %s %s with %v", h.name, s.method, s.uri, s.header)
		}
		if strings.Contains(strings.ToLower(fmt.Sprint(s.header["Connection"])), "x-auth") {
			t.Errorf("%s: who is behind the service is told to drop %q", h.name, s.header["Connection"])
		}
	}
}

// refusal tells whether a status is the client's fault: 0 is a closed connection, and 501 how nginx calls an encoding.
func refusal(status int) bool {
	return status >= 400 && status < 500 || status == 0 || status == http.StatusNotImplemented
}

// exchange sends bytes, and returns the status of the first answer; 0 when the connection was closed without one.
func exchange(t *testing.T, addr, request string) (status int) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, request) // who refuses it early need not read all of it
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	conn.Close()
	<-sent
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("no answer to %.60q", request)
		}
		return 0
	}
	return resp.StatusCode
}
