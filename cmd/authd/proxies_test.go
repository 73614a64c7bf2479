package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

// proxies start the files of deploy/proxies as they stand there, but for the addresses: of authd and of the service, and
// the proxy's own.
var proxies = map[string]func(t *testing.T, authd, service string) (addr string){
	"nginx": func(t *testing.T, authd, service string) string {
		return testenv.Nginx(t, func(addr string) string { return deployed(t, "nginx.conf", addr, authd, service) })
	},
	"caddy": func(t *testing.T, authd, service string) string {
		return testenv.Caddy(t, func(addr string) string { return deployed(t, "Caddyfile", addr, authd, service) })
	},
	"haproxy": func(t *testing.T, authd, service string) string {
		return testenv.HAProxy(t, func(addr string) string {
			// The name of a socket of the whole machine.
			script, internal := filepath.Join(t.TempDir(), "authd.lua"), "abns@"+strings.ReplaceAll(addr, ":", "-")
			lua := replaceOnce(t, deployFile(t, "haproxy-authd.lua"), "abns@authd", internal)
			if err := os.WriteFile(script, []byte(lua), 0o600); err != nil {
				t.Fatal(err)
			}
			config := replaceOnce(t, deployed(t, "haproxy.cfg", addr, authd, service), "/etc/haproxy/authd.lua", script)
			return replaceOnce(t, config, "abns@authd", internal)
		})
	},
}

func deployed(t *testing.T, file, addr, authd, service string) string {
	t.Helper()
	config := replaceOnce(t, deployFile(t, file), "127.0.0.1:8000", addr)
	return replaceOnce(t, replaceOnce(t, config, "127.0.0.1:8080", authd), "127.0.0.1:9090", service)
}

func deployFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/proxies/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	if n := strings.Count(text, from); n != 1 {
		t.Fatalf("%s stands %d times in:\n%s", from, n, text)
	}
	return strings.Replace(text, from, to, 1)
}

// proxied is a service behind a proxy that asks authd.
type proxied struct {
	URL string
	*recorder
}

func startProxied(t *testing.T, proxy, authdURL string) *proxied {
	t.Helper()
	r := &recorder{}
	service := httptest.NewServer(r)
	t.Cleanup(service.Close)
	return &proxied{"http://" + proxies[proxy](t, hostOf(authdURL), hostOf(service.URL)), r}
}

func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }

// seen is a request as the service got it.
type seen struct {
	method, uri     string
	header, trailer http.Header
	body            [sha256.Size]byte
}

// recorder is the service: it keeps what it gets.
type recorder struct {
	mu   sync.Mutex
	seen []seen
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body := sha256.New()
	if _, err := io.Copy(body, req.Body); err != nil {
		http.Error(w, "incomplete", http.StatusBadRequest)
		return
	}
	s := seen{req.Method, req.RequestURI, req.Header, req.Trailer, [sha256.Size]byte(body.Sum(nil))}
	r.mu.Lock()
	r.seen = append(r.seen, s)
	r.mu.Unlock()
	fmt.Fprintln(w, "served")
}

// take returns what the service got since it was last asked.
func (r *recorder) take() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seen
	r.seen = nil
	return s
}

// peek is take without forgetting.
func (r *recorder) peek() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// identity is whom the service takes a request for, be it one that reads headers as CGI does: by names in which
// everything but letters is the same.
func (s seen) identity() map[string][]string {
	found := map[string][]string{}
	for name, values := range s.header {
		name = strings.ToLower(notLetters.ReplaceAllString(name, "-"))
		if strings.HasPrefix(name, "x-auth") && !(len(values) == 1 && values[0] == "") { // an empty one says nothing
			found[name] = append(found[name], values...)
		}
	}
	return found
}

var notLetters = regexp.MustCompile(`[^A-Za-z0-9]`)

// identityOf is what authd itself says of a token.
func identityOf(t *testing.T, authd *server, accessToken string) map[string][]string {
	t.Helper()
	a := ask(t, http.MethodGet, authd.URL+"/v1/verify", accessToken, nil)
	if a.StatusCode != http.StatusOK {
		t.Fatalf("authd answers %d", a.StatusCode)
	}
	return seen{header: a.Header}.identity()
}

// ask sends a request and returns the answer, whose body has been read.
func ask(t *testing.T, method, url, bearer string, body io.Reader) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	// What a client would like to be taken for.
	req.Header.Add("X-Auth-Subject", "mallory")
	req.Header.Add("X-Auth-Subject", "mallory")
	req.Header["x_auth_session"] = []string{"mallory"}
	req.Header.Set("X-Auth-Scope", "everything")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

// Login, call, logout and refusal behind every proxy. The service learns from authd alone who calls.
func TestProxies(t *testing.T) {
	t.Parallel()
	authd := serve(t, t.TempDir(), "--demo", "--scopes", "orders:read,orders:write")
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxied(t, name, authd.URL)
			p.wantRefused(t, authd, "")
			var g grant
			login := map[string]string{"username": demoUser, "password": demoPassword, "scope": "orders:read orders:write"}
			if status := authd.call(t, http.MethodPost, "/v1/login", "", login, &g); status != http.StatusOK {
				t.Fatalf("login: %d", status)
			}
			p.wantServed(t, authd, g)
			p.wantServed(t, authd, authd.login(t, demoUser, demoPassword)) // without a scope
			authd.logout(t, g, "session")
			p.wantRefused(t, authd, g.AccessToken)
		})
	}
}

// wantServed sends requests of all kinds; what the service gets is what was sent, with authd's identity.
func (p *proxied) wantServed(t *testing.T, authd *server, g grant) {
	t.Helper()
	want := identityOf(t, authd, g.AccessToken)
	if want["x-auth-session"][0] != g.SessionID {
		t.Errorf("authd says %v of session %s", want, g.SessionID)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	for _, r := range []struct {
		method string
		body   []byte
		reader io.Reader // nil sends no body; one that is no bytes.Reader is sent in chunks
	}{
		{http.MethodGet, nil, nil},
		{http.MethodHead, nil, nil},
		{http.MethodDelete, nil, nil},
		{http.MethodPost, []byte("small"), strings.NewReader("small")},
		{http.MethodPost, large, bytes.NewReader(large)},
		{http.MethodPut, large, io.MultiReader(bytes.NewReader(large))},
	} {
		const uri = "/a%2fb/..;/c?access_token=x&y=%20"
		if a := ask(t, r.method, p.URL+uri, g.AccessToken, r.reader); a.StatusCode != http.StatusOK {
			t.Fatalf("%s with %d bytes: %d", r.method, len(r.body), a.StatusCode)
		}
		got := p.take()
		if len(got) != 1 {
			t.Fatalf("%s with %d bytes: the service got %d requests", r.method, len(r.body), len(got))
		}
		if got[0].method != r.method || got[0].uri != uri || got[0].body != sha256.Sum256(r.body) {
			t.Errorf("%s with %d bytes became %s %s, or another body", r.method, len(r.body), got[0].method, got[0].uri)
		}
		if id := got[0].identity(); !maps.EqualFunc(id, want, slices.Equal) {
			t.Errorf("%s: the service takes the caller for %v, authd for %v", r.method, id, want)
		}
	}
}

// wantRefused expects authd's own answer about a token that is not good, and a service that hears nothing.
func (p *proxied) wantRefused(t *testing.T, authd *server, accessToken string) {
	t.Helper()
	want := ask(t, http.MethodGet, authd.URL+"/v1/verify", accessToken, nil)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got := ask(t, method, p.URL+"/", accessToken, nil)
		if got.StatusCode != http.StatusUnauthorized || want.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d, and %d of authd, want 401", method, got.StatusCode, want.StatusCode)
		}
		challenge := want.Header.Values("WWW-Authenticate")
		if c := got.Header.Values("WWW-Authenticate"); len(challenge) != 1 || !slices.Equal(c, challenge) {
			t.Errorf("%s: challenge %q, want authd's %q", method, c, challenge)
		}
	}
	if got := p.take(); len(got) > 0 {
		t.Errorf("the service got %v", got)
	}
}

// Whatever keeps authd from telling, all proxies say 503 meanwhile, and let requests through again once it is over.
func TestProxiesInOutages(t *testing.T) {
	t.Parallel()
	redis := testenv.NewRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	data, kek := t.TempDir(), newKEK(t)
	start := func(listen string) *server {
		return serve(t, data, "--demo", "--redis", "redis://"+redis.Addr, "--kek-file", kek, "--election-lease", lease.String(),
			"--max-staleness", "2s", "--listen", listen)
	}
	authd := start("127.0.0.1:0")
	token := authd.login(t, demoUser, demoPassword).AccessToken
	all := map[string]*proxied{}
	for name := range proxies {
		all[name] = startProxied(t, name, authd.URL)
	}
	check := func(what string, want int) {
		t.Helper()
		ok := t.Run(what, func(t *testing.T) {
			for name, p := range all {
				t.Run(name, func(t *testing.T) { p.await(t, token, want) })
			}
		})
		if !ok {
			t.Fatalf("what follows %q would show nothing", what)
		}
	}
	check("well", http.StatusOK)
	redis.Kill()
	check("authd is stale", http.StatusServiceUnavailable)
	redis.Restart()
	check("authd is fresh again", http.StatusOK)
	_ = authd.cmd.Process.Signal(syscall.SIGSTOP)
	check("authd is frozen", http.StatusServiceUnavailable)
	_ = authd.cmd.Process.Signal(syscall.SIGCONT)
	check("authd has thawed", http.StatusOK)
	authd.kill()
	check("authd is dead", http.StatusServiceUnavailable)
	start(hostOf(authd.URL))
	check("authd runs again", http.StatusOK)
}

// await sends requests until they are answered as wanted, since a fault is noticed a moment after it began. Whatever the
// answer is, the service gets just the requests that are answered 200.
func (p *proxied) await(t *testing.T, accessToken string, want int) {
	t.Helper()
	until(t, fmt.Sprint("an answer ", want), func() bool {
		a := ask(t, http.MethodGet, p.URL+"/", accessToken, nil)
		reached := len(p.take()) > 0
		switch {
		case reached != (a.StatusCode == http.StatusOK):
			t.Fatalf("answered %d, and the service got a request: %v", a.StatusCode, reached)
		case a.StatusCode != http.StatusOK && a.StatusCode != http.StatusServiceUnavailable:
			t.Fatalf("answered %d", a.StatusCode)
		case !reached && (a.Header.Get("Retry-After") != "1" || a.Header.Get("WWW-Authenticate") != ""):
			t.Fatalf("answered %d with %v", a.StatusCode, a.Header)
		}
		return a.StatusCode == want
	})
}

// What else may answer in authd's place: only an authd that says 200 lets a request through, and one that names nobody
// does not make the client's own words true.
func TestProxiesUnderstandAnswers(t *testing.T) {
	t.Parallel()
	authd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %d", &status)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer authd.Close()
	for name := range proxies {
		p := startProxied(t, name, authd.URL)
		for _, status := range []int{200, 301, 302, 307, 400, 401, 403, 404, 418, 429, 431, 500, 502, 503, 504, 599} {
			client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", fmt.Sprint("Bearer ", status))
			req.Header.Set("X-Auth-Subject", "mallory")
			a, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			got := p.take()
			switch {
			case status == http.StatusOK:
				// Caddy 2.6 passes on the name of a header that is missing in the answer.
				if a.StatusCode != status || len(got) != 1 || strings.Contains(fmt.Sprint(got[0].header), "mallory") {
					t.Errorf("%s: authd names nobody, the answer is %d, the service got %v", name, a.StatusCode, got)
				}
			case len(got) > 0 || a.StatusCode < 300:
				t.Errorf("%s: authd says %d, the answer is %d, the service got %v", name, status, a.StatusCode, got)
			case a.StatusCode != status && (slices.Contains([]int{401, 403, 503}, status) || a.StatusCode != http.StatusServiceUnavailable):
				t.Errorf("%s: authd says %d, the proxy %d", name, status, a.StatusCode)
			}
		}
	}
}

// A question to authd is a GET without query and body on a connection that is kept, and there is one for every request.
func TestProxiesAskEachTime(t *testing.T) {
	t.Parallel()
	authd := serve(t, t.TempDir(), "--demo")
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := authd.login(t, demoUser, demoPassword).AccessToken // here, as it may wait for longer than a token lives
			listener := newTap(t, authd.URL)
			p := startProxied(t, name, listener.URL)
			const requests = 20
			for range requests {
				body := bytes.Repeat([]byte("x"), 1<<20)
				if a := ask(t, http.MethodPost, p.URL+"/?access_token="+token, token, bytes.NewReader(body)); a.StatusCode != http.StatusOK {
					t.Fatalf("answered %d", a.StatusCode)
				}
			}
			if n := len(p.take()); n != requests {
				t.Errorf("the service got %d requests", n)
			}
			listener.check(t, requests)
		})
	}
}

// tap stands between a proxy and authd, and listens.
type tap struct {
	URL string
	*recorder
	connections sync.Map
}

func newTap(t *testing.T, authdURL string) *tap {
	t.Helper()
	l := &tap{recorder: &recorder{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.connections.Store(r.RemoteAddr, true)
		l.ServeHTTP(httptest.NewRecorder(), r)
		onward, err := http.NewRequestWithContext(r.Context(), r.Method, authdURL+r.RequestURI, nil)
		if err != nil {
			t.Error(err)
			return
		}
		onward.Header = r.Header
		resp, err := http.DefaultTransport.RoundTrip(onward)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	server.Start()
	t.Cleanup(server.Close)
	l.URL = server.URL
	return l
}

func (l *tap) check(t *testing.T, questions int) {
	t.Helper()
	heard := l.take()
	if len(heard) != questions {
		t.Errorf("authd was asked %d times, want %d", len(heard), questions)
	}
	for _, q := range heard {
		if q.method != http.MethodGet || q.uri != "/v1/verify" || q.body != sha256.Sum256(nil) {
			t.Errorf("authd was asked %s %s, or with a body", q.method, q.uri)
		}
		for _, name := range []string{"Content-Length", "Transfer-Encoding"} {
			if v, ok := q.header[name]; ok && v[0] != "0" {
				t.Errorf("authd was promised a body: %s: %q", name, v)
			}
		}
	}
	var connections int
	l.connections.Range(func(any, any) bool { connections++; return true })
	if connections > 2 {
		t.Errorf("%d connections to authd for %d questions", connections, questions)
	}
}
