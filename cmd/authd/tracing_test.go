package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/otelmw"
)

// What people in traces are called, and say.
const (
	tracedBob, tracedAlice  = "bob-the-builder", "alice-in-wonderland"
	bobsPassword, hersAbove = "violin marmalade tundra", "copper lantern giraffe"
	tracedAgent             = "a-traced-client/1.0"
	remoteSpan              = "00f067aa0ba902b7" // of the client
)

// tracedRun is an authd, its Redis, a service of users and a service that verifies, whose traces a real collector takes.
type tracedRun struct {
	collector *testenv.TraceCollector
	authd     *server
	service   *httptest.Server
	flush     func(context.Context) error // of the service's spans
	secrets   map[string]string           // what must not be in a span, by what it is

	mu      sync.Mutex
	parents []string // that the service of users was told; guarded by mu
}

func newTracedRun(t *testing.T) *tracedRun {
	t.Helper()
	r := &tracedRun{collector: testenv.NewTraceCollector(t, true)}
	secret := filepath.Join(t.TempDir(), "secret")
	r.secrets = map[string]string{
		"bob's name": tracedBob, "alice's name": tracedAlice, "bob's password": bobsPassword, "alice's password": hersAbove,
		"an address": "127.0.0.1", "a client": tracedAgent, "a key of Redis": "{authd", "the secret of the service of users": "0123456789abcdefFEDC",
	}
	if err := os.WriteFile(secret, []byte(r.secrets["the secret of the service of users"]), 0o600); err != nil {
		t.Fatal(err)
	}
	users := httptest.NewServer(http.HandlerFunc(r.answerAboutUsers))
	t.Cleanup(users.Close)
	webhook := filepath.Join(t.TempDir(), "webhook.yaml")
	if err := os.WriteFile(webhook, fmt.Appendf(nil, "url: %s\nsecret_file: %s\n", users.URL, secret), 0o600); err != nil {
		t.Fatal(err)
	}
	r.authd = serve(t, t.TempDir(), "--redis", "redis://"+testenv.Redis(t), "--kek-file", newKEK(t),
		"--users", "sqlite", "--users", "webhook:"+webhook, "--rate-limits", "refresh=token-bucket 1000/1s",
		"--otlp-endpoint", r.collector.URL, "--otlp-ca", r.collector.CA)
	r.authd.authd(t, bobsPassword+"\n", "user", "add", tracedBob)
	r.startService(t)
	return r
}

// answerAboutUsers knows alice, and fails for anybody whose name ends so.
func (r *tracedRun) answerAboutUsers(w http.ResponseWriter, req *http.Request) {
	var q struct{ Type, Username, Password string }
	r.mu.Lock()
	r.parents = append(r.parents, req.Header.Get("Traceparent"))
	r.mu.Unlock()
	switch err := json.NewDecoder(req.Body).Decode(&q); {
	case err != nil || strings.HasSuffix(q.Username, "fails"):
		w.WriteHeader(http.StatusInternalServerError)
	case q.Username != tracedAlice:
		w.WriteHeader(http.StatusNotFound)
	case q.Type == "login" && q.Password != hersAbove:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		fmt.Fprintf(w, `{"subject":"42","username":%q}`, tracedAlice)
	}
}

// propagating tells the other side of the trace, as transports of OpenTelemetry's libraries do.
type propagating struct{ http.RoundTripper }

func (p propagating) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return p.RoundTripper.RoundTrip(r)
}

// trusting returns what trusts the authorities in a file, and nobody else.
func trusting(t *testing.T, file string) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(readText(t, file))) {
		t.Fatalf("%s has no certificate", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// startService starts what guards /offline and /online, and traces its requests itself.
func (r *tracedRun) startService(t *testing.T) {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(r.collector.URL+"/v1/traces"),
		otlptracehttp.WithTLSClientConfig(trusting(t, r.collector.CA)))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("orders"))))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	r.flush = provider.ForceFlush
	observer, err := otelmw.NewObserver(otelmw.Options{MeterProvider: noop.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.New(t.Context(), r.authd.URL, middleware.Options{
		Audience: "authd", Observer: observer, Client: &http.Client{Transport: propagating{http.DefaultTransport}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	mux := http.NewServeMux()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/offline", guard.Handler(ok))
	mux.Handle("/online", guard.Handler(ok, middleware.Online()))
	r.service = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx := propagation.TraceContext{}.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
		ctx, span := provider.Tracer("orders").Start(ctx, req.Method+" "+req.URL.Path, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		mux.ServeHTTP(w, req.WithContext(ctx))
	}))
	t.Cleanup(r.service.Close)
}

// ask sends a request that belongs to a trace of the client's, of which it returns the id.
func (r *tracedRun) ask(t *testing.T, want int, method, url, bearer string, body map[string]string, result any) (traceID string) {
	t.Helper()
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, &text)
	if err != nil {
		t.Fatal(err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	traceID = hex.EncodeToString(id[:])
	req.Header.Set("Traceparent", "00-"+traceID+"-"+remoteSpan+"-01")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", tracedAgent)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		t.Fatalf("%s %s answers %d, want %d", method, url, resp.StatusCode, want)
	}
	if result != nil {
		if err := json.NewDecoder(resp.Body).Decode(result); err != nil {
			t.Fatal(err)
		}
	}
	return traceID
}

func (r *tracedRun) login(t *testing.T, want int, name, password string, g *grant) string {
	t.Helper()
	var result any
	if g != nil {
		result = g
	}
	return r.ask(t, want, http.MethodPost, r.authd.URL+"/v1/login", "", map[string]string{"username": name, "password": password}, result)
}

// One trace leads from a client through authd to its stores, and through a service to its verification. Whatever is in a
// span is documented, and nothing secret is.
func TestTraces(t *testing.T) {
	t.Parallel()
	r := newTracedRun(t)
	var g, hers grant
	r.login(t, http.StatusOK, tracedBob, bobsPassword, &g) // Redis gets to know the scripts
	login := r.login(t, http.StatusOK, tracedBob, bobsPassword, &g)
	herLogin := r.login(t, http.StatusOK, tracedAlice, hersAbove, &hers)
	refused := r.login(t, http.StatusUnauthorized, tracedBob, "wrong", nil)
	failed := r.login(t, http.StatusServiceUnavailable, "mallory-fails", "wrong", nil)
	first := g
	refresh := r.ask(t, http.StatusOK, http.MethodPost, r.authd.URL+"/v1/refresh", "", map[string]string{"refresh_token": g.RefreshToken}, &g)
	verify := r.ask(t, http.StatusOK, http.MethodGet, r.authd.URL+"/v1/verify", g.AccessToken, nil, nil)
	offline := r.ask(t, http.StatusOK, http.MethodGet, r.service.URL+"/offline", g.AccessToken, nil, nil)
	online := r.ask(t, http.StatusOK, http.MethodGet, r.service.URL+"/online", g.AccessToken, nil, nil)
	logout := r.ask(t, http.StatusNoContent, http.MethodPost, r.authd.URL+"/v1/logout", g.AccessToken, map[string]string{"scope": "session"}, nil)
	r.authd.authd(t, "", "session", "list", tracedBob) // names a user in its path
	for i, g := range []grant{first, g, hers} {
		for what, value := range map[string]string{
			"access token": g.AccessToken[len(g.AccessToken)-40:], "claims": strings.Split(g.AccessToken, ".")[1], "session": g.SessionID,
			"refresh token": g.RefreshToken[10:], "subject": g.claims(t).Subject,
		} {
			r.secrets[fmt.Sprintf("the %s of grant %d", what, i)] = value
		}
	}
	if err := r.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.authd.terminate(t) // and hands over what it has

	spans := r.collector.Spans(t)
	for what, secret := range r.secrets {
		if bytes.Contains(r.collector.Exported(t), []byte(secret)) {
			t.Errorf("%s is in a span: %s", what, secret)
		}
	}
	of := func(id string) spanTree { return treeOf(t, spans, id) }
	of(login).wants(t, "POST /v1/login", "logins before/EVALSHA", "users authenticate/password wait", "users authenticate/password hash",
		"sessions create/PIPELINE", "token sign", "audit record", "logins succeeded/EVALSHA")
	of(herLogin).wants(t, "POST /v1/login", "users get/POST", "users authenticate/POST", "sessions create")
	of(refused).wants(t, "POST /v1/login", "users authenticate/password hash", "audit record")
	of(failed).wants(t, "POST /v1/login", "users get/POST", "logins cancelled")
	of(refresh).wants(t, "POST /v1/refresh", "limit allow/EVALSHA", "users account", "sessions refresh/PIPELINE", "token sign")
	of(verify).wants(t, "GET /v1/verify", "token verify")
	of(offline).wants(t, "GET /offline", "authd verify")
	of(online).wants(t, "GET /online", "authd verify", "GET /v1/verify/token verify")
	of(logout).wants(t, "POST /v1/logout", "token verify", "sessions end/PIPELINE", "revocations add")
	rotation := rotations(t, spans)
	rotation.wants(t, "ring rotation", "ring load", "ring plan", "ring write/PIPELINE", "ring write/ring publish")

	r.mu.Lock()
	defer r.mu.Unlock()
	for _, parent := range r.parents {
		if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(parent) {
			t.Errorf("the service of users was told %q", parent)
		}
	}
	if !strings.Contains(r.authd.out.String(), `"trace_id":"`+login+`"`) {
		t.Error("no line of the log names the trace of the login")
	}
	documented(t, spans)
	writeTraces(t, of(login), of(online), rotation)
}

// While the collector is away or hangs, authd does not notice, but in a metric and one line of the log; and stops in time.
func TestTracesWithoutCollector(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); hangs.Close() })
	away := httptest.NewServer(nil)
	away.Close()
	for name, c := range map[string]struct{ url, lost string }{
		"away":  {away.URL, `authd_trace_spans_total\{result="not_taken"\} [1-9]`},
		"hangs": {hangs.URL, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, t.TempDir(), "--demo", "--otlp-endpoint", c.url)
			g := s.login(t, demoUser, demoPassword)
			for range 20 {
				if status := s.verify(t, g.AccessToken); status != http.StatusOK {
					t.Fatalf("verify answers %d", status)
				}
			}
			until(t, "lost spans are counted", func() bool {
				return regexp.MustCompile(c.lost).MatchString(getText(t, s.Admin+"/metrics"))
			})
			s.logout(t, g, "session")
			begun := time.Now()
			s.terminate(t)
			if took := time.Since(begun); took > patience {
				t.Errorf("it took %v to stop", took)
			}
			if n := strings.Count(s.out.String(), "the collector does not take them"); n > 1 || c.lost != "" && n == 0 {
				t.Errorf("the log says %d times that traces are lost:\n%s", n, s.out)
			}
		})
	}
}
