package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/authd-project/authd/internal/seal"
	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Paths of the authorization server.
const (
	pathAuthorize  = "/oauth2/authorize"
	pathToken      = "/oauth2/token"
	pathUserinfo   = "/oauth2/userinfo"
	pathEndSession = "/oauth2/logout"
)

// OAuth is what makes the public listener an OAuth 2.0 authorization server and OpenID provider for registered clients.
type OAuth struct {
	Clients  oauth.Clients // required
	Sessions OAuthSessions // required: the same as [PublicConfig].Sessions, with what clients need of it
	Keys     OAuthKeys     // required: a [keys.View]
	// AnyAudience judges tokens for whatever audience clients are registered with, for introspection and revocation; the
	// listener's own verifier by default, to which tokens for others are not active.
	AnyAudience Verifier
	// BackchannelLogout tells that clients hear of sessions that end, as discovery states it.
	BackchannelLogout bool
}

// OAuthKeys seals codes, signs ID tokens and knows again those that it has signed. [keys.View] does.
type OAuthKeys interface {
	seal.Keys
	token.SigningKeys
	token.VerificationKeys
}

// OAuthSessions is the part of [session.Service] that clients need.
type OAuthSessions interface {
	Resume(ctx context.Context, id session.ID, clientID string) (session.Authentication, session.Session, error)
	Begin(ctx context.Context, who session.Authentication, r session.BeginRequest) (session.Grant, error)
	IssueToClient(ctx context.Context, r session.ClientRequest) (session.Grant, error)
	Exchange(ctx context.Context, subject *token.Claims, r session.ClientRequest) (session.Grant, error)
}

func (o *OAuth) validate(pages bool) error {
	if o == nil {
		return nil
	}
	var problems []error
	need := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New("oauth: "+text))
		}
	}
	need(o.Clients != nil, "clients: required")
	need(o.Sessions != nil, "sessions: required")
	need(o.Keys != nil, "keys: required")
	need(pages, "pages: required, for people must log in somewhere")
	return errors.Join(problems...)
}

// provider is the authorization server of the listener.
type provider struct {
	*OAuth
	codes, returns *seal.Sealer
}

func newProvider(c PublicConfig) *provider {
	if c.OAuth == nil {
		return nil
	}
	o := *c.OAuth
	if o.AnyAudience == nil {
		o.AnyAudience = c.Verifier
	}
	return &provider{
		OAuth:   &o,
		codes:   seal.New("oauth code", o.Keys, c.Now),
		returns: seal.New("oauth return from login", o.Keys, c.Now),
	}
}

// oauthRoutes are those of the authorization server. What takes no cookies may be asked from any origin.
func (p *public) oauthRoutes() []*route {
	page := func(method, path, limit string, handle handler) *route {
		return &route{method: method, path: path, limit: limit, handle: handle, page: p.failPage, changes: true, anyOrigin: true}
	}
	return []*route{
		page(http.MethodGet, pathAuthorize, "authorize", p.authorize),
		page(http.MethodPost, pathAuthorize, "authorize", p.authorizeByForm),
		{method: http.MethodPost, path: pathToken, limit: "token", client: p.limitedClient, handle: p.token, changes: true, oauth: true, anyOrigin: true},
		{method: http.MethodGet, path: pathUserinfo, limit: "userinfo", handle: p.userinfo, quiet: true},
		{method: http.MethodPost, path: pathUserinfo, limit: "userinfo", handle: p.userinfo, quiet: true, anyOrigin: true},
		page(http.MethodGet, pathEndSession, "logout", p.endSessionPage),
		page(http.MethodPost, pathEndSession, "logout", p.endSessionForm),
	}
}

// oauthRefusal is an error of RFC 6749 section 5.2.
func oauthRefusal(code, detail string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeBadRequest, oauth: code, detail: detail}
}

// oauthGrantError is what a token request is answered with when sessions or proofs refuse it.
func oauthGrantError(err error) error {
	refuse := func(code, detail string) error {
		r := oauthRefusal(code, detail)
		r.cause = err
		return r
	}
	var e *oauth.Error
	switch {
	case errors.As(err, &e):
		return refuse(e.Code, e.Description)
	case errors.Is(err, session.ErrExists):
		return refuse(oauth.InvalidGrant, "The code was used before. What it began has been ended.")
	case errors.Is(err, session.ErrStale):
		return refuse(oauth.InvalidGrant, "The user must authenticate again.")
	case errors.Is(err, session.ErrInvalidGrant):
		return refuse(oauth.InvalidGrant, "The session has ended, or what was sent is not valid any more.")
	case errors.Is(err, session.ErrScope):
		return refuse(oauth.InvalidScope, "The scope exceeds what was granted.")
	case errors.Is(err, session.ErrInvalidRequest):
		return refuse(oauth.InvalidRequest, "The request is malformed.")
	}
	return grantError(err)
}
