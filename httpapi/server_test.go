package httpapi_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// slow is a service whose listing takes until it is let go.
type slow struct {
	httpapi.Sessions
	began, release chan struct{}
}

func (s slow) List(ctx context.Context, _ string) ([]session.Session, error) {
	s.began <- struct{}{}
	select {
	case <-s.release:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listener serves s on a free port until stop is called; stopped receives what Serve returned.
func listener(t *testing.T, s *httpapi.Server) (url string, stop context.CancelFunc, stopped <-chan error) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return "http://" + l.Addr().String(), cancel, done
}

// When the server stops, a running request is answered, a stream ends, and no new connection is accepted.
func TestDrain(t *testing.T) {
	s := slow{began: make(chan struct{}), release: make(chan struct{})}
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		s.Sessions = c.Sessions
		c.Sessions = s
	}})
	g := e.loginAlice()
	url, stop, stopped := listener(t, e.public)

	stream, err := e.http.Do(e.newRequest(url, request{method: "GET", path: "/v1/revocations"}))
	must(t, err)
	defer stream.Body.Close()
	answered := make(chan answer)
	go func() {
		answered <- e.send(e.newRequest(url, request{method: "GET", path: "/v1/sessions", bearer: g.AccessToken}))
	}()
	<-s.began
	stop()
	_, err = io.Copy(io.Discard, stream.Body) // returns once the stream has ended
	must(t, err)
	await(t, "closed port", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(s.release)
	wantStatus(t, <-answered, http.StatusOK)
	must(t, <-stopped)
}

// A request that outlasts the drain is cut off, and Serve says so.
func TestDrainHasAnEnd(t *testing.T) {
	s := slow{began: make(chan struct{}), release: make(chan struct{})}
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		s.Sessions = c.Sessions
		c.Sessions = s
		c.Limits.Drain = time.Millisecond
	}})
	g := e.loginAlice()
	url, stop, stopped := listener(t, e.public)
	failed := make(chan error)
	go func() {
		resp, err := e.http.Do(e.newRequest(url, request{method: "GET", path: "/v1/sessions", bearer: g.AccessToken}))
		if err == nil {
			resp.Body.Close()
			err = errors.New(resp.Status)
		}
		failed <- err
	}()
	<-s.began
	stop()
	if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve returned %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

// panicking is a verifier with a defect.
type panicking struct {
	httpapi.Verifier
	value any
}

func (p panicking) Verify(context.Context, string) (*token.Claims, error) { panic(p.value) }

// T42: a panic is a 500 without text; the process and its other requests live, and nothing of the value is logged.
func TestPanic(t *testing.T) {
	for _, value := range []any{"MARK-in-a-string", errors.New("MARK-in-an-error"), struct{ secret string }{"MARK"}} {
		e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Verifier = panicking{c.Verifier, value} }})
		a := e.do(request{method: "GET", path: "/v1/me", bearer: "MARK-token"})
		wantProblem(t, a, http.StatusInternalServerError, "internal")
		if strings.Contains(a.body, "panic") || strings.Contains(a.body, "MARK") {
			t.Errorf("the answer tells of it: %s", a.body)
		}
		log := e.log.String()
		if !strings.Contains(log, "panic with a") || !strings.Contains(log, "TestPanic") && !strings.Contains(log, "Verify") {
			t.Errorf("the log does not say where: %s", log)
		}
		if strings.Contains(log, "MARK") {
			t.Errorf("the log holds the value of the panic: %s", log)
		}
		wantStatus(t, e.do(request{method: "GET", path: "/.well-known/jwks.json"}), http.StatusOK)
	}
}

func TestHeaderLimit(t *testing.T) {
	e := newEnv(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.publicURL, "http://"))
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Filler: "+strings.Repeat("a", 32<<10)+"\r\n\r\n")
	must(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// T16, T33: what net/http refuses, and a client that never finishes its header.
func TestConnectionsThatMisbehave(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Limits.HeaderTimeout, c.Limits.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond
	}})
	for name, text := range map[string]string{
		"two lengths":      "POST /v1/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
		"length and te":    "POST /v1/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
		"space in a name":  "GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Y : z\r\n\r\n",
		"no host":          "GET /v1/me HTTP/1.1\r\n\r\n",
		"unfinished":       "GET /v1/me HTTP/1.1\r\nHost: x\r\n",
		"unfinished body":  "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
		"nothing but dots": "....",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.publicURL, "http://"))
			must(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, text)
			must(t, err)
			got, _ := io.ReadAll(conn) // ends when the server closes the connection
			if n := strings.Count(string(got), "HTTP/1.1 "); n > 1 || n == 1 && !strings.HasPrefix(string(got), "HTTP/1.1 4") &&
				!strings.HasPrefix(string(got), "HTTP/1.1 501") {
				t.Errorf("answered %q", got)
			}
		})
	}
}

// Connections beyond the limit wait until another one closes.
func TestConnectionLimit(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Limits.Connections = 1 }})
	dial := func() net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.publicURL, "http://"))
		must(t, err)
		_, err = io.WriteString(conn, "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n")
		must(t, err)
		return conn
	}
	first := dial()
	_, err := first.Read(make([]byte, 1))
	must(t, err)
	second := dial()
	defer second.Close()
	must(t, second.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second connection is answered beside the first: %v", err)
	}
	must(t, first.Close())
	must(t, second.SetReadDeadline(time.Time{}))
	_, err = second.Read(make([]byte, 1))
	must(t, err)
}

// T14: only a trusted proxy names the client's address and the request.
func TestClientAddress(t *testing.T) {
	forwarded := http.Header{
		"X-Forwarded-For": {"192.0.2.1, 198.51.100.7"}, "X-Real-Ip": {"192.0.2.2"}, "Forwarded": {"for=192.0.2.3"},
		"Cf-Connecting-Ip": {"192.0.2.4"}, "X-Request-Id": {"from-outside"},
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	for name, c := range map[string]struct {
		trusted     []netip.Prefix
		header      http.Header
		address, id string
	}{
		"nobody is trusted": {nil, forwarded, "127.0.0.1", ""},
		"another is":        {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, forwarded, "127.0.0.1", ""},
		"the peer is":       {[]netip.Prefix{loopback}, forwarded, "198.51.100.7", "from-outside"},
		"a chain is":        {[]netip.Prefix{loopback, netip.MustParsePrefix("198.51.100.0/24")}, forwarded, "192.0.2.1", "from-outside"},
		"nonsense":          {[]netip.Prefix{loopback}, http.Header{"X-Forwarded-For": {"x"}, "X-Request-Id": {"a b"}}, "127.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, options{public: func(p *httpapi.PublicConfig) { p.TrustedProxies = c.trusted }})
			body := map[string]string{"username": aliceName, "password": alicePassword}
			a := e.do(request{method: "POST", path: "/v1/login", json: body, header: c.header})
			g := decode[grant](t, a, http.StatusOK)
			list := decode[sessionList](t, e.do(request{method: "GET", path: "/v1/sessions", bearer: g.AccessToken}), 200)
			if got := list.Sessions[0].Address; got != c.address {
				t.Errorf("address %s, want %s", got, c.address)
			}
			if id := a.header.Get("X-Request-Id"); c.id != "" && id != c.id || c.id == "" && (id == "from-outside" || len(id) < 16) {
				t.Errorf("request id %q", id)
			}
		})
	}
}

// Everything that is missing is reported at once.
func TestConfigurationIsChecked(t *testing.T) {
	_, err := httpapi.NewPublic(httpapi.PublicConfig{Issuer: "auth.example.com", Clients: []httpapi.Client{{SecretSHA256: sha256.Sum256(nil)}}})
	for _, part := range []string{"issuer", "algorithms", "sessions", "logins", "verifier", "keys", "revocations", "mirror", "feed", "clients"} {
		if err == nil || !strings.Contains(err.Error(), part+": ") {
			t.Errorf("%s is not reported: %v", part, err)
		}
	}
	_, err = httpapi.NewAdmin(httpapi.AdminConfig{})
	for _, part := range []string{"token", "users", "sessions", "logins", "revocations", "mirror", "ring", "keys", "leadership", "token life", "gatherer"} {
		if err == nil || !strings.Contains(err.Error(), part+": ") {
			t.Errorf("%s is not reported: %v", part, err)
		}
	}
}
