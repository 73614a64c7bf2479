package httpapi

import (
	"errors"

	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/session"
)

// revoker is who asks to revoke a token: one of the services that may revoke any, or a registered client, which may revoke
// its own (RFC 7009 section 2.1).
type revoker struct{ client *oauth.Client }

// readRevocation authenticates who asks, and returns the token.
func (p *public) readRevocation(x *exchange) (by revoker, raw string, err error) {
	if p.provider == nil || p.clientID(x) != "" {
		if err := p.authenticateClient(x); err != nil {
			return by, "", err
		}
		raw, err = readTokenForm(x)
		return by, raw, err
	}
	body, err := readBody(x, "application/x-www-form-urlencoded")
	if err != nil {
		return by, "", err
	}
	form, err := oauth.ParseForm(string(body))
	if err != nil {
		return by, "", badRequest("The body " + err.Error() + ".")
	}
	if name, twice := firstRepeated(form, []string{"token", "token_type_hint", "client_id", "client_secret"}); twice {
		return by, "", badFields(fieldError{Field: name, Detail: "given twice"})
	}
	if by.client, err = p.oauthClient(x, form); err != nil {
		return by, "", err
	}
	if raw = form.Get("token"); raw == "" {
		return by, "", badFields(fieldError{Field: "token", Detail: "missing"})
	}
	return by, raw, nil
}

// may refuses the revocation of a token that another client got.
func (by revoker) may(clientID string) error {
	if by.client != nil && by.client.ID != clientID {
		return oauthRefusal(oauth.UnauthorizedClient, "The token is another client's.")
	}
	return nil
}

// revokeRefresh ends the session of a refresh token.
func (p *public) revokeRefresh(x *exchange, by revoker, raw string) error {
	if by.client != nil {
		s, _, err := p.cfg.Sessions.InspectRefreshToken(x.ctx(), raw)
		if err == nil {
			err = by.may(s.ClientID)
		}
		if errors.Is(err, session.ErrInvalidGrant) || errors.Is(err, session.ErrNotFound) {
			return nil // what is not valid anyway counts as revoked
		}
		if err != nil {
			return err
		}
	}
	err := p.cfg.Sessions.RevokeRefreshToken(x.ctx(), raw)
	if errors.Is(err, session.ErrInvalidGrant) || errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}
