package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// fileConfig is the configuration of the exporter "file".
type fileConfig struct {
	Path string `mapstructure:"path"`
}

// newFileExporter makes exporters that append each batch of spans to a file, as one line of OTLP's JSON.
func newFileExporter() exporter.Factory {
	return exporter.NewFactory(component.MustNewType("file"), func() component.Config { return &fileConfig{} },
		exporter.WithTraces(func(_ context.Context, _ exporter.Settings, c component.Config) (exporter.Traces, error) {
			return &fileExporter{path: c.(*fileConfig).Path}, nil
		}, component.StabilityLevelDevelopment))
}

type fileExporter struct {
	path string
	file *os.File
}

// Start implements [component.Component].
func (e *fileExporter) Start(context.Context, component.Host) (err error) {
	e.file, err = os.OpenFile(e.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

// Shutdown implements [component.Component].
func (e *fileExporter) Shutdown(context.Context) error { return e.file.Close() }

// Capabilities implements [consumer.Traces].
func (*fileExporter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeTraces implements [consumer.Traces]. A line is one write, so that lines of several batches stay apart.
func (e *fileExporter) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	if err != nil {
		return fmt.Errorf("writing spans: %w", err)
	}
	_, err = e.file.Write(append(line, '\n'))
	return err
}
