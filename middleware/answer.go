package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/authd-project/authd/token"
)

// Reasons that lie in the request or in the guard, not in the token.
var (
	errNoCredentials   = errors.New("no bearer token")
	errManyCredentials = errors.New("several Authorization headers")
	errNotFoundYet     = fmt.Errorf("%w: the issuer was not found yet", token.ErrUnavailable)
)

// Observer is told what became of requests, for metrics and logs.
type Observer interface {
	// Decided is called once for every guarded request, before it is answered. It must return quickly and may be
	// called concurrently.
	Decided(ctx context.Context, d Decision)
}

// Decision is what a guard decided about one request.
type Decision struct {
	Outcome  Outcome
	Policy   string // the route's: closed, stale or online
	Degraded bool   // accepted by a copy of the revocations older than MaxStaleness, as the route's Stale allows
	Err      error  // why not accepted; for logs. It never holds the token
}

// Outcome is one of a fixed set, fit for the label of a metric.
type Outcome string

// The outcomes. Those from malformed to revoked are 401, unavailable is 503.
const (
	Accepted          Outcome = "accepted"
	NoCredentials     Outcome = "no_credentials" // 401
	BadRequest        Outcome = "bad_request"    // 400
	Malformed         Outcome = "malformed"
	BadSignature      Outcome = "signature"
	UnknownKey        Outcome = "unknown_key"
	Expired           Outcome = "expired"
	NotYetValid       Outcome = "not_yet_valid"
	WrongIssuer       Outcome = "issuer"
	WrongAudience     Outcome = "audience"
	Revoked           Outcome = "revoked"
	InsufficientScope Outcome = "insufficient_scope" // 403
	Unavailable       Outcome = "unavailable"
)

// answer is what the client learns of a refusal.
type answer struct {
	is      error
	outcome Outcome
	status  int
	code    string // RFC 6750 section 3.1; also the problem's "code"
	detail  string // without quotes and backslashes: it also goes into the challenge
}

// answers is the one table from errors to answers, the first that matches. Whatever is not in it cannot be told.
var answers = [...]answer{
	{errNoCredentials, NoCredentials, http.StatusUnauthorized, "", "An access token is required."},
	{errManyCredentials, BadRequest, http.StatusBadRequest, "invalid_request", "There must be one set of credentials."},
	{errInsufficient, InsufficientScope, http.StatusForbidden, "insufficient_scope", "The access token does not allow this."},
	{token.ErrExpired, Expired, http.StatusUnauthorized, "invalid_token", "The access token expired."},
	{token.ErrRevoked, Revoked, http.StatusUnauthorized, "invalid_token", "The access token was revoked."},
	{token.ErrMalformed, Malformed, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrSignature, BadSignature, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrUnknownKey, UnknownKey, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrNotYetValid, NotYetValid, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrIssuer, WrongIssuer, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrAudience, WrongAudience, http.StatusUnauthorized, "invalid_token", invalidDetail},
}

const invalidDetail = "The access token is not valid."

var unavailable = answer{
	token.ErrUnavailable, Unavailable, http.StatusServiceUnavailable, "temporarily_unavailable",
	"It cannot be told at the moment whether the access token is valid.",
}

func answerTo(err error) answer {
	for _, a := range answers {
		if errors.Is(err, a.is) {
			return a
		}
	}
	return unavailable
}

func outcomeOf(err error) Outcome {
	if err == nil {
		return Accepted
	}
	return answerTo(err).outcome
}

// problem is an RFC 9457 problem document.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail"`
}

// refuse answers err. insufficient is the route's challenge for a token that does not go far enough.
func (g *Guard) refuse(w http.ResponseWriter, err error, insufficient string) {
	a := answerTo(err)
	h := w.Header()
	switch {
	case a.status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "1") // sources try again within seconds; a client need not wait longer than they
	case errors.Is(err, errInsufficient):
		h.Set("WWW-Authenticate", insufficient)
	case a.code != "":
		h.Set("WWW-Authenticate", g.challenge+`, error="`+a.code+`", error_description="`+a.detail+`"`)
	default: // RFC 6750 section 3.1: no error where no credentials were sent
		h.Set("WWW-Authenticate", g.challenge)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	w.WriteHeader(a.status)
	// An error means that the client is gone.
	_ = json.NewEncoder(w).Encode(problem{"about:blank", http.StatusText(a.status), a.status, a.code, a.detail})
}

// insufficientScope makes the challenge of a route, which names the scopes that it takes (RFC 6750 section 3).
func (g *Guard) insufficientScope(rt *route) string {
	c := g.challenge + `, error="insufficient_scope"`
	if len(rt.scopes) > 0 {
		c += `, scope=` + quoted(strings.Join(rt.scopes, " "))
	}
	return c
}

// quoted makes a quoted-string (RFC 9110 section 5.6.4), without the characters that cannot be in one.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
