package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// challenge is a WWW-Authenticate value by RFC 6750 section 3; without an error when no credentials were sent.
func challenge(code, description string) string {
	c := `Bearer realm="authd"`
	if code != "" {
		c += `, error="` + code + `", error_description="` + description + `"`
	}
	return c
}

// oneAuthorization refuses a request with several Authorization headers: a proxy that reads the first and a server that
// reads the last would see two users.
func oneAuthorization(x *exchange) error {
	if len(x.Request().Header[echo.HeaderAuthorization]) <= 1 {
		return nil
	}
	return errManyCredentials
}

// errManyCredentials is RFC 6750's invalid_request.
var errManyCredentials = &refusal{
	status: http.StatusBadRequest, code: codeBadRequest, detail: "There must be one set of credentials.",
	challenge: challenge("invalid_request", "There must be one set of credentials."),
}

// refuseCrossOrigin refuses what a browser sends from another origin, for every request that is not safe: the cookies
// would come along without the person's will.
func refuseCrossOrigin(x *exchange, p *http.CrossOriginProtection) error {
	if err := p.Check(x.Request()); err != nil {
		return &refusal{
			status: http.StatusForbidden, code: codeCrossOrigin, cause: err,
			detail: "Requests from another origin are not accepted.",
		}
	}
	return nil
}

// errNoToken means that a request came without an access token.
var errNoToken = errors.New("no access token")

// noToken refuses a request without credentials.
func noToken() *refusal {
	return &refusal{
		status: http.StatusUnauthorized, code: codeInvalidToken, challenge: challenge("", ""),
		detail: "An access token is required.", cause: errNoToken,
	}
}

// bearer returns the token of the Authorization header (RFC 6750 section 2.1), or "" when there is no such header.
// A token in a form or a query is never looked at.
func bearer(r *http.Request) (raw string, err error) {
	values := r.Header[echo.HeaderAuthorization]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", errManyCredentials
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	raw = strings.TrimLeft(raw, " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", errNotBearer
	}
	return raw, nil
}

// errNotBearer means an Authorization header of another kind.
var errNotBearer = errors.New("no bearer token in the Authorization header")

// accessToken returns the request's one access token: from the Authorization header, or, only where there is none, from
// the cookie.
func (p *public) accessToken(x *exchange) (string, error) {
	raw, err := bearer(x.Request())
	if errors.Is(err, errNotBearer) {
		return "", noToken()
	}
	if raw != "" || err != nil {
		return raw, err
	}
	raw, err = cookie(x.Request(), accessCookie)
	if err != nil {
		return "", err
	}
	if raw == "" {
		return "", noToken()
	}
	return raw, nil
}

// authenticate verifies the request's access token, revocation included, and tells the log whose it is.
func (p *public) authenticate(x *exchange) (*token.Claims, error) {
	return p.verify(x, nil)
}

// anyRevocation accepts a token without asking whether it was revoked, for requests that can only end what it names.
type anyRevocation struct{}

func (anyRevocation) Check(context.Context, revocation.Claims) error { return nil }

// authenticateToEnd is authenticate for a request that only ends the token's own session: repeating a logout must
// succeed, and a logout must be possible while the state of revocations is unknown.
func (p *public) authenticateToEnd(x *exchange) (*token.Claims, error) {
	return p.verify(x, anyRevocation{})
}

// verify verifies the request's access token by the scheme in which it came; by the verifier's own revocations if there are
// no others.
func (p *public) verify(x *exchange, revocations revocation.Checker) (*token.Claims, error) {
	claims, err := p.verifyByScheme(x, revocations)
	p.metrics.verifications.count(err)
	if err != nil {
		return nil, err
	}
	x.subject, x.session = claims.Subject, claims.SessionID
	x.actsAs(audit.User, claims.Subject)
	return claims, nil
}

func (p *public) verifyByScheme(x *exchange, revocations revocation.Checker) (*token.Claims, error) {
	if raw, ok := dpopToken(x.Request()); ok {
		return p.verifyProved(x, raw, revocations)
	}
	raw, err := p.accessToken(x)
	switch {
	case err != nil:
		return nil, err
	case revocations != nil:
		return p.cfg.Verifier.VerifyWith(x.ctx(), raw, revocations)
	}
	return p.cfg.Verifier.Verify(x.ctx(), raw)
}
