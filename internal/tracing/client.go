package tracing

import (
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns next with a span for each request, which is told to the other side in its header (W3C Trace Context). A
// request that belongs to no trace begins one. to says who is asked, "users" say; the URL is not told, as it may be a secret.
func (t *Tracer) Transport(to string, next http.RoundTripper) http.RoundTripper {
	return &transport{t, to, next}
}

type transport struct {
	t    *Tracer
	to   string
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper]. The span ends with the header of the answer: bodies are short.
func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := c.t.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(r.Method), attr(Peer, c.to)))
	r = r.Clone(ctx)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		end(span, err)
		return answer, err
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(answer.StatusCode))
	if answer.StatusCode >= http.StatusBadRequest {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(answer.StatusCode)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
	return answer, nil
}

// CloseIdleConnections lets [http.Client] close those of the transport below.
func (c *transport) CloseIdleConnections() {
	if closer, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
