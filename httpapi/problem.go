package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// The codes of problems, stable across releases.
const (
	codeBadRequest         = "bad_request"
	codeInvalidToken       = "invalid_token"
	codeInvalidCredentials = "invalid_credentials"
	codeInvalidGrant       = "invalid_grant"
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
	codeInternal           = "internal"
)

// refusal is an error together with what the client learns of it: everything but cause.
type refusal struct {
	status    int
	code      string
	detail    string
	fields    []fieldError
	challenge string // of a 401 or 400: WWW-Authenticate, whole
	cause     error  // for the log
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

// answerTo is the one table from errors to answers. Whatever it does not know is a defect of ours: 500, and no text.
func (s *site) answerTo(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	var e *echo.HTTPError
	if errors.As(err, &e) {
		return fromEcho(e)
	}
	for _, a := range []struct {
		is      error
		refusal refusal
	}{
		{token.ErrExpired, s.invalidToken("The access token expired.")},
		{token.ErrRevoked, s.invalidToken("The access token was revoked.")},
		{token.ErrInvalid, s.invalidToken("The access token is not valid.")},
		{identity.ErrInvalidCredentials, refusal{
			status: http.StatusUnauthorized, code: codeInvalidCredentials, challenge: s.challenge("", ""),
			detail: "The username or the password is wrong.",
		}},
		{session.ErrInvalidGrant, refusal{
			status: http.StatusUnauthorized, code: codeInvalidGrant, challenge: s.challenge("", ""),
			detail: "The refresh token is not valid any more. Log in again.",
		}},
		{session.ErrInvalidRequest, refusal{
			status: http.StatusBadRequest, code: codeBadRequest, detail: "The client id or the scope is malformed.",
		}},
		{identity.ErrWeakPassword, refusal{ // its text is made for the person who chose the password
			status: http.StatusBadRequest, code: codeBadRequest, detail: err.Error(),
			fields: []fieldError{{Field: "password", Detail: err.Error()}},
		}},
		{identity.ErrUsername, refusal{
			status: http.StatusBadRequest, code: codeBadRequest, detail: err.Error(),
			fields: []fieldError{{Field: "username", Detail: err.Error()}},
		}},
		{identity.ErrRoles, refusal{
			status: http.StatusBadRequest, code: codeBadRequest, detail: err.Error(),
			fields: []fieldError{{Field: "roles", Detail: err.Error()}},
		}},
		{session.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such session."}},
		{identity.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such user."}},
		{identity.ErrExists, refusal{status: http.StatusConflict, code: codeConflict, detail: "This user exists already."}},
		{keys.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such key."}},
		{keys.ErrNotLeader, refusal{
			status: http.StatusConflict, code: codeNotLeader, detail: "Only the leader changes keys. /leader names it.",
		}},
		{identity.ErrBusy, refusal{
			status: http.StatusServiceUnavailable, code: codeBusy, detail: "Too many logins at once. Try again in a moment.",
		}},
		{identity.ErrUnavailable, unavailable("The user store does not answer.")},
		{session.ErrUnavailable, unavailable("The session store did not confirm. Repeat the request.")},
		{revocation.ErrUnavailable, unavailable("The revocation was not confirmed. Repeat the request.")},
		{keys.ErrStale, unavailable("The leader changed meanwhile. Repeat the request.")},
		{keys.ErrUnavailable, unavailable("The keys are not at hand.")},
		{token.ErrUnavailable, unavailable("It cannot be told at the moment whether the token is valid.")},
		{context.DeadlineExceeded, unavailable("It took too long.")},
		{context.Canceled, unavailable("The request was abandoned.")},
	} {
		if errors.Is(err, a.is) {
			a.refusal.cause = err
			return &a.refusal
		}
	}
	return &refusal{
		status: http.StatusInternalServerError, code: codeInternal, cause: err,
		detail: "An internal error. The log has the details under the request's id.",
	}
}

func (s *site) invalidToken(detail string) refusal {
	return refusal{
		status: http.StatusUnauthorized, code: codeInvalidToken, detail: detail, challenge: s.challenge("invalid_token", detail),
	}
}

func unavailable(detail string) refusal {
	return refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, detail: detail}
}

// fromEcho answers what the router itself refuses.
func fromEcho(e *echo.HTTPError) *refusal {
	switch e.Code {
	case http.StatusNotFound:
		return &refusal{status: e.Code, code: codeNotFound, detail: "There is nothing at this path.", cause: e}
	case http.StatusMethodNotAllowed:
		return &refusal{status: e.Code, code: codeMethodNotAllowed, detail: "Allow names the methods of this path.", cause: e}
	}
	return &refusal{status: http.StatusInternalServerError, code: codeInternal, detail: "An internal error.", cause: e}
}

// retryAfter, in seconds, comes with every 503: all its causes are expected to pass in moments.
const retryAfter = 1

// fail answers err, unless the answer has begun already, and keeps it for the log.
func (s *site) fail(x *exchange, err error) {
	x.err = err
	if x.Response().Committed {
		return
	}
	r := s.answerTo(err)
	h := x.header()
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Del("ETag")
	if r.challenge != "" {
		h.Set(echo.HeaderWWWAuthenticate, r.challenge)
	}
	if r.status == http.StatusServiceUnavailable {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	var body any
	if x.route != nil && x.route.oauth {
		h.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		body = oauthError(r)
	} else {
		h.Set(echo.HeaderContentType, "application/problem+json")
		body = adminapi.Problem{
			Type: "about:blank", Title: http.StatusText(r.status), Status: r.status,
			Code: r.code, Detail: r.detail, RequestID: x.requestID, Errors: r.fields,
		}
	}
	x.Response().WriteHeader(r.status)
	if err := json.NewEncoder(x.Response()).Encode(body); err != nil {
		x.err = errors.Join(x.err, fmt.Errorf("writing the answer: %w", err))
	}
}
