package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/tracing"
)

func recording() (*tracing.Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))), spans
}

// unhappy is a source of users and an audit log that answers with an error.
type unhappy struct {
	identity.Reader
	err error
}

func (u unhappy) Authenticate(context.Context, string, string) (identity.Account, error) {
	return identity.Account{}, u.err
}

func (u unhappy) Record(context.Context, audit.Event) error { return u.err }

// A span says what came of a call by a word, and never by the text of an error, which may quote a name.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
		code codes.Code
	}{
		{nil, "[authd.users.source=ldap]", codes.Unset},
		{fmt.Errorf("alice: %w", identity.ErrInvalidCredentials), "[authd.users.source=ldap authd.outcome=invalid_credentials]", codes.Unset},
		{fmt.Errorf("alice: %w", identity.ErrUnavailable), "[authd.users.source=ldap error.type=unavailable]", codes.Error},
		{errors.New("alice is mad"), "[authd.users.source=ldap error.type=_OTHER]", codes.Error},
	} {
		tracer, spans := recording()
		ctx, request := tracer.Requests().Start(t.Context(), "request")
		_, _ = tracer.Users("ldap", unhappy{err: c.err}).Authenticate(ctx, "alice", "secret")
		request.End()
		s := spans.Ended()[0]
		var attrs []string
		for _, a := range s.Attributes() {
			attrs = append(attrs, string(a.Key)+"="+a.Value.String())
		}
		if got := fmt.Sprint(attrs); got != c.want || s.Status().Code != c.code || s.Status().Description != "" || len(s.Events()) > 0 {
			t.Errorf("%v: %s, %+v, %v", c.err, got, s.Status(), s.Events())
		}
	}
}

// What happens outside of a trace that is recorded begins none.
func TestNothingBelowNothing(t *testing.T) {
	tracer, spans := recording()
	_, _ = tracer.Users("ldap", unhappy{}).Authenticate(t.Context(), "alice", "secret")
	_ = tracer.Audit(unhappy{}).Record(t.Context(), audit.Event{})
	tracer.Hashed(t.Context(), identity.HashEvent{})
	if n := len(spans.Ended()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// The wait for a hash and the hash lie one after the other before now.
func TestHashed(t *testing.T) {
	tracer, spans := recording()
	ctx, request := tracer.Requests().Start(t.Context(), "request")
	before := time.Now()
	tracer.Hashed(ctx, identity.HashEvent{Scheme: "argon2id", Waited: 3 * time.Second, Took: time.Second})
	request.End()
	wait, hash := spans.Ended()[0], spans.Ended()[1]
	if wait.Name() != "password wait" || hash.Name() != "password hash" || attribute(hash, tracing.Scheme) != "argon2id" {
		t.Errorf("spans %s and %s of %s", wait.Name(), hash.Name(), attribute(hash, tracing.Scheme))
	}
	if wait.EndTime().Sub(wait.StartTime()) != 3*time.Second || hash.EndTime().Sub(hash.StartTime()) != time.Second ||
		!wait.EndTime().Equal(hash.StartTime()) || hash.EndTime().Before(before) {
		t.Errorf("waited from %v to %v, hashed to %v", wait.StartTime(), wait.EndTime(), hash.EndTime())
	}
}

// The other side of a request of authd's own can go on with the trace.
func TestTransport(t *testing.T) {
	var parents []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parents = append(parents, r.Header.Get("Traceparent"))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer receiver.Close()
	tracer, spans := recording()
	client := &http.Client{Transport: tracer.Transport("users", http.DefaultTransport)}
	defer client.CloseIdleConnections()
	ctx, request := tracer.Requests().Start(t.Context(), "request")
	for _, ctx := range []context.Context{ctx, t.Context()} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, receiver.URL+"/secret?of=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if r.Header.Get("Traceparent") != "" {
			t.Error("the caller's request was changed")
		}
	}
	request.End()
	for i, s := range spans.Ended()[:2] {
		want := fmt.Sprintf("00-%s-%s-01", s.SpanContext().TraceID(), s.SpanContext().SpanID())
		if parents[i] != want || s.Parent().IsValid() != (i == 0) || s.Name() != "GET" || s.Status().Code != codes.Error ||
			attribute(s, tracing.Peer) != "users" || attribute(s, "http.response.status_code") != "418" {
			t.Errorf("span %d: %s, below %v, told as %q", i, s.Name(), s.Parent(), parents[i])
		}
		if strings.Contains(fmt.Sprint(s.Attributes()), "secret") {
			t.Errorf("span %d tells the URL: %v", i, s.Attributes())
		}
	}
}

func TestLogHandler(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(tracing.LogHandler(slog.NewTextHandler(&text, nil))).With("a", 1).WithGroup("g")
	tracer, _ := recording()
	ctx, span := tracer.Requests().Start(t.Context(), "request")
	log.InfoContext(ctx, "traced")
	log.InfoContext(t.Context(), "not traced")
	lines := strings.Split(text.String(), "\n")
	if want := "trace_id=" + span.SpanContext().TraceID().String(); !strings.Contains(lines[0], want) || !strings.Contains(lines[0], "a=1") {
		t.Errorf("%s: want %s", lines[0], want)
	}
	if strings.Contains(lines[1], "trace_id") {
		t.Errorf("a line of no request: %s", lines[1])
	}
}

// collector answers posted spans as the test likes.
type collector struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
}

func newCollector(t *testing.T, answer http.HandlerFunc) *collector {
	c := &collector{}
	c.answer.Store(&answer)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*c.answer.Load())(w, r) }))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) open(t *testing.T, queue int, log *bytes.Buffer) (*tracing.Tracer, func() string) {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	reg := newRegistry()
	metrics, err := tracing.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	tracer, err := tracing.Open(t.Context(), tracing.Config{
		Endpoint: c.URL + "/v1/traces", Sample: 1, Queue: queue, Metrics: metrics, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tracer, reg.spans
}

// When the collector hangs, spans do not wait for it, what has no room is counted, the log says so once, and closing takes no
// longer than it may.
func TestCollectorThatHangs(t *testing.T) {
	release := make(chan struct{})
	c := newCollector(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "3600000") // nothing but Close ends the export
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000")
	var log bytes.Buffer
	const queue, more = 20, 30
	tracer, counts := c.open(t, queue, &log)
	for range queue + more {
		_, span := tracer.Requests().Start(t.Context(), "request")
		span.End()
	}
	if got, want := counts(), fmt.Sprintf("exported=0 not_taken=0 queue_full=%d", more); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := tracer.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closing: %v", err)
	}
	if got, want := counts(), fmt.Sprintf("exported=0 not_taken=%d queue_full=%d", queue, more); got != want {
		t.Errorf("counted %s in the end, want %s", got, want)
	}
	if n := strings.Count(log.String(), "traces are lost"); n != 1 {
		t.Errorf("the log says so %d times:\n%s", n, log.String())
	}
}

// A collector that refuses is named in the log once, until it takes spans again.
func TestCollectorThatRefuses(t *testing.T) {
	c := newCollector(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	var log bytes.Buffer
	tracer, counts := c.open(t, 0, &log)
	one := func(want string) {
		t.Helper()
		_, span := tracer.Requests().Start(t.Context(), "request")
		span.End()
		for deadline := time.Now().Add(time.Minute); counts() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("counted %s, want %s", counts(), want)
			}
		}
	}
	one("exported=0 not_taken=1 queue_full=0")
	one("exported=0 not_taken=2 queue_full=0")
	takes := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	c.answer.Store(&takes)
	one("exported=1 not_taken=2 queue_full=0")
	if err := tracer.Close(t.Context()); err != nil {
		t.Error(err)
	}
	var said []string
	for line := range strings.Lines(log.String()) {
		said = append(said, strings.Join(strings.Fields(line)[1:5], " "))
	}
	if want := []string{`level=WARN msg="traces are lost"`, `level=INFO msg="traces are taken`}; !slices.Equal(said, want) {
		t.Errorf("the log:\n%s", log.String())
	}
}

// What waits when the program ends is handed over.
func TestClose(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
	var posts atomic.Int32
	c := newCollector(t, func(http.ResponseWriter, *http.Request) { posts.Add(1) })
	tracer, err := tracing.Open(t.Context(), tracing.Config{Endpoint: c.URL + "/v1/traces", Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Requests().Start(t.Context(), "request")
	span.End()
	if err := tracer.Close(t.Context()); err != nil || posts.Load() != 1 {
		t.Errorf("%d posts, %v", posts.Load(), err)
	}
}

// Of requests a share is recorded; of rotations each.
func TestSample(t *testing.T) {
	c := newCollector(t, func(http.ResponseWriter, *http.Request) {})
	for share, want := range map[float64]bool{0: false, 1: true} {
		tracer, err := tracing.Open(t.Context(), tracing.Config{Endpoint: c.URL + "/v1/traces", Sample: share})
		if err != nil {
			t.Fatal(err)
		}
		_, request := tracer.Requests().Start(t.Context(), "request", server())
		_, rotation := tracer.Requests().Start(t.Context(), "ring rotation")
		if request.IsRecording() != want || !rotation.IsRecording() {
			t.Errorf("of %v: the request %v, the rotation %v", share, request.IsRecording(), rotation.IsRecording())
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
