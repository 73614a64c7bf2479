package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names what made the spans.
const scope = "github.com/authd-project/authd"

// Tracer makes spans. Methods may be called concurrently.
type Tracer struct {
	tracer   trace.Tracer
	provider provider

	ring ringWrite // the last change of the key ring by this process
}

// provider is what must be closed.
type provider interface {
	close(ctx context.Context) error
}

// New returns a tracer that hands its spans to the provider, which is the caller's to shut down.
func New(p trace.TracerProvider) *Tracer { return &Tracer{tracer: p.Tracer(scope)} }

// Requests makes the spans of requests; see package httpapi.
func (t *Tracer) Requests() trace.Tracer { return t.tracer }

// child begins a span below that of ctx, if that one is being recorded.
func (t *Tracer) child(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	ctx = withPass(ctx)
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, name, trace.WithAttributes(attrs...))
}

// past adds a span of what is over.
func (t *Tracer) past(ctx context.Context, name string, begun, ended time.Time, attrs ...attribute.KeyValue) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(begun), trace.WithAttributes(attrs...))
	span.End(trace.WithTimestamp(ended))
}

// end ends a span with what came of it.
func end(span trace.Span, err error) {
	if span.IsRecording() && err != nil {
		what, failed := outcome(err)
		if failed {
			span.SetAttributes(semconv.ErrorTypeKey.String(what))
			span.SetStatus(codes.Error, "")
		} else {
			span.SetAttributes(attribute.String(Outcome, what))
		}
	}
	span.End()
}
