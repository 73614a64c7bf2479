// Package otelmw tells OpenTelemetry what guards decide: metrics by outcome and policy, and in the trace of a request a span of
// what deciding took.
//
//	observer, err := otelmw.NewObserver(otelmw.Options{})
//	guard, err := middleware.New(ctx, issuerURL, middleware.Options{Audience: "orders", Observer: observer})
//	watch, err := observer.Watch(guard) // how old its revocations are
//
// The span belongs to whatever has begun that of the request, such as otelhttp: nothing is to be set here, and a request that
// is not recorded costs nothing. Options.Client of the guard may have a transport that propagates traces; then authd goes on
// with that of a request which an Online route asks it about.
//
// Everything recorded is of a fixed set of values; nothing that came with a request is among it, no subject and no token.
package otelmw

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/authd-project/authd/middleware"
)

// scope names what makes metrics and spans.
const scope = "github.com/authd-project/authd/middleware/otelmw"

// Options are the settings of an [Observer]. The zero value is ready to use.
type Options struct {
	// MeterProvider makes the instruments. Default: the program's global one.
	MeterProvider metric.MeterProvider
}

// Observer is a [middleware.Observer]. It may serve several guards. The instruments:
//
//	authd.guard.decisions  counter, by authd.outcome, authd.policy and authd.degraded
//	authd.guard.duration   histogram of seconds that a decision took, by authd.policy
//	authd.guard.staleness  gauge, for guards that are watched: age of their revocations in seconds
//
// The span of a request that is being recorded gets the counter's attributes, and an event authd.refused when the request is;
// and below it a span "authd verify" with the same attributes.
type Observer struct {
	meter     metric.Meter
	decisions metric.Int64Counter
	duration  metric.Float64Histogram
	staleness metric.Float64ObservableGauge
	made      sync.Map // kind → *labels: a closed set, made once each
}

// NewObserver makes the instruments.
func NewObserver(opts Options) (*Observer, error) {
	if opts.MeterProvider == nil {
		opts.MeterProvider = otel.GetMeterProvider()
	}
	o := &Observer{meter: opts.MeterProvider.Meter(scope)}
	var err error
	if o.decisions, err = o.meter.Int64Counter("authd.guard.decisions", metric.WithUnit("{decision}"),
		metric.WithDescription("Requests and tokens that guards decided about.")); err != nil {
		return nil, fmt.Errorf("making the counter of decisions: %w", err)
	}
	if o.duration, err = o.meter.Float64Histogram("authd.guard.duration", metric.WithUnit("s"),
		metric.WithDescription("Time that deciding took."),
		metric.WithExplicitBucketBoundaries(buckets()...)); err != nil {
		return nil, fmt.Errorf("making the histogram of durations: %w", err)
	}
	if o.staleness, err = o.meter.Float64ObservableGauge("authd.guard.staleness", metric.WithUnit("s"),
		metric.WithDescription("Age of a guard's copy of the revocations.")); err != nil {
		return nil, fmt.Errorf("making the gauge of staleness: %w", err)
	}
	return o, nil
}

// buckets reach from a token seen before, over a new one, to a question to an issuer that does not answer.
func buckets() []float64 {
	return []float64{1e-6, 2.5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5}
}

// Watch measures how old the guard's revocations are whenever metrics are collected, until it is unregistered. Watch one
// guard: others would report under the same name.
func (o *Observer) Watch(guard *middleware.Guard) (metric.Registration, error) {
	watch, err := o.meter.RegisterCallback(func(_ context.Context, m metric.Observer) error {
		m.ObserveFloat64(o.staleness, guard.Status().Staleness.Seconds())
		return nil
	}, o.staleness)
	if err != nil {
		return nil, fmt.Errorf("watching a guard: %w", err)
	}
	return watch, nil
}

// Decided implements [middleware.Observer].
func (o *Observer) Decided(ctx context.Context, d middleware.Decision) {
	l := o.labels(kind{d.Outcome, d.Policy, d.Degraded})
	o.decisions.Add(ctx, 1, l.counted...)
	o.duration.Record(ctx, d.Duration.Seconds(), l.timed...)
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	now := time.Now()
	// By the provider of the request's span, so that both go to the same place; begun late, as who is not recorded must not pay.
	_, verify := span.TracerProvider().Tracer(scope).Start(ctx, "authd verify", trace.WithTimestamp(now.Add(-d.Duration)), l.begun)
	verify.End(trace.WithTimestamp(now))
	span.SetAttributes(l.span...)
	if d.Outcome != middleware.Accepted {
		span.AddEvent("authd.refused", l.event) // a request may meet several guards; attributes are the last one's
	}
}

type kind struct {
	outcome  middleware.Outcome
	policy   string
	degraded bool
}

// labels are the attributes of a kind of decision in every form in which they are wanted.
type labels struct {
	counted []metric.AddOption
	timed   []metric.RecordOption
	span    []attribute.KeyValue
	event   trace.EventOption
	begun   trace.SpanStartOption
}

func (o *Observer) labels(k kind) *labels {
	if l, ok := o.made.Load(k); ok {
		return l.(*labels)
	}
	policy := attribute.String("authd.policy", k.policy)
	all := []attribute.KeyValue{
		attribute.String("authd.outcome", string(k.outcome)), policy, attribute.Bool("authd.degraded", k.degraded),
	}
	l, _ := o.made.LoadOrStore(k, &labels{
		counted: []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(all...))},
		timed:   []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(policy))},
		span:    all,
		event:   trace.WithAttributes(all...),
		begun:   trace.WithAttributes(all...),
	})
	return l.(*labels)
}
