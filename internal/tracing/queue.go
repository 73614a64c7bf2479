package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Metrics count what becomes of spans.
type Metrics struct{ taken, full, refused prometheus.Counter }

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m, vec := makeMetrics()
	if err := reg.Register(vec); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

func newMetrics() *Metrics {
	m, _ := makeMetrics()
	return m
}

func makeMetrics() (*Metrics, *prometheus.CounterVec) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "authd_trace_spans_total",
		Help: "Spans by what became of them: exported, or dropped because the queue was full or the collector did not take them.",
	}, []string{"result"})
	return &Metrics{vec.WithLabelValues("exported"), vec.WithLabelValues("queue_full"), vec.WithLabelValues("not_taken")}, vec
}

// queue stands around the SDK's batching processor, which drops spans without telling anybody. It lets in what has room, so
// that the processor never drops any, and counts the rest; and takes what the collector says for itself, so that it comes
// into authd's log, once.
type queue struct {
	sdktrace.SpanProcessor // the SDK's

	next    sdktrace.SpanExporter
	metrics *Metrics
	log     *slog.Logger
	most    int64
	waiting atomic.Int64 // let in, and neither exported nor lost yet

	losing    atomic.Bool     // since the last success
	abandoned context.Context // ends what is under way
	stop      context.CancelFunc
	ended     chan struct{} // closed when the processor has ended
}

func newQueue(next sdktrace.SpanExporter, c Config) *queue {
	q := &queue{next: next, metrics: c.Metrics, log: c.Log, most: int64(c.Queue), ended: make(chan struct{})}
	q.abandoned, q.stop = context.WithCancel(context.Background())
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(exporter{q}, sdktrace.WithMaxQueueSize(c.Queue))
	return q
}

// OnEnd implements [sdktrace.SpanProcessor]. It never waits.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.waiting.Add(1) > q.most {
		q.waiting.Add(-1)
		q.metrics.full.Inc()
		q.lose("the queue is full", nil)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// lose says once, until spans are taken again, that they are lost.
func (q *queue) lose(why string, err error) {
	if !q.losing.Swap(true) {
		q.log.Warn("traces are lost", "why", why, "err", err)
	}
}

// abandon ends an export that is under way, and waits for the processor to end.
func (q *queue) abandon() {
	q.stop()
	<-q.ended
}

// exporter is what the SDK's processor calls, on one goroutine.
type exporter struct{ q *queue }

// ExportSpans implements [sdktrace.SpanExporter].
func (e exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.q.abandoned, cancel)()
	err := e.q.next.ExportSpans(ctx, spans)
	e.q.waiting.Add(int64(-len(spans)))
	if err != nil {
		e.q.metrics.refused.Add(float64(len(spans)))
		e.q.lose("the collector does not take them", err)
		return nil
	}
	e.q.metrics.taken.Add(float64(len(spans)))
	if e.q.losing.Swap(false) {
		e.q.log.Info("traces are taken again")
	}
	return nil
}

// Shutdown implements [sdktrace.SpanExporter].
func (e exporter) Shutdown(ctx context.Context) error {
	defer close(e.q.ended)
	return e.q.next.Shutdown(ctx)
}
