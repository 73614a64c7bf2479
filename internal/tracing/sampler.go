package tracing

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// newSampler leaves the decision to whoever began the trace. Of those that begin here it takes a share; but all rotations
// of keys, which are few.
func newSampler(share float64) sdktrace.Sampler {
	return sdktrace.ParentBased(roots{sdktrace.TraceIDRatioBased(share)})
}

type roots struct{ requests sdktrace.Sampler }

// ShouldSample implements [sdktrace.Sampler].
func (r roots) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if p.Kind == trace.SpanKindInternal || p.Kind == trace.SpanKindUnspecified { // which will be internal
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return r.requests.ShouldSample(p)
}

// Description implements [sdktrace.Sampler].
func (r roots) Description() string { return "Rotations," + r.requests.Description() }
