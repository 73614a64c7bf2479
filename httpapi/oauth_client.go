package httpapi

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/oauth"
)

// basicCredentials returns the client's credentials by HTTP Basic (RFC 6749 section 2.3.1: each part form-encoded).
func basicCredentials(r *http.Request) (id, secret string, ok bool) {
	id, secret, ok = r.BasicAuth()
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	return id, secret, ok && idErr == nil && secretErr == nil
}

// oauthClient authenticates the client of a token request: by HTTP Basic, by the same two in the form, or, where a client
// keeps no secret, not at all. Two ways at once are refused (RFC 6749 section 2.3).
func (p *public) oauthClient(x *exchange, f oauth.Form) (*oauth.Client, error) {
	id, secret := f.Get("client_id"), f.Get("client_secret")
	header := x.Request().Header[echo.HeaderAuthorization]
	if f.Get("client_assertion") != "" || f.Get("client_assertion_type") != "" {
		return nil, invalidClient()
	}
	if len(header) > 0 {
		basicID, basicSecret, ok := basicCredentials(x.Request())
		switch {
		case !ok:
			return nil, invalidClient()
		case secret != "" || id != "" && id != basicID:
			return nil, oauthRefusal(oauth.InvalidRequest, "There must be one set of client credentials.")
		}
		id, secret = basicID, basicSecret
	}
	client := p.provider.Clients.Client(id)
	switch {
	case client == nil:
		return nil, invalidClient()
	case client.Public && secret == "", client.HasSecret(secret):
		x.actsAs(audit.Client, id)
		return client, nil
	}
	return nil, invalidClient()
}

// invalidClient says nothing about what is wrong.
func invalidClient() *refusal {
	return &refusal{
		status: http.StatusUnauthorized, code: codeInvalidCredentials, oauth: oauth.InvalidClient, challenge: basicChallenge,
		detail: "Client authentication failed.",
	}
}

const basicChallenge = `Basic realm="authd", charset="UTF-8"`
