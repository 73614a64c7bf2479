// Package prommw tells Prometheus what guards decide.
//
//	observer := prommw.NewObserver()
//	prometheus.MustRegister(observer)
//	guard, err := middleware.New(ctx, issuerURL, middleware.Options{Audience: "orders", Observer: observer})
//	observer.Watch(guard) // how old its revocations are
//
// All labels have fixed sets of values; nothing that came with a request is among them.
package prommw

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/middleware"
)

// Observer is a [middleware.Observer] and a [prometheus.Collector] of
//
//	authd_guard_decisions_total            by outcome, policy and degraded
//	authd_guard_decision_duration_seconds  histogram, by policy
//	authd_guard_staleness_seconds          age of the revocations of the guard that is watched
//
// A program with several guards gives each its own, registered with [prometheus.WrapRegistererWith].
type Observer struct {
	decisions *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	staleness *prometheus.Desc
	guard     atomic.Pointer[middleware.Guard] // nil until Watch
}

// NewObserver makes the metrics. The caller registers them.
func NewObserver() *Observer {
	return &Observer{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "authd_guard_decisions_total",
			Help: "Requests and tokens that the guard decided about, by outcome, policy of the route, and whether the copy of the revocations was older than its bound.",
		}, []string{"outcome", "policy", "degraded"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "authd_guard_decision_duration_seconds",
			Help: "Time that deciding took, by policy of the route.",
			// From a token seen before, over a new one, to a question to an issuer that does not answer.
			Buckets: []float64{1e-6, 2.5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"policy"}),
		staleness: prometheus.NewDesc("authd_guard_staleness_seconds",
			"Age of the guard's copy of the revocations; of the guard itself while there is none.", nil, nil),
	}
}

// Watch adds the staleness of a guard. The last one watched counts.
func (o *Observer) Watch(guard *middleware.Guard) { o.guard.Store(guard) }

// Decided implements [middleware.Observer].
func (o *Observer) Decided(_ context.Context, d middleware.Decision) {
	o.decisions.WithLabelValues(string(d.Outcome), d.Policy, strconv.FormatBool(d.Degraded)).Inc()
	o.duration.WithLabelValues(d.Policy).Observe(d.Duration.Seconds())
}

// Describe implements [prometheus.Collector].
func (o *Observer) Describe(ch chan<- *prometheus.Desc) {
	o.decisions.Describe(ch)
	o.duration.Describe(ch)
	ch <- o.staleness
}

// Collect implements [prometheus.Collector].
func (o *Observer) Collect(ch chan<- prometheus.Metric) {
	o.decisions.Collect(ch)
	o.duration.Collect(ch)
	if guard := o.guard.Load(); guard != nil {
		ch <- prometheus.MustNewConstMetric(o.staleness, prometheus.GaugeValue, guard.Status().Staleness.Seconds())
	}
}
