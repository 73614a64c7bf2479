package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"
	"golang.org/x/net/http/httpguts"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/tracing"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// TraceConfig says where traces go.
type TraceConfig struct {
	OTLPEndpoint    string
	OTLPHeadersFile string
	OTLPCA          string
	TraceSample     float64
	TraceParents    string // any or trusted

	sampleByEnvironment bool
	protocol            string // by the environment; "" for none
}

func (c *TraceConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.OTLPEndpoint, "otlp-endpoint", "", "URL of the OpenTelemetry collector that gets traces, by OTLP over HTTP, such as https://collector:4318 (default: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT; without one there are no traces)")
	fs.StringVar(&c.OTLPHeadersFile, "otlp-headers-file", "", "file of what the collector wants in each request, a line each, such as \"Authorization: Bearer …\"")
	fs.StringVar(&c.OTLPCA, "otlp-ca", "", "PEM file of the authorities of the collector's certificate (default: the system's)")
	fs.Float64Var(&c.TraceSample, "trace-sample", 1, "share of requests whose trace is recorded, from 0 to 1, where the caller has not decided; rotations of keys are always recorded (default: by OTEL_TRACES_SAMPLER, else 1)")
	fs.StringVar(&c.TraceParents, "trace-parents", "any", "whose traceparent a request belongs to, and lets decide whether it is recorded: any, or trusted for those that trusted-proxies pass on")
}

// completeTraces takes from OpenTelemetry's standard variables what no setting says. sampled tells whether trace-sample is
// set.
func (c *TraceConfig) completeTraces(getenv func(string) string, sampled bool) {
	if c.OTLPEndpoint != "" {
		c.OTLPEndpoint = tracesURL(c.OTLPEndpoint)
	} else if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return
	} else if u := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); u != "" {
		c.OTLPEndpoint = u // as it is, by the specification
	} else if u := getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); u != "" {
		c.OTLPEndpoint = tracesURL(u)
	}
	c.sampleByEnvironment = !sampled && getenv("OTEL_TRACES_SAMPLER") != ""
	c.protocol = orElse(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
}

// tracesURL is where a collector at a base URL takes traces.
func tracesURL(base string) string { return strings.TrimRight(base, "/") + "/v1/traces" }

// traces tells whether there are any.
func (c *TraceConfig) traces() bool { return c.OTLPEndpoint != "" }

func (c *TraceConfig) validate() error {
	problems := []error{
		require(c.TraceSample >= 0 && c.TraceSample <= 1, "trace-sample %v: must be from 0 to 1", c.TraceSample),
		oneOf("trace-parents", c.TraceParents, "any", "trusted"),
		require(c.traces() || c.OTLPHeadersFile == "" && c.OTLPCA == "", "otlp-endpoint: required with otlp-headers-file or otlp-ca"),
	}
	if !c.traces() {
		return errors.Join(problems...)
	}
	u, err := url.Parse(c.OTLPEndpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.Join(append(problems, errors.New("otlp-endpoint: want http://HOST:PORT or https://HOST:PORT, without user and query"))...)
	}
	return errors.Join(append(problems,
		require(u.Scheme == "https" || c.OTLPCA == "", "otlp-endpoint: must be https with otlp-ca"),
		require(u.Scheme == "https" || c.OTLPHeadersFile == "" || loopbackHost(u.Hostname()),
			"otlp-endpoint: must be https with otlp-headers-file, or what the collector wants would cross the network in clear"),
		require(c.protocol == "" || c.protocol == "http/protobuf",
			"OTEL_EXPORTER_OTLP_PROTOCOL %q: authd speaks http/protobuf, which collectors take at port 4318; set otlp-endpoint, and the variable to that", c.protocol),
	)...)
}

// otlpHeaders reads the file of headers.
func (c *TraceConfig) otlpHeaders() (map[string]string, error) {
	if c.OTLPHeadersFile == "" {
		return nil, nil
	}
	text, err := readOrMakeSecret(c.OTLPHeadersFile, false)
	if err != nil {
		return nil, fmt.Errorf("otlp-headers-file: %w", err)
	}
	headers := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, found := strings.Cut(lines.Text(), ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("otlp-headers-file: want NAME: VALUE in each line") // which one is a secret
		}
		headers[name] = value
	}
	return headers, nil
}

func (c *TraceConfig) otlpTLS() (*tls.Config, error) {
	if c.OTLPCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.OTLPCA)
	if err != nil {
		return nil, fmt.Errorf("otlp-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("otlp-ca: %s has no certificate", c.OTLPCA)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// traceFlush bounds how long the collector may take the last spans when authd stops.
const traceFlush = 3 * time.Second

// openTraces comes first, and so closes last: what others do when they close is traced, too.
func (a *app) openTraces(ctx context.Context) error {
	metrics, err := tracing.NewMetrics(a.registry)
	if err != nil || !a.cfg.traces() {
		return err
	}
	headers, err := a.cfg.otlpHeaders()
	if err != nil {
		return err
	}
	trust, err := a.cfg.otlpTLS()
	if err != nil {
		return err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { // the SDK has one for all that it does
		a.log.Debug("tracing", "err", err)
	}))
	a.traces, err = tracing.Open(ctx, tracing.Config{
		Endpoint: a.cfg.OTLPEndpoint, Headers: headers, TLS: trust,
		Sample: a.cfg.TraceSample, SampleByEnvironment: a.cfg.sampleByEnvironment,
		Version: buildVersion(), Instance: a.identity, Metrics: metrics, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), min(traceFlush, a.cfg.DrainTimeout))
		defer cancel()
		if err := a.traces.Close(ctx); err != nil { // no reason to end with an error: nothing is lost but traces
			a.log.Warn("traces are lost", "err", err)
		}
		return nil
	})
	return nil
}

// What follows puts traces between the parts, or nothing where there are none.

// requestTraces are of both listeners.
func (a *app) requestTraces() httpapi.Tracing {
	if a.traces == nil {
		return httpapi.Tracing{}
	}
	return httpapi.Tracing{Tracer: a.traces.Requests(), TrustedParents: a.cfg.TraceParents == "trusted"}
}

func (a *app) tracedUsers(element string, s identity.Source) identity.Source {
	if a.traces != nil {
		kind, _ := splitUserSource(element)
		s.Users = a.traces.Users(kind, s.Users)
	}
	return s
}

// onHash is told of password hashes.
func (a *app) onHash() func(context.Context, identity.HashEvent) {
	if a.traces == nil {
		return nil
	}
	return a.traces.Hashed
}

func (a *app) tracedStores(st stores) stores {
	if a.traces == nil {
		return st
	}
	return stores{a.traces.Sessions(st.sessions), a.traces.Revocations(st.revocations)}
}

func (a *app) tracedTokens(issuer session.Tokens) session.Tokens {
	if a.traces == nil {
		return issuer
	}
	return a.traces.Tokens(issuer)
}

func (a *app) tracedVerifier(v *token.Verifier) httpapi.Verifier {
	if a.traces == nil {
		return v
	}
	return a.traces.Verifier(v)
}

func (a *app) tracedLogins(l limits) httpapi.Logins {
	if a.traces == nil {
		return l.logins
	}
	return a.traces.Logins(l.logins)
}

func (a *app) tracedLimits(l limits) map[string]httpapi.RateLimiter {
	if a.traces == nil {
		return l.routes
	}
	traced := maps.Clone(l.routes)
	for name, limit := range traced {
		traced[name] = a.traces.Limit(name, limit)
	}
	return traced
}

// auditRecorder takes events: the audit log, or the log seen in traces.
type auditRecorder interface {
	Record(ctx context.Context, e audit.Event) error
}

func (a *app) tracedAudit() auditRecorder {
	if a.traces == nil {
		return a.audit
	}
	return a.traces.Audit(a.audit)
}

// tracedRing returns the ring's store as the view and the rotator want it, and what the rotator wants besides.
func (a *app) tracedRing() (view, rotator keys.Store, pass func(context.Context, func(context.Context) error) error) {
	if a.traces == nil {
		return a.ring, a.ring, nil
	}
	rotation := a.traces.Rotation(a.ring)
	return a.traces.Published(a.ring), rotation, rotation.Pass
}

// tracedRequests is around what makes requests of authd's own.
func (a *app) tracedRequests(to string) func(http.RoundTripper) http.RoundTripper {
	if a.traces == nil {
		return nil
	}
	return func(next http.RoundTripper) http.RoundTripper { return a.traces.Transport(to, next) }
}

// traceRedis lets a client's commands be seen.
func (c *connections) traceRedis(client redis.UniversalClient) redis.UniversalClient {
	if c.traces != nil {
		client.AddHook(c.traces.Redis())
	}
	return client
}

// tracedLog names the trace in each line that is about a traced request.
func (c *TraceConfig) tracedLog(h slog.Handler) slog.Handler {
	if !c.traces() {
		return h
	}
	return tracing.LogHandler(h)
}
