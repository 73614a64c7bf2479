package token

import (
	"encoding/json"
	"fmt"
	"time"
)

// Claims are the claims of one access token (RFC 9068 section 2.2). Times are whole seconds, in UTC when they come from
// a token.
//
// Claims that a [Verifier] returns are shared by all requests that carry the same token: they must not be changed.
type Claims struct {
	Issuer    string    // iss
	Subject   string    // sub: the account, or the client itself where no user is involved
	Audience  []string  // aud: who may accept the token; one value is written as a string
	ExpiresAt time.Time // exp
	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf; zero when absent
	AuthTime  time.Time // auth_time: when the user logged in (OpenID Connect Core section 2); zero when absent
	ID        string    // jti: names this one token
	SessionID string    // sid: names the session; empty for tokens that belong to none
	ClientID  string    // client_id
	Scope     string    // scope: space-separated (RFC 8693 section 4.2)
	AMR       []string  // amr: how the user authenticated (RFC 8176)
	ACR       string    // acr: how strong that was
	Roles     []string  // roles (RFC 9068 section 2.2.3.1)

	// KeyThumbprint is cnf.jkt (RFC 9449 section 6.1): the token is good only with a proof of that key, see
	// [Verifier.VerifyBound]. Empty for a bearer token.
	KeyThumbprint string

	// Status is where the token's status list is (status.status_list); zero when absent.
	Status StatusReference

	// Actor is who acts on behalf of the subject (act, RFC 8693 section 4.1); nil when that is nobody but the client itself.
	Actor *Actor

	// Custom are all other claims by name, each value as it was written. Registered names, and names that differ from
	// one only by case, are refused.
	Custom map[string]json.RawMessage

	// KeyID is the kid of the header that the claims came with. It is no claim: JSON does not have it.
	KeyID string
}

// wireClaims gives the order in which claims are written: what most readers want first.
type wireClaims struct {
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  any      `json:"aud,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	ID        string   `json:"jti,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	Roles     []string `json:"roles,omitempty"`

	Confirmation *wireConfirmation `json:"cnf,omitempty"`

	Status *wireStatus `json:"status,omitempty"`

	Actor *Actor `json:"act,omitempty"`
}

// MarshalJSON writes the claims set of the token, custom claims last and sorted by name. Zero fields are left out.
func (c Claims) MarshalJSON() ([]byte, error) {
	w := wireClaims{
		Issuer: c.Issuer, Subject: c.Subject,
		ExpiresAt: unixOrZero(c.ExpiresAt), IssuedAt: unixOrZero(c.IssuedAt), NotBefore: unixOrZero(c.NotBefore),
		ID: c.ID, SessionID: c.SessionID, ClientID: c.ClientID, Scope: c.Scope,
		AuthTime: unixOrZero(c.AuthTime), AMR: c.AMR, ACR: c.ACR, Roles: c.Roles,
		Confirmation: confirmationOf(c.KeyThumbprint),
		Status:       c.Status.wire(),
		Actor:        c.Actor,
	}
	switch len(c.Audience) {
	case 0:
	case 1:
		w.Audience = c.Audience[0]
	default:
		w.Audience = c.Audience
	}
	registered, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding claims: %w", err)
	}
	if len(c.Custom) == 0 {
		return registered, nil
	}
	for name := range c.Custom {
		if claimNamed(foldName(name)) != customClaim {
			return nil, fmt.Errorf("encoding claims: custom claim %q is spelt like a registered one", name)
		}
	}
	custom, err := json.Marshal(c.Custom)
	if err != nil {
		return nil, fmt.Errorf("encoding custom claims: %w", err)
	}
	if len(registered) == len(`{}`) {
		return custom, nil
	}
	return append(append(registered[:len(registered)-1], ','), custom[1:]...), nil
}

// UnmarshalJSON reads a claims set as strictly as a [Verifier] does, required members included. Errors wrap
// ErrMalformed.
func (c *Claims) UnmarshalJSON(text []byte) error {
	read := Claims{KeyID: c.KeyID}
	if err := decodeClaims(string(text), &read, nil); err != nil {
		return err
	}
	*c = read
	return nil
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
