package prommw_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/middleware/prommw"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	issuer := middlewaretest.NewOffline("orders")
	registry := prometheus.NewRegistry()

	observer := prommw.NewObserver()
	registry.MustRegister(observer)
	guard := issuer.Guard(middleware.Options{Observer: observer}) // a service calls middleware.New
	observer.Watch(guard)

	_, err := guard.Verify(context.Background(), issuer.Mint(token.Claims{}))
	fmt.Println(err, testutil.CollectAndCount(observer, "authd_guard_decisions_total"))
	// Output: <nil> 1
}

func TestMetrics(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	observer := prommw.NewObserver()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(observer); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	clock := now
	guard := issuer.Guard(middleware.Options{Observer: observer, Now: func() time.Time {
		clock = clock.Add(20 * time.Microsecond) // so that deciding takes some
		return clock
	}})
	good := issuer.MintAt(now, token.Claims{})
	ended := issuer.MintAt(now, token.Claims{})
	issuer.Logout(ended)
	bearer := func(raw string, opts ...middleware.Option) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		guard.Handler(http.NotFoundHandler(), opts...).ServeHTTP(httptest.NewRecorder(), r)
	}
	bearer(good)
	bearer(good)
	bearer(ended)
	bearer("garbage", middleware.Online())
	if n := testutil.CollectAndCount(observer, "authd_guard_staleness_seconds"); n != 0 {
		t.Errorf("%d gauges of staleness before there is a guard to watch", n)
	}
	observer.Watch(guard)
	issuer.Outage(30 * time.Second)
	bearer(good, middleware.Stale(time.Minute))

	const want = `
# HELP authd_guard_decisions_total Requests and tokens that the guard decided about, by outcome, policy of the route, and whether the copy of the revocations was older than its bound.
# TYPE authd_guard_decisions_total counter
authd_guard_decisions_total{degraded="false",outcome="accepted",policy="closed"} 2
authd_guard_decisions_total{degraded="false",outcome="malformed",policy="online"} 1
authd_guard_decisions_total{degraded="false",outcome="revoked",policy="closed"} 1
authd_guard_decisions_total{degraded="true",outcome="accepted",policy="stale"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "authd_guard_decisions_total"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "authd_guard_decision_duration_seconds":
			h := f.GetMetric()[0].GetHistogram() // of closed, the first by name
			if h.GetSampleCount() != 3 || h.GetSampleSum() < 60e-6 || h.GetSampleSum() > 1e-3 {
				t.Errorf("durations: %v", h)
			}
		case "authd_guard_staleness_seconds":
			// The issuer's outage lies behind the guard's clock, which moves with every look.
			if v := f.GetMetric()[0].GetGauge().GetValue(); v < 30 || v > 30.1 {
				t.Errorf("staleness: %v", v)
			}
		}
	}
	if len(families) != 3 {
		t.Errorf("have %d families", len(families))
	}
}
