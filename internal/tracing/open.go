package tracing

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Config says where traces go. Endpoint is required.
type Config struct {
	Endpoint string            // where spans are posted, in OTLP's protobuf: http or https, with its path
	Headers  map[string]string // of each request, such as a token of the collector's; they are secrets
	TLS      *tls.Config       // default: the system's authorities
	// Sample is the share of traces that are recorded, from 0 to 1, where the request does not bring a decision along. The
	// rotations of keys are always recorded.
	Sample float64
	// SampleByEnvironment leaves the decision to OTEL_TRACES_SAMPLER.
	SampleByEnvironment bool
	Queue               int    // spans that may wait for the collector; more are dropped; default 2048
	Version             string // of authd
	Instance            string // names this process
	Metrics             *Metrics
	Log                 *slog.Logger // default: none
}

// The pauses between tries to hand over one batch, and how long it is tried.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Second
	tryFor     = 20 * time.Second
)

// Open returns a tracer whose spans go to a collector, by OTLP over HTTP. It does not connect. The SDK's own environment
// variables count where Config says nothing: OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, OTEL_BSP_* but for the size of
// the queue, and of OTEL_EXPORTER_OTLP_* the timeout, compression, certificates and headers.
func Open(ctx context.Context, c Config) (*Tracer, error) {
	if c.Queue == 0 {
		c.Queue = sdktrace.DefaultMaxQueueSize
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = newMetrics()
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("authd"), semconv.ServiceVersion(c.Version), semconv.ServiceInstanceID(c.Instance)),
		resource.WithFromEnv(), // the last wins
	)
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	client, err := otlptracehttp.New(ctx, exporterOptions(c)...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	q := newQueue(client, c)
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(about), sdktrace.WithSpanProcessor(q), sdktrace.WithRawSpanLimits(spanLimits()),
	}
	if !c.SampleByEnvironment {
		options = append(options, sdktrace.WithSampler(newSampler(c.Sample)))
	}
	sdk := sdktrace.NewTracerProvider(options...)
	t := New(sdk)
	t.provider = opened{sdk, q}
	return t, nil
}

func exporterOptions(c Config) []otlptracehttp.Option {
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(c.Endpoint),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: firstPause, MaxInterval: lastPause, MaxElapsedTime: tryFor,
		}),
	}
	if len(c.Headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(c.Headers))
	}
	if c.TLS != nil {
		options = append(options, otlptracehttp.WithTLSClientConfig(c.TLS))
	}
	return options
}

// spanLimits bound what one span holds, whatever the environment says. authd's own spans are far below.
func spanLimits() sdktrace.SpanLimits {
	const few = 64
	return sdktrace.SpanLimits{
		AttributeValueLengthLimit: 256, AttributeCountLimit: few, EventCountLimit: few, LinkCountLimit: few,
		AttributePerEventCountLimit: few, AttributePerLinkCountLimit: few,
	}
}

// opened is the SDK with its queue.
type opened struct {
	sdk   *sdktrace.TracerProvider
	queue *queue
}

func (o opened) close(ctx context.Context) error {
	err := o.sdk.Shutdown(ctx)
	o.queue.abandon()
	if err != nil {
		return fmt.Errorf("handing over the last traces: %w", err)
	}
	return nil
}

// Close hands over what waits, until ctx ends, and then drops the rest. Spans that end later are lost.
func (t *Tracer) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.close(ctx)
}
