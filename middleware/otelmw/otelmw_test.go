package otelmw_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/echomw"
	"github.com/authd-project/authd/middleware/grpcmw"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/middleware/otelmw"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	issuer := middlewaretest.NewOffline("orders")
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))

	observer, err := otelmw.NewObserver(otelmw.Options{MeterProvider: provider})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard := issuer.Guard(middleware.Options{Observer: observer}) // a service calls middleware.New
	watch, err := observer.Watch(guard)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = watch.Unregister() }()

	_, err = guard.Verify(context.Background(), issuer.Mint(token.Claims{}))
	var all metricdata.ResourceMetrics
	fmt.Println(err, reader.Collect(context.Background(), &all))
	for _, m := range all.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name)
	}
	// Unordered output:
	// <nil> <nil>
	// authd.guard.decisions
	// authd.guard.duration
	// authd.guard.staleness
}

// collected are the metrics of one collection, by name.
func collected(t *testing.T, reader metric.Reader) map[string]metricdata.Aggregation {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]metricdata.Aggregation{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m.Data
		}
	}
	return byName
}

func TestMetrics(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	reader := metric.NewManualReader()
	observer, err := otelmw.NewObserver(otelmw.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	guard := issuer.Guard(middleware.Options{Observer: observer})
	watch, err := observer.Watch(guard)
	if err != nil {
		t.Fatal(err)
	}
	good := issuer.Mint(token.Claims{})
	verify := func(raw string, opts ...middleware.Option) { _, _ = guard.Verify(t.Context(), raw, opts...) }
	verify(good)
	verify(good)
	verify("garbage", middleware.Online())
	issuer.Outage(30 * time.Second)
	verify(good, middleware.Stale(time.Minute))

	data := collected(t, reader)
	var counted []string
	for _, p := range data["authd.guard.decisions"].(metricdata.Sum[int64]).DataPoints {
		counted = append(counted, fmt.Sprint(p.Attributes.Encoded(attribute.DefaultEncoder()), " ", p.Value))
	}
	slices.Sort(counted)
	if want := []string{
		"authd.degraded=false,authd.outcome=accepted,authd.policy=closed 2",
		"authd.degraded=false,authd.outcome=malformed,authd.policy=online 1",
		"authd.degraded=true,authd.outcome=accepted,authd.policy=stale 1",
	}; !slices.Equal(counted, want) {
		t.Errorf("counted %q, want %q", counted, want)
	}
	timed := uint64(0)
	for _, p := range data["authd.guard.duration"].(metricdata.Histogram[float64]).DataPoints {
		timed += p.Count
		if p.Sum <= 0 {
			t.Errorf("no time passed: %+v", p)
		}
	}
	if timed != 4 {
		t.Errorf("%d durations", timed)
	}
	gauge := data["authd.guard.staleness"].(metricdata.Gauge[float64]).DataPoints
	if len(gauge) != 1 || gauge[0].Value < 30 || gauge[0].Value > 60 {
		t.Errorf("staleness %+v", gauge)
	}
	if err := watch.Unregister(); err != nil {
		t.Fatal(err)
	}
	if _, still := collected(t, reader)["authd.guard.staleness"]; still {
		t.Error("an unregistered guard is watched on")
	}
}

// The span of a request says what became of it, and nothing of who asked.
func TestSpan(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	observer, err := otelmw.NewObserver(otelmw.Options{MeterProvider: metric.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	guard := issuer.Guard(middleware.Options{Observer: observer})
	exporter := tracetest.NewInMemoryExporter()
	tracer := trace.NewTracerProvider(trace.WithSyncer(exporter)).Tracer("test")
	raw := issuer.Mint(token.Claims{Subject: "alice-in-person"})
	for _, c := range []struct {
		opts    []middleware.Option
		outcome string
		events  int
	}{
		{nil, "accepted", 0},
		{[]middleware.Option{middleware.Scopes("write")}, "insufficient_scope", 1},
	} {
		exporter.Reset()
		ctx, span := tracer.Start(t.Context(), "request")
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+raw)
		guard.Handler(http.NotFoundHandler(), c.opts...).ServeHTTP(httptest.NewRecorder(), r)
		span.End()
		verify, s := exporter.GetSpans()[0], exporter.GetSpans()[1]
		for _, s := range []tracetest.SpanStub{verify, s} {
			set := attribute.NewSet(s.Attributes...)
			if have := set.Encoded(attribute.DefaultEncoder()); have != "authd.degraded=false,authd.outcome="+c.outcome+",authd.policy=closed" {
				t.Errorf("%s: attributes of %s: %s", c.outcome, s.Name, have)
			}
		}
		if verify.Name != "authd verify" || verify.Parent.SpanID() != s.SpanContext.SpanID() ||
			!verify.StartTime.After(s.StartTime) || !verify.EndTime.After(verify.StartTime) || verify.EndTime.After(s.EndTime) {
			t.Errorf("%s: %s from %v to %v, below %v; the request from %v to %v",
				c.outcome, verify.Name, verify.StartTime, verify.EndTime, verify.Parent.SpanID(), s.StartTime, s.EndTime)
		}
		if len(s.Events) != c.events || c.events > 0 && s.Events[0].Name != "authd.refused" {
			t.Errorf("%s: events %+v", c.outcome, s.Events)
		}
		if said := fmt.Sprintf("%+v %+v", s, verify); strings.Contains(said, "alice-in-person") || strings.Contains(said, raw[:20]) {
			t.Errorf("%s: the span says who it was: %s", c.outcome, said)
		}
	}
}

// Behind the adapters, too, a request that is recorded gets a span of its verification.
func TestSpanOfAdapters(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	observer, err := otelmw.NewObserver(otelmw.Options{MeterProvider: metric.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	guard := issuer.Guard(middleware.Options{Observer: observer})
	raw := issuer.Mint(token.Claims{})
	for name, ask := range map[string]func(context.Context) error{
		"echo": func(ctx context.Context) error {
			e := echo.New()
			e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusOK) }, echomw.Require(guard))
			r, w := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), httptest.NewRecorder()
			r.Header.Set("Authorization", "Bearer "+raw)
			e.ServeHTTP(w, r)
			return map[bool]error{false: fmt.Errorf("answered %d", w.Code)}[w.Code == http.StatusOK]
		},
		"gRPC": func(ctx context.Context) error {
			ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+raw))
			_, err := grpcmw.Unary(guard, grpcmw.All())(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/orders.Orders/List"},
				func(context.Context, any) (any, error) { return nil, nil })
			return err
		},
	} {
		exporter := tracetest.NewInMemoryExporter()
		ctx, span := trace.NewTracerProvider(trace.WithSyncer(exporter)).Tracer("test").Start(t.Context(), "request")
		if err := ask(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		span.End()
		spans := exporter.GetSpans()
		if len(spans) != 2 || spans[0].Name != "authd verify" || spans[0].Parent.SpanID() != span.SpanContext().SpanID() {
			t.Errorf("%s: %+v", name, spans)
		}
	}
}

// A request that is not recorded pays for no span.
func TestUnrecordedCostsNothing(t *testing.T) {
	observer, err := otelmw.NewObserver(otelmw.Options{MeterProvider: noop.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := trace.NewTracerProvider(trace.WithSampler(trace.NeverSample())).Tracer("test").Start(t.Context(), "request")
	defer span.End()
	d := middleware.Decision{Outcome: middleware.Accepted, Policy: "closed", Duration: time.Microsecond}
	observer.Decided(ctx, d)
	if n := testing.AllocsPerRun(100, func() { observer.Decided(ctx, d) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Without a MeterProvider the global one is used, and without any span and provider nothing fails.
func TestDefaults(t *testing.T) {
	observer, err := otelmw.NewObserver(otelmw.Options{})
	if err != nil {
		t.Fatal(err)
	}
	observer.Decided(t.Context(), middleware.Decision{Outcome: middleware.Revoked, Policy: "closed"})
}
