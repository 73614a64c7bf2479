package tracing_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

func server() trace.SpanStartOption { return trace.WithSpanKind(trace.SpanKindServer) }

// registry tells what the metrics count.
type registry struct{ *prometheus.Registry }

func newRegistry() registry { return registry{prometheus.NewRegistry()} }

// spans returns what became of spans: "exported=1 not_taken=0 queue_full=0".
func (r registry) spans() string {
	families, err := r.Gather()
	if err != nil {
		return err.Error()
	}
	var counts []string
	for _, m := range families[0].GetMetric() {
		counts = append(counts, fmt.Sprintf("%s=%v", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue()))
	}
	slices.Sort(counts)
	return strings.Join(counts, " ")
}
