package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/authd-project/authd/internal/seal"
	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// tokenRequest is a request to the token endpoint whose client has been authenticated.
type tokenRequest struct {
	oauth.Form
	client *oauth.Client
	proof  *session.Proof // of the key that the tokens are to be bound to; nil for none
}

// tokenBody is the answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1).
type tokenBody struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	RefreshToken    string `json:"refresh_token,omitempty"`
	IDToken         string `json:"id_token,omitempty"`
	Scope           string `json:"scope,omitempty"`
}

// onceOnly are the parameters of all grants; each may come once. Others are ignored.
func onceOnly() []string {
	return []string{
		"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code", "redirect_uri",
		"code_verifier", "refresh_token", "scope", "subject_token", "subject_token_type", "actor_token", "actor_token_type",
		"requested_token_type", "resource",
	}
}

// token is the token endpoint.
func (p *public) token(x *exchange) error {
	r, err := p.readTokenRequest(x)
	if err != nil {
		return err
	}
	var answer *tokenBody
	switch r.Get("grant_type") {
	case oauth.GrantCode:
		answer, err = p.exchangeCode(x, r)
	case oauth.GrantRefresh:
		answer, err = p.refreshForClient(x, r)
	case oauth.GrantClientCredentials:
		answer, err = p.clientToken(x, r)
	case oauth.GrantExchange:
		answer, err = p.exchangeToken(x, r)
	}
	if err != nil {
		return oauthGrantError(err)
	}
	x.header().Set("Pragma", "no-cache") // RFC 6749 section 5.1 asks for it
	return x.JSON(http.StatusOK, answer)
}

func (p *public) readTokenRequest(x *exchange) (*tokenRequest, error) {
	body, err := readBody(x, "application/x-www-form-urlencoded")
	if err != nil {
		return nil, err
	}
	form, err := oauth.ParseForm(string(body))
	if err != nil {
		return nil, oauthRefusal(oauth.InvalidRequest, "The body "+err.Error()+".")
	}
	if name, found := firstRepeated(form, onceOnly()); found {
		return nil, oauthRefusal(oauth.InvalidRequest, name+" was given twice.")
	}
	client, err := p.oauthClient(x, form)
	if err != nil {
		return nil, err
	}
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return nil, oauthRefusal(oauth.InvalidRequest, "grant_type is missing.")
	case !slices.Contains(oauth.GrantTypes(), grant):
		return nil, oauthRefusal(oauth.UnsupportedGrantType, "There is no such grant type here.")
	case !client.Grants(grant):
		return nil, oauthRefusal(oauth.UnauthorizedClient, "The client is not registered for this grant type.")
	}
	proof, err := p.sessionProof(x)
	if err != nil {
		return nil, err
	}
	if client.DPoP && proof == nil {
		return nil, oauthRefusal(codeInvalidProof, "The client must send a DPoP proof.")
	}
	return &tokenRequest{form, client, proof}, nil
}

func firstRepeated(f oauth.Form, names []string) (string, bool) {
	i := slices.IndexFunc(names, f.Repeated)
	if i < 0 {
		return "", false
	}
	return names[i], true
}

// thumbprint is of the key whose proof came along; "" for none.
func (r *tokenRequest) thumbprint() string {
	if r.proof == nil {
		return ""
	}
	return r.proof.Thumbprint
}

// exchangeCode begins the session that a code is for (RFC 6749 section 4.1.3). A code that comes a second time ends it.
func (p *public) exchangeCode(x *exchange, r *tokenRequest) (*tokenBody, error) {
	var code oauth.Code
	switch err := p.provider.codes.Open(x.ctx(), r.Get("code"), &code); {
	case errors.Is(err, seal.ErrInvalid):
		return nil, oauthRefusal(oauth.InvalidGrant, "The code is not valid, or has expired.")
	case err != nil:
		return nil, codesUnavailable(err)
	}
	if err := code.Check(r.client, r.Get("redirect_uri"), r.Get("code_verifier"), r.thumbprint()); err != nil {
		return nil, err
	}
	id, err1 := session.ParseID(code.Session)
	parent, err2 := session.ParseID(code.Parent)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err // nobody but authd makes codes
	}
	who, browser, err := p.provider.Sessions.Resume(x.ctx(), parent, r.client.ID)
	if err != nil {
		return nil, err
	}
	if who.Account.Subject != code.Subject { // or whoever writes to the store could log in as anybody
		return nil, oauthRefusal(oauth.InvalidGrant, "The session is not that of the code.")
	}
	grant, err := p.provider.Sessions.Begin(x.ctx(), who, session.BeginRequest{
		ID: id, Parent: parent, ClientID: r.client.ID, Scope: code.Scope, Audience: r.client.Audiences,
		Address: browser.Address, UserAgent: browser.UserAgent, Proof: r.proof,
	})
	p.metrics.logins.count(err)
	if err != nil {
		return nil, err
	}
	return p.answer(x, r, grant, code.Nonce)
}

// refreshForClient is POST /v1/refresh for a client: the same rules, and the client must be the session's.
func (p *public) refreshForClient(x *exchange, r *tokenRequest) (*tokenBody, error) {
	raw := r.Get("refresh_token")
	if raw == "" {
		return nil, oauthRefusal(oauth.InvalidRequest, "refresh_token is missing.")
	}
	grant, err := p.cfg.Sessions.Refresh(x.ctx(), raw, session.Use{
		Address: x.RealIP(), UserAgent: x.Request().UserAgent(), Proof: r.proof,
		ClientID: r.client.ID, Scope: r.Get("scope"), Audience: r.client.Audiences,
	})
	p.metrics.refreshes.count(err)
	if err != nil {
		return nil, err
	}
	return p.answer(x, r, grant, "")
}

// answer makes the answer that gives a session to a client.
func (p *public) answer(x *exchange, r *tokenRequest, g session.Grant, nonce string) (*tokenBody, error) {
	body := p.accessBody(x, g)
	if r.client.Grants(oauth.GrantRefresh) {
		body.RefreshToken = g.RefreshToken
	}
	if !oauth.HasScope(g.Claims.Scope, oauth.ScopeOpenID) {
		return body, nil
	}
	var err error
	body.IDToken, err = token.IDTokens().SignFor(x.ctx(), p.provider.Keys, func(alg string) any {
		return oauth.IDTokenFor(g.Claims, g.AccessToken, g.Session.Username, nonce, alg)
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// accessBody is the part of the answer about the access token.
func (p *public) accessBody(x *exchange, g session.Grant) *tokenBody {
	x.subject, x.session = g.Claims.Subject, g.Claims.SessionID
	body := &tokenBody{
		AccessToken: g.AccessToken, TokenType: "Bearer", ExpiresIn: int64(g.ExpiresIn / time.Second), Scope: g.Claims.Scope,
	}
	if g.Claims.KeyThumbprint != "" {
		body.TokenType = "DPoP"
	}
	return body
}

// clientToken gives a client a token of its own.
func (p *public) clientToken(x *exchange, r *tokenRequest) (*tokenBody, error) {
	scope, ok := r.client.ExactScope(r.Get("scope"))
	if !ok || oauth.HasScope(scope, oauth.ScopeOpenID) {
		return nil, oauthRefusal(oauth.InvalidScope, "The client may not have this scope for itself.")
	}
	grant, err := p.provider.Sessions.IssueToClient(x.ctx(), session.ClientRequest{
		ClientID: r.client.ID, Scope: scope, Audience: r.client.Audiences, Proof: r.proof,
	})
	if err != nil {
		return nil, err
	}
	return p.accessBody(x, grant), nil
}

// accessTokenType names the one type of token that is exchanged, and what for (RFC 8693 section 3).
const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

// exchangeToken gives a service a token to call another one on behalf of its caller, whose token it shows (RFC 8693). The
// client itself is the actor, so there is no actor token.
func (p *public) exchangeToken(x *exchange, r *tokenRequest) (*tokenBody, error) {
	switch {
	case r.Get("subject_token") == "" || r.Get("subject_token_type") != accessTokenType:
		return nil, oauthRefusal(oauth.InvalidRequest, "subject_token and subject_token_type, that of an access token, are required.")
	case r.Get("actor_token") != "" || r.Get("actor_token_type") != "":
		return nil, oauthRefusal(oauth.InvalidRequest, "The client is the actor; an actor_token is not accepted.")
	case cmp.Or(r.Get("requested_token_type"), accessTokenType) != accessTokenType:
		return nil, oauthRefusal(oauth.InvalidRequest, "requested_token_type must be that of an access token.")
	case r.Get("resource") != "":
		return nil, oauthRefusal(oauth.InvalidTarget, "Name an audience instead of a resource.")
	}
	audience, ok := r.client.ExchangedAudience(strings.Fields(r.Get("audience")))
	if !ok {
		return nil, oauthRefusal(oauth.InvalidTarget, "The client may not exchange tokens for this audience.")
	}
	subject, err := p.provider.AnyAudience.VerifyUnproved(x.ctx(), r.Get("subject_token"), nil)
	p.metrics.verifications.count(err)
	switch {
	case errors.Is(err, token.ErrInvalid):
		return nil, oauthRefusal(oauth.InvalidRequest, "The subject_token is not valid.")
	case err != nil:
		return nil, err
	}
	grant, err := p.provider.Sessions.Exchange(x.ctx(), subject, session.ClientRequest{
		ClientID: r.client.ID, Scope: exchangedScope(r.Get("scope"), subject.Scope), Audience: audience, Proof: r.proof,
	})
	if err != nil {
		return nil, err
	}
	body := p.accessBody(x, grant)
	body.IssuedTokenType = accessTokenType
	return body, nil
}

// exchangedScope is what a client asks for, or all that the other token has but for what is about logging in.
func exchangedScope(asked, had string) string {
	if asked != "" {
		return asked
	}
	words := slices.DeleteFunc(strings.Fields(had), func(w string) bool {
		return w == oauth.ScopeOpenID || w == oauth.ScopeProfile || w == oauth.ScopeOfflineAccess
	})
	return strings.Join(words, " ")
}
