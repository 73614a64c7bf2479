package testenv

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TraceCollector is a running OpenTelemetry Collector that takes traces.
type TraceCollector struct {
	URL  string // for OTLP over HTTP, without /v1/traces
	CA   string // file of its certificate; "" without TLS
	file string // where it writes what it took
}

// NewTraceCollector starts a collector; it ends with the test.
func NewTraceCollector(t testing.TB, withTLS bool) *TraceCollector {
	t.Helper()
	binary, err := otelcolPath()
	if err != nil {
		t.Fatal(err)
	}
	c := &TraceCollector{file: filepath.Join(t.TempDir(), "spans.jsonl")}
	scheme, tls, files := "http", "", map[string]string{}
	if withTLS {
		certificate, key, err := selfSigned("collector")
		if err != nil {
			t.Fatal(err)
		}
		scheme, tls = "https", ", tls: {cert_file: cert.pem, key_file: key.pem}"
		files["cert.pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
		files["key.pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
		c.CA = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(c.CA, []byte(files["cert.pem"]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.URL = scheme + "://" + startDaemon(t, daemon{
		program: binary, args: []string{"otelcol.yaml"}, ready: "Everything is ready", file: "otelcol.yaml", more: files,
	}, func(addr string) string {
		return fmt.Sprintf(`receivers: {otlp: {protocols: {http: {endpoint: "%s"%s}}}}
exporters: {file: {path: %q}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [file]}}
`, addr, tls, c.file)
	})
	return c
}

// Span is a span as the collector has got it.
type Span struct {
	TraceID    string             `json:"traceId"`
	ID         string             `json:"spanId"`
	Parent     string             `json:"parentSpanId"` // "" for none
	Name       string             `json:"name"`
	Kind       int                `json:"kind"` // 1 internal, 2 server, 3 client
	Begun      Nanoseconds        `json:"startTimeUnixNano"`
	Ended      Nanoseconds        `json:"endTimeUnixNano"`
	Attributes Attributes         `json:"attributes"`
	Links      []SpanLink         `json:"links"`
	Status     struct{ Code int } `json:"status"` // 2 is an error
	Service    Attributes         `json:"-"`      // whose it is
}

// SpanLink leads to a span of another trace.
type SpanLink struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
}

// Nanoseconds is a time, which OTLP writes as a string.
type Nanoseconds struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler].
func (n *Nanoseconds) UnmarshalJSON(text []byte) error {
	ns, err := strconv.ParseInt(string(bytes.Trim(text, `"`)), 10, 64)
	n.Time = time.Unix(0, ns)
	return err
}

// Attributes are those of a span or of a resource, as text.
type Attributes map[string]string

// UnmarshalJSON implements [json.Unmarshaler]. A value is an object with one member, named by its type.
func (a *Attributes) UnmarshalJSON(text []byte) error {
	var list []struct {
		Key   string
		Value map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*a = Attributes{}
	for _, l := range list {
		for kind, v := range l.Value {
			value := string(bytes.Trim(v, `"`))
			if kind == "arrayValue" {
				var array struct {
					Values []struct{ StringValue string }
				}
				if err := json.Unmarshal(v, &array); err != nil {
					return err
				}
				value = fmt.Sprint(array.Values)
			}
			(*a)[l.Key] = value
		}
	}
	return nil
}

// Exported returns all that the collector has got, as OTLP's JSON, a batch in each line.
func (c *TraceCollector) Exported(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(c.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return text
}

// Spans returns the spans that the collector has got, in the order in which they ended.
func (c *TraceCollector) Spans(t testing.TB) []Span {
	t.Helper()
	text := c.Exported(t)
	var all []Span
	for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) { // it may be writing one
		var batch struct {
			ResourceSpans []struct {
				Resource   struct{ Attributes Attributes }
				ScopeSpans []struct{ Spans []Span }
			}
		}
		if err := json.Unmarshal(line, &batch); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		for _, r := range batch.ResourceSpans {
			for _, s := range r.ScopeSpans {
				for _, span := range s.Spans {
					span.Service = r.Resource.Attributes
					all = append(all, span)
				}
			}
		}
	}
	return all
}

// otelcolPath returns where install.d/otelcol.sh has put it.
func otelcolPath() (string, error) {
	source, err := repositoryFile("internal/testenv/otelcol")
	if err != nil {
		return "", fmt.Errorf("looking for the OpenTelemetry Collector: %w", err)
	}
	programs, err := filepath.Glob(filepath.Join(source, "*.go")) // sorted
	if err != nil {
		return "", fmt.Errorf("looking for the OpenTelemetry Collector: %w", err)
	}
	hash := sha256.New()
	for _, file := range append([]string{filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum")}, programs...) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("looking for the OpenTelemetry Collector: %w", err)
		}
		hash.Write(content)
	}
	path := filepath.Join(cacheDir(), fmt.Sprintf("otelcol-%x", hash.Sum(nil)), "otelcol")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the OpenTelemetry Collector is not installed: %w; run internal/testenv/install.sh (make test does)", err)
	}
	return path, nil
}
