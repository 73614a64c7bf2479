package httpapi

import (
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Tracing says how requests are traced.
type Tracing struct {
	// Tracer makes a span of each request, by the conventions of OpenTelemetry for HTTP servers; nil for none. Without it the
	// header traceparent is not looked at.
	Tracer trace.Tracer
	// TrustedParents takes a request for part of its caller's trace only when a trusted proxy has passed it on. A trace of
	// anybody else's is then linked to, and does not decide whether the request is recorded.
	TrustedParents bool
}

// begin begins the span of a request; end ends it. What it says of the request is known before: never the path, which may
// name somebody, nor the query, an address or a header.
func (t Tracing) begin(s *site, x *exchange) {
	r := x.Request()
	remote := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, options := remote, []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	if t.TrustedParents && !s.fromTrusted(r) {
		ctx = r.Context()
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(remote)))
	}
	name, method := r.Method, r.Method
	if knownMethod(method) != method { // by the conventions
		name, method = "HTTP", "_OTHER"
	}
	attrs := []attribute.KeyValue{
		attribute.String("http.request.method", method), attribute.String("url.scheme", scheme(r)), attribute.String("authd.listener", s.name),
	}
	if x.route.path != "" {
		name += " " + x.route.path
		attrs = append(attrs, attribute.String("http.route", x.route.path))
	}
	ctx, x.span = t.Tracer.Start(ctx, name, append(options, trace.WithAttributes(attrs...))...)
	x.SetRequest(r.WithContext(ctx))
}

// scheme is that of the connection: authd serves plain HTTP behind a proxy.
func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// endSpan tells what was answered.
func (x *exchange) endSpan(status int) {
	if x.span.IsRecording() {
		x.span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			x.span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
			x.span.SetStatus(codes.Error, "")
		}
	}
	x.span.End()
}
