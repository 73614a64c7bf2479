package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/labstack/echo/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/extauthz"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/echomw"
	"github.com/authd-project/authd/middleware/grpcmw"
	"github.com/authd-project/authd/token/tokentest"
)

// ownCookie is where cookie mode keeps the access token.
const ownCookie = "__Host-authd_access"

// surface is a place where authd, or a service guarded by its packages, takes access tokens.
type surface struct {
	name string
	// ask puts a case to it, and the good token too.
	ask func(c tokentest.Case) tokentest.Answer
	// end, if set, is what the surface does with the good token once only: it ends something. It tells whether it was done.
	end func(g grant) bool
	// least is how many cases must have been asked about.
	least int
}

// Every surface refuses every hostile token and request: none is let through, none makes it fail or hang, nobody follows
// what a token brings along, and the good token is accepted all the time.
func TestHostileTokens(t *testing.T) {
	e := newProvider(t, options{public: func(c *httpapi.PublicConfig) { c.Scopes = append(c.Scopes, "openid") }})
	_, _, key, err := e.ring.SigningKey(t.Context())
	must(t, err)
	var used []grant
	for _, s := range e.surfaces() {
		g := decode[grant](t, e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
			"username": aliceName, "password": alicePassword, "scope": "openid",
		}}), http.StatusOK)
		used = append(used, g)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			asked := tokentest.Try(t, tokentest.Target{Good: g.AccessToken, Key: key, Cookie: ownCookie}, s.ask)
			if asked < s.least {
				t.Errorf("asked about %d cases, want %d", asked, s.least)
			}
			if s.end != nil && !s.end(g) {
				t.Error("the good token does not do what it should")
			}
		})
	}
	t.Cleanup(func() {
		for _, g := range used {
			if signature := g.AccessToken[strings.LastIndexByte(g.AccessToken, '.')+1:]; strings.Contains(e.log.String(), signature) {
				t.Error("a token is in the log")
			}
		}
	})
}

func (e *env) surfaces() []surface {
	api := wire{e, e.publicURL, e.public}
	me, account := api.header(http.MethodGet, "/v1/me"), api.cookie(http.MethodGet, "/account")
	all := []surface{
		{name: "forward-auth", ask: api.header(http.MethodGet, "/v1/verify"), least: 2500},
		{name: "me", ask: me, least: 2500},
		{name: "userinfo", ask: api.header(http.MethodGet, "/oauth2/userinfo"), least: 2500},
		{name: "userinfo-post", ask: api.header(http.MethodPost, "/oauth2/userinfo"), least: 2500},
		{name: "token-exchange", ask: api.exchange, least: 2000},
		{name: "sessions", ask: api.header(http.MethodGet, "/v1/sessions"), least: 2500},
		{name: "logout", ask: onlyHostile(unbound(api.header(http.MethodPost, "/v1/logout")), me), least: 2500, end: func(g grant) bool {
			return api.done(http.MethodPost, "/v1/logout", g)
		}},
		{name: "end-a-session", ask: onlyHostile(api.header(http.MethodDelete, "/v1/sessions/AAAAAAAAAAAAAAAAAAAAAA"), me), least: 2500, end: func(g grant) bool {
			return api.done(http.MethodDelete, "/v1/sessions/"+g.SessionID, g)
		}},
		{name: "cookie-forward-auth", ask: api.cookie(http.MethodGet, "/v1/verify"), least: 2000},
		{name: "cookie-userinfo", ask: api.cookie(http.MethodGet, "/v1/me"), least: 2000},
		{name: "cookie-logout", ask: onlyHostile(unbound(api.cookie(http.MethodPost, "/v1/logout")), me), least: 2000},
		{name: "cookie-account", ask: account, least: 2000},
		{name: "cookie-account-end", ask: onlyHostile(api.cookie(http.MethodPost, "/account/sessions"), account), least: 2000},
		{name: "introspection", ask: unbound(api.introspection), least: 2000},
		{name: "revocation", ask: onlyHostile(unbound(api.revocation), me), least: 2000, end: func(g grant) bool {
			return api.revocation(tokentest.Case{Token: g.AccessToken}) == tokentest.Refused && me(goodCase(g)) == tokentest.Refused
		}},
	}
	return append(append(all, e.middlewares()...), e.envoys()...)
}

func goodCase(g grant) tokentest.Case {
	return tokentest.GoodCase(tokentest.Target{Good: g.AccessToken})
}

// unbound leaves out tokens that are bound to a key where no proof is asked for: introspection says what they are bound to
// (RFC 9449 section 6.2), and whoever ends what a token names gains nothing by it.
func unbound(ask func(tokentest.Case) tokentest.Answer) func(tokentest.Case) tokentest.Answer {
	return func(c tokentest.Case) tokentest.Answer {
		if strings.HasPrefix(c.Name, "bound/") {
			return tokentest.Skipped
		}
		return ask(c)
	}
}

// onlyHostile puts the good token to another surface, as this one would end its session.
func onlyHostile(hostile, good func(tokentest.Case) tokentest.Answer) func(tokentest.Case) tokentest.Answer {
	return func(c tokentest.Case) tokentest.Answer {
		if c.Name == "good" {
			return good(c)
		}
		return hostile(c)
	}
}

// wire asks a server over a connection, or, about what HTTP cannot carry, its handler.
type wire struct {
	e       *env
	url     string
	handler http.Handler
}

// send returns the status and the body of the answer; 0 when there was none.
func (w wire) send(r *http.Request, c tokentest.Case) (status int, body string) {
	c.Apply(r)
	if !c.Sendable() || len(c.Token) > 12<<10 && len(r.Header["Authorization"])+len(r.Header["Cookie"]) > 0 {
		recorder := httptest.NewRecorder()
		r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
		if r.Body == nil {
			r.Body = http.NoBody
		}
		w.handler.ServeHTTP(recorder, r)
		return recorder.Code, recorder.Body.String()
	}
	answer, err := w.e.http.Transport.(*contract).next.RoundTrip(r)
	if err != nil {
		w.e.t.Errorf("%s: %v", c.Name, err)
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.e.t.Errorf("%s: %v", c.Name, err)
	}
	return answer.StatusCode, string(text)
}

func (w wire) request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(w.e.t.Context(), method, w.url+path, body)
	must(w.e.t, err)
	return r
}

// judge is AnswerOf, but for a request that was not answered.
func judge(status int) tokentest.Answer {
	if status == 0 {
		return tokentest.Broken
	}
	return tokentest.AnswerOf(status)
}

// header asks with the case as it is.
func (w wire) header(method, path string) func(tokentest.Case) tokentest.Answer {
	return func(c tokentest.Case) tokentest.Answer {
		if !c.InHeader() {
			return tokentest.Skipped
		}
		status, _ := w.send(w.request(method, path, nil), c)
		return judge(status)
	}
}

// cookie asks with the token in the cookie; of the requests, with those about cookies.
func (w wire) cookie(method, path string) func(tokentest.Case) tokentest.Answer {
	return func(c tokentest.Case) tokentest.Answer {
		moved, ok := c.InCookie(ownCookie)
		if !ok && !strings.HasPrefix(c.Name, "cookie/") {
			return tokentest.Skipped
		}
		status, _ := w.send(w.request(method, path, nil), moved)
		return judge(status)
	}
}

// form posts the token as a client with credentials.
func (w wire) form(path string, c tokentest.Case) (status int, body string) {
	r := w.request(http.MethodPost, path, nil)
	r.SetBasicAuth(clientID, clientSecret)
	c.Request = tokentest.Request{ContentType: "application/x-www-form-urlencoded", Body: "token=" + url.QueryEscape(c.Token)}
	return w.send(r, c)
}

// introspection takes only {"active":false}, and nothing beside it, for a refusal.
func (w wire) introspection(c tokentest.Case) tokentest.Answer {
	if c.Token == "" {
		return tokentest.Skipped
	}
	status, body := w.form("/oauth2/introspect", c)
	if status == http.StatusOK && strings.TrimSpace(body) == `{"active":false}` {
		return tokentest.Refused
	}
	return judge(status)
}

// exchange shows the token as one to exchange.
func (w wire) exchange(c tokentest.Case) tokentest.Answer {
	if c.Token == "" {
		return tokentest.Skipped
	}
	r := w.request(http.MethodPost, "/oauth2/token", nil)
	r.SetBasicAuth("stock", clientSecret)
	c.Request = tokentest.Request{ContentType: "application/x-www-form-urlencoded", Body: exchangeForm(c.Token).Encode()}
	status, _ := w.send(r, c)
	return judge(status)
}

// revocation answers 200 whatever the token is (RFC 7009 section 2.2); what counts is that it ends nothing.
func (w wire) revocation(c tokentest.Case) tokentest.Answer {
	if c.Token == "" {
		return tokentest.Skipped
	}
	status, body := w.form("/oauth2/revoke", c)
	if status == http.StatusOK && body == "" || status/100 == 4 {
		return tokentest.Refused
	}
	return tokentest.Broken
}

// done does what the good token may do.
func (w wire) done(method, path string, g grant) bool {
	status, _ := w.send(w.request(method, path, nil), goodCase(g))
	return status == http.StatusNoContent
}

// middlewares are services that are guarded by package middleware.
func (e *env) middlewares() []surface {
	guard, err := middleware.New(e.t.Context(), issuerURL, middleware.Options{Audience: "authd", Keys: e.ring, Revocations: e.mirror})
	must(e.t, err)
	e.t.Cleanup(guard.Close)
	passed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := middleware.ClaimsFrom(r.Context()); !ok {
			e.t.Error("a request without claims was let through")
		}
	})
	router := echo.New()
	router.GET("/orders", func(c echo.Context) error { return c.NoContent(http.StatusOK) }, echomw.Require(guard))
	unary := grpcmw.Unary(guard)
	return []surface{
		{name: "echomw", ask: e.service(router), least: 2500},
		{name: "grpcmw", least: 2400, ask: func(c tokentest.Case) tokentest.Answer { return e.rpc(unary, c) }},
		{name: "middleware", ask: e.service(guard.Handler(passed)), least: 2500},
		{name: "middleware-stale", ask: e.service(guard.Handler(passed, middleware.Stale(time.Minute))), least: 2500},
		{name: "middleware-token", least: 2000, ask: func(c tokentest.Case) tokentest.Answer {
			if c.Token == "" {
				return tokentest.Skipped
			}
			if _, err := guard.Verify(e.t.Context(), c.Token); err != nil {
				return tokentest.Refused
			}
			return tokentest.Accepted
		}},
	}
}

// rpc hands the header fields of a case to a gRPC interceptor as metadata, as the transport does with what it has read.
func (e *env) rpc(intercept grpc.UnaryServerInterceptor, c tokentest.Case) tokentest.Answer {
	if !c.InHeader() {
		return tokentest.Skipped
	}
	md := metadata.MD{}
	for name, values := range c.Request.Header {
		md.Append(name, values...)
	}
	_, err := intercept(metadata.NewIncomingContext(e.t.Context(), md), nil, &grpc.UnaryServerInfo{FullMethod: "/orders.v1.Orders/List"},
		func(context.Context, any) (any, error) { return struct{}{}, nil })
	switch status.Code(err) {
	case codes.OK:
		return tokentest.Accepted
	case codes.Unauthenticated, codes.PermissionDenied:
		return tokentest.Refused
	}
	return tokentest.Broken
}

// service serves h on a port of its own.
func (e *env) service(h http.Handler) func(tokentest.Case) tokentest.Answer {
	server := httptest.NewServer(h)
	e.t.Cleanup(server.Close)
	return wire{e, server.URL, h}.header(http.MethodGet, "/orders")
}

// envoys ask by Envoy's external authorization, with headers as a list and as a map.
func (e *env) envoys() []surface {
	l, err := (&net.ListenConfig{}).Listen(e.t.Context(), "tcp", "127.0.0.1:0")
	must(e.t, err)
	server := extauthz.New(extauthz.Config{Verify: e.public})
	runner(e.t)(func(ctx context.Context) error { return server.Serve(ctx, l) })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(e.t, err)
	e.t.Cleanup(func() { must(e.t, conn.Close()) })
	client := authv3.NewAuthorizationClient(conn)
	return []surface{
		{name: "envoy-list", least: 2500, ask: func(c tokentest.Case) tokentest.Answer { return e.envoy(client, c, listed) }},
		{name: "envoy-map", least: 2400, ask: func(c tokentest.Case) tokentest.Answer { return e.envoy(client, c, mapped) }},
	}
}

func (e *env) envoy(client authv3.AuthorizationClient, c tokentest.Case, put func(*authv3.AttributeContext_HttpRequest, http.Header) bool) tokentest.Answer {
	question := &authv3.AttributeContext_HttpRequest{Method: "GET", Path: "/orders?" + c.Request.Query, Body: c.Request.Body}
	if !c.InHeader() || !put(question, c.Request.Header) {
		return tokentest.Skipped
	}
	a, err := client.Check(e.t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: question},
	}})
	switch {
	case status.Code(err) == codes.ResourceExhausted && len(c.Token) > 64<<10:
		return tokentest.Refused
	case err != nil:
		e.t.Errorf("%s: %v", c.Name, err)
		return tokentest.Broken
	case a.GetStatus().GetCode() == int32(codes.OK) || a.GetOkResponse() != nil:
		return tokentest.Accepted
	}
	return judge(int(a.GetDeniedResponse().GetStatus().GetCode()))
}

func listed(q *authv3.AttributeContext_HttpRequest, h http.Header) bool {
	q.HeaderMap = &corev3.HeaderMap{}
	for name, values := range h {
		for _, v := range values {
			q.HeaderMap.Headers = append(q.HeaderMap.Headers, &corev3.HeaderValue{Key: strings.ToLower(name), RawValue: []byte(v)})
		}
	}
	return true
}

// mapped is false for what is no UTF-8, which the map cannot hold.
func mapped(q *authv3.AttributeContext_HttpRequest, h http.Header) bool {
	q.Headers = map[string]string{}
	for name, values := range h {
		joined := strings.Join(values, ",")
		if !utf8.ValidString(joined) {
			return false
		}
		q.Headers[strings.ToLower(name)] = joined
	}
	return true
}

// Requests that only raw bytes can make. Each carries the good token in a way that some server takes for a header.
func TestHostileBytes(t *testing.T) {
	e := newEnv(t)
	good := e.loginAlice().AccessToken
	const head = "Host: authd\r\nConnection: close\r\n"
	get := func(lines string) string { return "GET /v1/verify HTTP/1.1\r\n" + head + lines + "\r\n" }
	bearer := "Authorization: Bearer " + good + "\r\n"
	if got := e.raw(get(bearer)); got != "200" {
		t.Fatalf("the good request: %s", got)
	}
	for name, bytes := range map[string]string{
		"two headers, one upper case":     get(bearer + "AUTHORIZATION: Bearer x\r\n"),
		"two headers, one lower case":     get("authorization: Bearer x\r\n" + bearer),
		"space before the colon":          get("Authorization : Bearer " + good + "\r\n"),
		"tab before the colon":            get("Authorization\t: Bearer " + good + "\r\n"),
		"space before the name":           get(" Authorization: Bearer " + good + "\r\n"),
		"no colon":                        get("Authorization Bearer " + good + "\r\n"),
		"folded after another header":     get("X-A: b\r\n Authorization: Bearer " + good + "\r\n"),
		"folded before the token's end":   get("Authorization: Bearer " + good[:40] + "\r\n " + good[40:] + "\r\n"),
		"NUL in the value":                get("Authorization: Bearer " + good + "\x00\r\n"),
		"CR in the value":                 get("Authorization: Bearer\r " + good + "\r\n"),
		"NUL in the name":                 get("Authoriz\x00ation: Bearer " + good + "\r\n"),
		"underscore":                      get("Authorization_: Bearer " + good + "\r\n"),
		"in the trailer":                  "GET /v1/verify HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n0\r\n" + bearer + "\r\n",
		"in the body":                     "GET /v1/verify HTTP/1.1\r\n" + head + "Content-Length: " + fmt.Sprint(len(bearer)) + "\r\n\r\n" + bearer,
		"in a chunk's extension":          "GET /v1/verify HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n0;" + strings.TrimSpace(bearer) + "\r\n\r\n",
		"in the target's user":            "GET http://Bearer:" + good + "@authd/v1/verify HTTP/1.1\r\n" + head + "\r\n",
		"in the target's query":           "GET /v1/verify?Authorization=Bearer%20" + good + " HTTP/1.1\r\n" + head + "\r\n",
		"in the target's fragment":        "GET /v1/verify#access_token=" + good + " HTTP/1.1\r\n" + head + "\r\n",
		"in the target, after a line end": "GET /v1/verify%0d%0aAuthorization:%20Bearer%20" + good + " HTTP/1.1\r\n" + head + "\r\n",
		"in the Host":                     "GET /v1/verify HTTP/1.1\r\nConnection: close\r\nHost: authd\x0bAuthorization: Bearer " + good + "\r\n\r\n",
		"two lengths":                     "POST /v1/logout HTTP/1.1\r\n" + head + bearer + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"length and chunks":               "POST /v1/verify HTTP/1.1\r\n" + head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get(bearer),
		"header too large":                get("Authorization: Bearer " + strings.Repeat("a", 64<<10) + "\r\n"),
		"no token, slash after":           "GET /v1/verify/ HTTP/1.1\r\n" + head + "\r\n",
		"no token, double slash":          "GET /v1//verify HTTP/1.1\r\n" + head + "\r\n",
		"no token, escaped path":          "GET /v1/%76erify HTTP/1.1\r\n" + head + "\r\n",
		"no token, OPTIONS":               "OPTIONS /v1/verify HTTP/1.1\r\n" + head + "\r\n",
		"no token, absolute":              "GET http://127.0.0.1/v1/verify HTTP/1.1\r\n" + head + "\r\n",
	} {
		got := e.raw(bytes)
		for answer := range strings.FieldsSeq(got) {
			if answer == "200" || answer[0] == '5' {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	if got := e.raw(get(bearer)); got != "200" {
		t.Errorf("the good request, after all: %s", got)
	}
}

// raw sends bytes and returns the status of each answer, until the server closes the connection.
func (e *env) raw(bytes string) string {
	e.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(e.t.Context(), "tcp", strings.TrimPrefix(e.publicURL, "http://"))
	must(e.t, err)
	defer conn.Close()
	must(e.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	sent := make(chan struct{})
	go func() { // a server that has heard enough may not read on
		defer close(sent)
		_, _ = io.WriteString(conn, bytes)
	}()
	defer func() { <-sent }()
	var statuses []string
	for reader := bufio.NewReader(conn); ; {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			if len(statuses) == 0 {
				e.t.Errorf("no answer: %v", err)
			}
			return strings.Join(statuses, " ")
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		statuses = append(statuses, fmt.Sprint(answer.StatusCode))
	}
}
