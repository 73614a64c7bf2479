package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/ratelimit"
)

// The codes of problems, stable across releases.
const (
	codeBadRequest         = "bad_request"
	codeInvalidToken       = "invalid_token"
	codeInvalidCredentials = "invalid_credentials"
	codeInvalidGrant       = "invalid_grant"
	codeSecondFactor       = "second_factor_required"
	codeFactorEnrolment    = "factor_enrolment_required"
	codeInvalidFactor      = "invalid_factor"
	codeInvalidState       = "invalid_state"
	codeInsufficientLogin  = "insufficient_user_authentication" // by RFC 9470 section 3
	codeInvalidProof       = "invalid_dpop_proof"               // this and the next by RFC 9449 section 12.2
	codeUseNonce           = "use_dpop_nonce"
	codeCrossOrigin        = "cross_origin"
	codeForbidden          = "forbidden"
	codeNotFound           = "not_found"
	codeMethodNotAllowed   = "method_not_allowed"
	codeConflict           = "conflict"
	codeNotLeader          = "not_leader"
	codeTooLarge           = "too_large"
	codeUnsupportedMedia   = "unsupported_media_type"
	codeUnavailable        = "temporarily_unavailable"
	codeBusy               = "busy"
	codeRateLimited        = "rate_limited"
	codeTooManyAttempts    = "too_many_attempts"
	codeNotImplemented     = "not_implemented"
	codeInternal           = "internal"
)

// refusal is an error together with what the client learns of it: everything but cause.
type refusal struct {
	status    int
	code      string
	oauth     string // the code of RFC 6749, where it does not follow from the status
	detail    string
	fields    []fieldError
	challenge string // of a 401 or 400: WWW-Authenticate, whole
	// retryAfter is of a 429: when the request will be accepted. A 503 has a value of its own.
	retryAfter time.Duration
	quotas     []string // of a 429: the rate limits that are used up
	cause      error    // for the log
	// more, if set, makes of the problem one that has more members.
	more func(adminapi.Problem) any
}

// fieldError says what is wrong with one member of a request. It never quotes the member's value.
type fieldError = adminapi.FieldError

// Error is for the log: without the detail, which may hold a name that the client made up.
func (r *refusal) Error() string {
	if r.cause != nil {
		return fmt.Sprintf("%s: %v", r.code, r.cause)
	}
	return r.code
}

func (r *refusal) Unwrap() error { return r.cause }

// badRequest refuses a malformed request as a whole.
func badRequest(detail string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeBadRequest, detail: detail}
}

// badFields refuses a request for some of its members.
func badFields(fields ...fieldError) *refusal {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.Field + ": " + f.Detail
	}
	return &refusal{
		status: http.StatusBadRequest, code: codeBadRequest, detail: strings.Join(texts, "; "), fields: fields,
	}
}

// retryUnavailable comes with every 503: all its causes are expected to pass in moments.
const retryUnavailable = time.Second

// The types of problems, by RFC 9457 section 4.2.1 and draft-ietf-httpapi-ratelimit-headers-11 section 6.1.
const (
	typeBlank = "about:blank"
	typeQuota = "https://iana.org/assignments/http-problem-types#quota-exceeded"
)

// fail answers err, unless the answer has begun already, and keeps it for the log.
func (s *site) fail(x *exchange, err error) {
	x.err = err
	if x.Response().Committed {
		return
	}
	r := s.refuse(x, err)
	if x.route.page != nil {
		if err := x.route.page(x, r); err != nil {
			x.err = errors.Join(x.err, fmt.Errorf("writing the answer: %w", err))
		}
		return
	}
	h := x.header()
	var body any
	if x.route.oauth {
		h.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		body = oauthError(r)
	} else {
		h.Set(echo.HeaderContentType, "application/problem+json")
		body = problemOf(r, x.requestID)
		if r.more != nil {
			body = r.more(problemOf(r, x.requestID))
		}
	}
	x.Response().WriteHeader(r.status)
	if err := json.NewEncoder(x.Response()).Encode(body); err != nil {
		x.err = errors.Join(x.err, fmt.Errorf("writing the answer: %w", err))
	}
}

// refuse returns what a client learns of err, after it has set the header fields that belong to it, and keeps err for the
// log. The rest of the answer is the caller's.
func (s *site) refuse(x *exchange, err error) *refusal {
	x.err = err
	r := answerTo(err)
	s.audit.failed(x, r)
	h := x.header()
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Del("ETag")
	if r.challenge != "" {
		h.Set(echo.HeaderWWWAuthenticate, r.challenge)
	}
	switch r.status {
	case http.StatusServiceUnavailable:
		ratelimit.SetRetryAfter(h, retryUnavailable)
	case http.StatusTooManyRequests:
		ratelimit.SetRetryAfter(h, r.retryAfter)
	}
	return r
}

func problemOf(r *refusal, requestID string) adminapi.Problem {
	problem := adminapi.Problem{
		Type: typeBlank, Title: http.StatusText(r.status), Status: r.status,
		Code: r.code, Detail: r.detail, RequestID: requestID, Errors: r.fields, ViolatedPolicies: r.quotas,
	}
	if len(r.quotas) > 0 {
		problem.Type = typeQuota
	}
	return problem
}
