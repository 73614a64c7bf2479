package httpapi_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/authd-project/authd/httpapi"
)

// newTraced starts an env whose requests are traced.
func newTraced(t *testing.T, trusted bool, proxies ...netip.Prefix) (*env, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	tracing := httpapi.Tracing{
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test"), TrustedParents: trusted,
	}
	return newEnv(t, options{
		public: func(c *httpapi.PublicConfig) { c.Tracing, c.TrustedProxies = tracing, proxies },
		admin:  func(c *httpapi.AdminConfig) { c.Tracing = tracing },
	}), spans
}

// ended waits for the span of n requests: an answer may arrive before it ends.
func ended(t *testing.T, spans *tracetest.SpanRecorder, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	await(t, fmt.Sprintf("%d spans", n), func() bool { return len(spans.Ended()) >= n })
	return spans.Ended()
}

func TestSpanOfARequest(t *testing.T) {
	e, spans := newTraced(t, false)
	e.do(request{method: "DELETE", path: "/v1/sessions/AAAAAAAAAAAAAAAAAAAAAA?user=alice", bearer: "secret"})
	e.do(request{method: "FROBNICATE", path: "/v1/me"})
	e.do(request{method: "GET", path: "/no/such/path"})
	e.do(request{method: "GET", path: "/readyz"})
	e.do(request{method: "GET", path: "/admin/users/alice", bearer: adminToken})
	want := []string{
		"DELETE /v1/sessions/:id: authd.listener=public http.request.method=DELETE http.response.status_code=401 http.route=/v1/sessions/:id url.scheme=http",
		"HTTP: authd.listener=public http.request.method=_OTHER http.response.status_code=405 url.scheme=http",
		"GET: authd.listener=public http.request.method=GET http.response.status_code=404 url.scheme=http",
		"GET /admin/users/:username: authd.listener=admin http.request.method=GET http.response.status_code=200 http.route=/admin/users/:username url.scheme=http",
	}
	var got []string
	for _, s := range ended(t, spans, len(want)) {
		var attrs []string
		for _, a := range s.Attributes() {
			attrs = append(attrs, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
		}
		slices.Sort(attrs)
		got = append(got, s.Name()+": "+strings.Join(attrs, " "))
		if s.SpanKind() != trace.SpanKindServer || s.Status().Code != codes.Unset || s.Parent().IsValid() {
			t.Errorf("%s: kind %v, status %v, parent %v", s.Name(), s.SpanKind(), s.Status(), s.Parent())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSpanOfAFailure(t *testing.T) {
	e, spans := newTraced(t, false)
	g := e.loginAlice()
	e.revocations.failing.Store(true)
	e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken})
	s := ended(t, spans, 2)[1]
	if s.Status().Code != codes.Error || s.Status().Description != "" || !slices.Contains(s.Attributes(), attribute.String("error.type", "503")) {
		t.Errorf("%s: status %+v, %v", s.Name(), s.Status(), s.Attributes())
	}
}

// A caller's trace is gone on with, and its decision holds; or it is linked to, where only proxies are believed.
func TestTraceparent(t *testing.T) {
	const id, recorded, unrecorded = "0af7651916cd43dd8448eb211c80319c", "-b7ad6b7169203331-01", "-b7ad6b7169203331-00"
	for name, c := range map[string]struct {
		flags   string
		trusted bool
		proxies []netip.Prefix
		spans   int
		belongs bool
	}{
		"anybody's":                {recorded, false, nil, 1, true},
		"anybody's, not recorded":  {unrecorded, false, nil, 0, true},
		"a stranger's":             {recorded, true, nil, 1, false},
		"a stranger's, unrecorded": {unrecorded, true, nil, 1, false},
		"a proxy's":                {recorded, true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, spans := newTraced(t, c.trusted, c.proxies...)
			e.do(request{method: "GET", path: "/openapi.yaml", header: http.Header{"Traceparent": {"00-" + id + c.flags}}})
			e.do(request{method: "GET", path: "/v1/me", header: http.Header{"Traceparent": {"00-not-a-trace"}}}) // always of its own
			all := ended(t, spans, c.spans+1)
			if len(all) != c.spans+1 || c.spans == 0 {
				if len(all) != c.spans+1 {
					t.Errorf("%d spans", len(all))
				}
				return
			}
			s := all[0]
			if belongs := s.SpanContext().TraceID().String() == id && s.Parent().IsRemote(); belongs != c.belongs {
				t.Errorf("belongs to the caller's trace: %v", belongs)
			}
			if linked := len(s.Links()) == 1 && s.Links()[0].SpanContext.TraceID().String() == id; linked == c.belongs {
				t.Errorf("links: %v", s.Links())
			}
			if all[1].Parent().IsValid() {
				t.Errorf("a malformed traceparent has become a parent: %v", all[1].Parent())
			}
		})
	}
}
