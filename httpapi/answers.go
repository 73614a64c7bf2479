package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/ssf"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/token"
)

// answerTo says what a client learns of an error. Whatever the table does not know is a defect of ours: 500, and no text.
func answerTo(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	var e *echo.HTTPError
	if errors.As(err, &e) {
		return fromEcho(e)
	}
	var wanted *secondFactor
	if errors.As(err, &wanted) {
		return wanted.refusal()
	}
	for _, a := range answersTo(err) {
		if errors.Is(err, a.is) {
			a.refusal.cause = err
			return &a.refusal
		}
	}
	return internal(err)
}

// rule answers one kind of error.
type rule struct {
	is      error
	refusal refusal
}

// answersTo is the one table from errors to answers; the first that matches counts. Only the rows about a new user
// quote err: those texts are made for the person who asked.
func answersTo(err error) []rule {
	return []rule{
		{dpop.ErrUnavailable, unavailable("It cannot be told at the moment whether the DPoP proof is good.")},
		{dpop.ErrNonce, badProof(codeUseNonce, err)},
		{dpop.ErrInvalid, badProof(codeInvalidProof, err)},
		{token.ErrBound, boundAsBearer()},
		{token.ErrOtherKey, invalidBoundToken("The access token is bound to another key than that of the DPoP proof.")},
		{token.ErrNotBound, invalidBoundToken("The access token is not bound to a key.")},
		{token.ErrExpired, invalidToken("The access token expired.")},
		{token.ErrRevoked, invalidToken("The access token was revoked.")},
		{token.ErrInvalid, invalidToken("The access token is not valid.")},
		{mfa.ErrWrong, refusal{
			status: http.StatusUnauthorized, code: codeInvalidFactor, challenge: challenge("", ""),
			detail: "The factor is wrong, or was used before.",
		}},
		{mfa.ErrState, refusal{
			status: http.StatusUnauthorized, code: codeInvalidState, challenge: challenge("", ""),
			detail: "What was begun has expired, was finished before, or is somebody else's. Begin again.",
		}},
		{mfa.ErrName, *badFields(fieldError{Field: "name", Detail: reason(err, mfa.ErrName)})},
		{mfa.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such factor."}},
		{mfa.ErrExists, refusal{status: http.StatusConflict, code: codeConflict, detail: "This factor is registered already."}},
		{mfa.ErrTooMany, refusal{status: http.StatusConflict, code: codeConflict, detail: "There are too many factors. Remove one first."}},
		{mfa.ErrConflict, refusal{
			status: http.StatusConflict, code: codeConflict, detail: "This account must have a second factor, and this is the last.",
		}},
		{mfa.ErrNoPasskeys, refusal{
			status: http.StatusConflict, code: codeConflict, detail: "Passkeys need a server with a host name; this one has an address.",
		}},
		{mfa.ErrUnavailable, unavailable("The factor store does not answer.")},
		{identity.ErrInvalidCredentials, refusal{
			status: http.StatusUnauthorized, code: codeInvalidCredentials, challenge: challenge("", ""),
			detail: "The username or the password is wrong.",
		}},
		{session.ErrInvalidGrant, refusal{
			status: http.StatusUnauthorized, code: codeInvalidGrant, challenge: challenge("", ""),
			detail: "The refresh token is not valid any more. Log in again.",
		}},
		{session.ErrInvalidRequest, refusal{
			status: http.StatusBadRequest, code: codeBadRequest, detail: "The client id or the scope is malformed.",
		}},
		{identity.ErrWeakPassword, *badFields(fieldError{Field: "password", Detail: reason(err, identity.ErrWeakPassword)})},
		{identity.ErrUsername, *badFields(fieldError{Field: "username", Detail: reason(err, identity.ErrUsername)})},
		{identity.ErrRoles, *badFields(fieldError{Field: "roles", Detail: reason(err, identity.ErrRoles)})},
		{session.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such session."}},
		{identity.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such user."}},
		{ssf.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such stream."}},
		{ssf.ErrTooMany, refusal{status: http.StatusConflict, code: codeConflict, detail: "There are as many streams as there may be."}},
		{ssf.ErrInvalid, refusal{status: http.StatusBadRequest, code: codeBadRequest, detail: reason(err, ssf.ErrInvalid)}},
		{ssf.ErrUnavailable, unavailable("The store of streams does not answer.")},
		{statuslist.ErrNotFound, refusal{status: http.StatusNotFound, code: codeNotFound, detail: "No such status list."}},
		{identity.ErrReadOnly, refusal{
			status: http.StatusForbidden, code: codeForbidden, detail: "authd only reads this user. Change it where it is kept.",
		}},
		{identity.ErrNotListed, refusal{
			status: http.StatusForbidden, code: codeForbidden, detail: "The users cannot be listed: where they are kept, authd can only ask for each.",
		}},
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
		{ratelimit.ErrUnavailable, unavailable("It cannot be told at the moment whether a limit is reached.")},
		{keys.ErrStale, unavailable("The leader changed meanwhile. Repeat the request.")},
		{keys.ErrUnavailable, unavailable("The keys are not at hand.")},
		{token.ErrUnavailable, unavailable("It cannot be told at the moment whether the token is valid.")},
		{statuslist.ErrUnavailable, unavailable("The status list cannot be made at the moment.")},
		{context.DeadlineExceeded, unavailable("It took too long.")},
		{context.Canceled, unavailable("The request was abandoned.")},
	}
}

// reason returns what err says beyond the kind of error that it is.
func reason(err, kind error) string {
	_, text, found := strings.Cut(err.Error(), kind.Error()+": ")
	if !found {
		return kind.Error()
	}
	return text
}

func internal(cause error) *refusal {
	return &refusal{
		status: http.StatusInternalServerError, code: codeInternal, cause: cause,
		detail: "An internal error. The log has the details under the request's id.",
	}
}

func invalidToken(detail string) refusal {
	return refusal{
		status: http.StatusUnauthorized, code: codeInvalidToken, detail: detail, challenge: challenge("invalid_token", detail),
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
	return internal(e)
}
