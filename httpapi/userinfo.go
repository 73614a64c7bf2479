package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/oauth"
)

// userinfoBody is the answer of OpenID Connect Core section 5.3.2. The name and the roles are those of the moment, and there
// for the scope profile.
type userinfoBody struct {
	Subject           string   `json:"sub"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	Roles             []string `json:"roles,omitempty"`
}

// userinfo tells a client about the user of its access token, which must have the scope openid. It takes no cookie: it is
// for clients, from any origin.
func (p *public) userinfo(x *exchange) error {
	if len(x.Request().Header[echo.HeaderAuthorization]) == 0 {
		return noToken()
	}
	claims, err := p.authenticate(x)
	if err != nil {
		return err
	}
	if !oauth.HasScope(claims.Scope, oauth.ScopeOpenID) {
		return &refusal{
			status: http.StatusForbidden, code: codeInsufficientScope, detail: "The access token wants the scope openid.",
			challenge: challenge("insufficient_scope", "The access token wants the scope openid.") + `, scope="openid"`,
		}
	}
	body := userinfoBody{Subject: claims.Subject}
	if oauth.HasScope(claims.Scope, oauth.ScopeProfile) && p.cfg.Accounts != nil {
		account, err := p.cfg.Accounts.Account(x.ctx(), claims.Subject)
		if err != nil && !errors.Is(err, identity.ErrNotFound) {
			return fmt.Errorf("looking up the account: %w", err)
		}
		body.PreferredUsername, body.Roles = account.Username, account.Roles
	}
	return x.JSON(http.StatusOK, body)
}

// codeInsufficientScope is that of RFC 6750 section 3.1.
const codeInsufficientScope = "insufficient_scope"
