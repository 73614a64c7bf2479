package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/token"
)

// Reasons that lie in the request or in the guard, not in the token.
var (
	errNoCredentials   = errors.New("no bearer token")
	errManyCredentials = errors.New("several Authorization headers")
	errNotFoundYet     = fmt.Errorf("%w: the issuer was not found yet", token.ErrUnavailable)
)

// Observer is told what became of requests, for metrics and logs. Packages otelmw and prommw have ready ones.
type Observer interface {
	// Decided is called once for every guarded request and every token that was to be verified, before the answer. ctx
	// is the request's. It must return quickly and may be called concurrently.
	Decided(ctx context.Context, d Decision)
}

// Decision is what a guard decided about one request or token.
type Decision struct {
	Outcome  Outcome
	Policy   string        // the route's: closed, stale or online
	Degraded bool          // accepted by a copy of the revocations older than MaxStaleness, as the route's Stale allows
	Duration time.Duration // that deciding took, the route's checks and what an online route waited included
	Err      error         // why not accepted; for logs. It never holds the token, but see CheckFunc
}

// Outcome is one of a fixed set, fit for the label of a metric.
type Outcome string

// The outcomes. Those from malformed to invalid are 401, unavailable is 503.
const (
	Accepted                   Outcome = "accepted"
	NoCredentials              Outcome = "no_credentials" // 401
	BadRequest                 Outcome = "bad_request"    // 400
	Malformed                  Outcome = "malformed"
	BadSignature               Outcome = "signature"
	UnknownKey                 Outcome = "unknown_key"
	Expired                    Outcome = "expired"
	NotYetValid                Outcome = "not_yet_valid"
	WrongIssuer                Outcome = "issuer"
	WrongAudience              Outcome = "audience"
	Revoked                    Outcome = "revoked"
	Invalid                    Outcome = "invalid"                          // for another reason
	InsufficientScope          Outcome = "insufficient_scope"               // 403
	InsufficientAuthentication Outcome = "insufficient_user_authentication" // 401
	Forbidden                  Outcome = "forbidden"                        // 403, by a Check
	BadProof                   Outcome = "dpop_proof"                       // 401, as the two below
	NonceRequired              Outcome = "dpop_nonce"
	NotProved                  Outcome = "not_proved" // a bound token without a proof of its key, or a bearer token with one
	Unavailable                Outcome = "unavailable"
)

// answer is what the client learns of a refusal.
type answer struct {
	is      error
	outcome Outcome
	status  int
	code    string // RFC 6750 section 3.1 and RFC 9470 section 3; also the problem's "code"
	detail  string // without quotes and backslashes: it also goes into the challenge
}

// answers is the one table from errors to answers, the first that matches. Whatever is not in it cannot be told. The
// first two may wrap errors of a route's checks, which must not be taken for ours.
var answers = [...]answer{
	{ErrForbidden, Forbidden, http.StatusForbidden, "access_denied", "This request is not allowed."},
	unavailable,
	{errNoCredentials, NoCredentials, http.StatusUnauthorized, "", "An access token is required."},
	{errManyCredentials, BadRequest, http.StatusBadRequest, "invalid_request", "There must be one set of credentials."},
	{dpop.ErrUnavailable, Unavailable, http.StatusServiceUnavailable, "temporarily_unavailable", "It cannot be told at the moment whether the DPoP proof is good."},
	{dpop.ErrNonce, NonceRequired, http.StatusUnauthorized, "use_dpop_nonce", ""},
	{dpop.ErrInvalid, BadProof, http.StatusUnauthorized, "invalid_dpop_proof", ""},
	{token.ErrBound, NotProved, http.StatusUnauthorized, "invalid_token", "The access token is bound to a key and no bearer token."},
	{token.ErrOtherKey, NotProved, http.StatusUnauthorized, "invalid_token", "The access token is bound to another key than that of the DPoP proof."},
	{token.ErrNotBound, NotProved, http.StatusUnauthorized, "invalid_token", "The access token is not bound to a key."},
	{ErrInsufficientScope, InsufficientScope, http.StatusForbidden, "insufficient_scope", "The access token does not allow this."},
	{ErrInsufficientAuthentication, InsufficientAuthentication, http.StatusUnauthorized, "insufficient_user_authentication", stepUpDetail},
	{token.ErrExpired, Expired, http.StatusUnauthorized, "invalid_token", "The access token expired."},
	{token.ErrRevoked, Revoked, http.StatusUnauthorized, "invalid_token", "The access token was revoked."},
	{token.ErrMalformed, Malformed, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrSignature, BadSignature, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrUnknownKey, UnknownKey, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrNotYetValid, NotYetValid, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrIssuer, WrongIssuer, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrAudience, WrongAudience, http.StatusUnauthorized, "invalid_token", invalidDetail},
	{token.ErrInvalid, Invalid, http.StatusUnauthorized, "invalid_token", invalidDetail}, // never 503, whatever is new
}

const (
	invalidDetail = "The access token is not valid."
	stepUpDetail  = "This needs a login that is more recent or of another kind."
)

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

// OutcomeOf returns the outcome that an error of a guard stands for.
func OutcomeOf(err error) Outcome {
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

// Refuse answers a request that [Route.Authorize] has refused with err.
func (rt *Route) Refuse(w http.ResponseWriter, err error) {
	a := rt.Answer(err)
	h := w.Header()
	if a.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1") // sources try again within seconds; a client need not wait longer than they
	}
	if a.Challenge != "" {
		h.Set("WWW-Authenticate", a.Challenge)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	w.WriteHeader(a.Status)
	// An error means that the client is gone.
	_ = json.NewEncoder(w).Encode(problem{"about:blank", http.StatusText(a.Status), a.Status, a.Code, a.Detail})
}

// Answer is what the client is told when a guard refuses.
type Answer struct {
	Status    int    // of HTTP
	Code      string // the problem's "code": an error code of RFC 6750 or RFC 9470 where there is one; may be empty
	Detail    string // a sentence, without anything that came with the request
	Challenge string // the WWW-Authenticate header; may be empty
}

// Answer returns what [Route.Refuse] writes, for transports other than HTTP.
func (rt *Route) Answer(err error) Answer {
	a := answerTo(err)
	if a.detail == "" {
		a.detail = dpop.Explain(err)
	}
	return Answer{Status: a.status, Code: a.code, Detail: a.detail, Challenge: rt.byScheme(err, rt.challenge(a))}
}

// challenge returns the WWW-Authenticate header of an answer, empty where no other credentials would help.
func (rt *Route) challenge(a answer) string {
	c := rt.guard.challenge
	switch a.outcome {
	case Forbidden, Unavailable:
		return ""
	case NoCredentials: // RFC 6750 section 3.1: no error where no credentials were sent
		return c
	case InsufficientScope: // it names the scopes that the route takes (RFC 6750 section 3)
		c += `, error="insufficient_scope"`
		if len(rt.scopes) > 0 {
			c += `, scope=` + quoted(strings.Join(rt.scopes, " "))
		}
		return c
	}
	c += `, error="` + a.code + `", error_description="` + a.detail + `"`
	if a.outcome == InsufficientAuthentication {
		c += rt.stepUp.params()
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
