package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// Where traces go is said by the settings, or by the standard variables; nothing else turns them on.
func TestTraceSettings(t *testing.T) {
	const base = "http://collector:4318"
	for name, c := range map[string]struct {
		env      map[string]string
		args     []string
		endpoint string // "" for no traces
		byEnv    bool   // who is sampled
		problem  string
	}{
		"off by default":             {},
		"a setting":                  {args: []string{"--otlp-endpoint", base + "/"}, endpoint: base + "/v1/traces"},
		"the standard variable":      {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base}, endpoint: base + "/v1/traces"},
		"that of traces, as it is":   {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": base + "/t"}, endpoint: base + "/t"},
		"a setting wins":             {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1"}, args: []string{"--otlp-endpoint", base}, endpoint: base + "/v1/traces"},
		"switched off":               {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_SDK_DISABLED": "TRUE"}},
		"no exporter":                {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_TRACES_EXPORTER": "none"}},
		"the variable's sampler":     {env: map[string]string{"OTEL_TRACES_SAMPLER": "always_off"}, args: []string{"--otlp-endpoint", base}, endpoint: base + "/v1/traces", byEnv: true},
		"the setting's sampler":      {env: map[string]string{"OTEL_TRACES_SAMPLER": "always_off", "AUTHD_TRACE_SAMPLE": "1"}, args: []string{"--otlp-endpoint", base}, endpoint: base + "/v1/traces"},
		"gRPC":                       {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": base}, problem: "http/protobuf"},
		"a secret in clear":          {args: []string{"--otlp-endpoint", base, "--otlp-headers-file", "f"}, problem: "must be https with otlp-headers-file"},
		"authorities without TLS":    {args: []string{"--otlp-endpoint", base, "--otlp-ca", "f"}, problem: "must be https with otlp-ca"},
		"headers of nothing":         {args: []string{"--otlp-headers-file", "f"}, problem: "otlp-endpoint: required"},
		"no URL":                     {args: []string{"--otlp-endpoint", "collector:4317"}, problem: "want http://HOST:PORT"},
		"a user in the URL":          {args: []string{"--otlp-endpoint", "https://a:b@collector"}, problem: "without user"},
		"more than all":              {args: []string{"--trace-sample", "1.5"}, problem: "trace-sample 1.5"},
		"a kind of parent not known": {args: []string{"--trace-parents", "some"}, problem: "trace-parents"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, c.env, append([]string{}, c.args...)...) // not nil, which means those of the test
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("got %v, want a problem with %q", err, c.problem)
				}
				return
			}
			if err != nil || cfg.OTLPEndpoint != c.endpoint || cfg.traces() != (c.endpoint != "") || cfg.sampleByEnvironment != c.byEnv {
				t.Errorf("endpoint %q, sampled by the environment %v, %v", cfg.OTLPEndpoint, cfg.sampleByEnvironment, err)
			}
		})
	}
}

// The settings on the page are some.
func TestTracesPageSettings(t *testing.T) {
	cfg, err := load(t, nil, "--config", write(t, docs.Text(t, "docs/traces.md", "yaml", 0)))
	if err != nil || cfg.OTLPEndpoint != "https://collector:4318/v1/traces" || cfg.TraceSample != 0.1 {
		t.Errorf("%+v, %v", cfg.TraceConfig, err)
	}
}

func TestOTLPHeaders(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"Authorization: Bearer a:b\nX-Tenant:  authd \n": {"Authorization": "Bearer a:b", "X-Tenant": "authd"},
		"no header":     nil,
		"Bad Name: x\n": nil,
		"Good: a\x00b":  nil,
	} {
		file := filepath.Join(t.TempDir(), "headers")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := TraceConfig{OTLPHeadersFile: file}
		got, err := c.otlpHeaders()
		if !maps.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), strings.Fields(text)[0]) {
			t.Errorf("%q: the error quotes it: %v", text, err)
		}
	}
}
