package oauth

import "time"

// CodeLife is how long an authorization code may be exchanged (RFC 6749 section 4.1.2 allows ten minutes).
const CodeLife = time.Minute

// Code is what an authorization code says. It is sealed, so that nobody but authd makes or reads one, and needs no store:
// it carries the ID of the session that it begins, which can begin once.
type Code struct {
	Session       string `json:"sid"`
	Parent        string `json:"psid"` // the session of the browser
	Subject       string `json:"sub"`  // whose session that is, by the token that the browser had
	ClientID      string `json:"cid"`
	RedirectURI   string `json:"uri"`
	Challenge     string `json:"cc"`
	Scope         string `json:"scope,omitempty"`
	Nonce         string `json:"nonce,omitempty"`
	KeyThumbprint string `json:"jkt,omitempty"`
}

// CodeOf returns the code that answers an authorization request.
func CodeOf(a *Authorization, session, parent, subject string) Code {
	return Code{
		Session: session, Parent: parent, Subject: subject, ClientID: a.Client.ID, RedirectURI: a.RedirectURI, Challenge: a.Challenge,
		Scope: a.Scope, Nonce: a.Nonce, KeyThumbprint: a.KeyThumbprint,
	}
}

// Answers returns the redirect that gives the code to the client.
func (a *Authorization) Answers(issuer, code string) string {
	return Redirect(a.RedirectURI, [2]string{"code", code}, [2]string{"state", a.State}, [2]string{"iss", issuer})
}

// Check holds an exchange against the code: nothing but the client that asked for it, with the redirect URI that it named
// and the verifier that it kept, gets the session. thumbprint is of the key whose proof came along; "" for none.
func (c *Code) Check(client *Client, redirectURI, verifier, thumbprint string) error {
	switch {
	case c.ClientID != client.ID:
		return refuse(InvalidGrant, "the code is another client's")
	case c.RedirectURI != redirectURI:
		return refuse(InvalidGrant, "redirect_uri is not that of the authorization request")
	case !Verifies(c.Challenge, verifier):
		return refuse(InvalidGrant, "code_verifier does not belong to the code_challenge")
	case c.KeyThumbprint != "" && c.KeyThumbprint != thumbprint:
		return refuse(InvalidGrant, "the code is bound to another key than that of the DPoP proof")
	}
	return nil
}
