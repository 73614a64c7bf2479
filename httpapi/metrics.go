package httpapi

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Metrics are the measurements of both listeners. All labels have fixed sets of values: nothing that a client sends
// ever becomes one.
type Metrics struct {
	requests      *prometheus.HistogramVec
	verifications outcomes
	logins        outcomes
	refreshes     outcomes
	limits        *prometheus.CounterVec
}

type observer = prometheus.Observer

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "authd_http_request_duration_seconds",
			Help: "Time from the arrival of a request to the end of its answer, by route template and class of status.",
			// From a verification answered from memory (tens of microseconds) to a login that queued for the hash.
			Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"listener", "route", "method", "code"}),
		verifications: newOutcomes("authd_token_verifications_total",
			"Access tokens verified on this server, by outcome.", verificationOutcomes()),
		logins: newOutcomes("authd_logins_total", "Logins with well-formed requests, by outcome.", loginOutcomes()),
		refreshes: newOutcomes("authd_refreshes_total", "Refreshes with well-formed requests, by outcome.",
			refreshOutcomes()),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "authd_rate_limit_decisions_total",
			Help: "Requests to routes with a rate limit, by the limit's name and its decision.",
		}, []string{"limit", "decision"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.verifications.vec, m.logins.vec, m.refreshes.vec, m.limits} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// timings resolves a route's observers once, so that a request costs no lookup.
func (m *Metrics) timings(listener, path, method string) [6]observer {
	var o [6]observer
	for class := range o {
		o[class] = m.requests.WithLabelValues(listener, path, method, fmt.Sprintf("%dxx", class))
	}
	return o
}

// outcome is one value of the label outcome, and the error that leads to it.
type outcome struct {
	label string
	is    error
}

func verificationOutcomes() []outcome {
	return []outcome{
		{"malformed", token.ErrMalformed}, {"signature", token.ErrSignature}, {"expired", token.ErrExpired},
		{"not_yet_valid", token.ErrNotYetValid}, {"issuer", token.ErrIssuer}, {"audience", token.ErrAudience},
		{"unknown_key", token.ErrUnknownKey}, {"revoked", token.ErrRevoked}, {"unavailable", token.ErrUnavailable},
		{"absent", errNoToken},
	}
}

func loginOutcomes() []outcome {
	return []outcome{
		{"second_factor", errMoreWanted}, {"invalid_factor", mfa.ErrWrong}, {"invalid_factor", mfa.ErrState},
		{"unavailable", mfa.ErrUnavailable}, {"invalid_credentials", identity.ErrInvalidCredentials}, {"busy", identity.ErrBusy},
		{"limited", errTooManyAttempts}, {"unavailable", ratelimit.ErrUnavailable},
		{"unavailable", identity.ErrUnavailable}, {"unavailable", session.ErrUnavailable},
		{"unavailable", keys.ErrUnavailable},
	}
}

func refreshOutcomes() []outcome {
	return []outcome{
		{"reuse", session.ErrReuse}, {"invalid_grant", session.ErrInvalidGrant},
		{"unavailable", session.ErrUnavailable}, {"unavailable", identity.ErrUnavailable},
		{"unavailable", revocation.ErrUnavailable}, {"unavailable", keys.ErrUnavailable},
	}
}

// outcomes counts by error.
type outcomes struct {
	vec        *prometheus.CounterVec
	ok, failed prometheus.Counter
	known      []outcome
	counters   []prometheus.Counter // one for each of known
}

func newOutcomes(name, help string, known []outcome) outcomes {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"outcome"})
	o := outcomes{vec: vec, known: known, ok: vec.WithLabelValues("ok"), failed: vec.WithLabelValues("error")}
	for _, k := range known {
		o.counters = append(o.counters, vec.WithLabelValues(k.label))
	}
	return o
}

// count counts a result by its first matching error; one that is not known is counted as "error".
func (o outcomes) count(err error) {
	if err == nil {
		o.ok.Inc()
		return
	}
	for i, k := range o.known {
		if errors.Is(err, k.is) {
			o.counters[i].Inc()
			return
		}
	}
	o.failed.Inc()
}
