package oauth

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/authd-project/authd/token"
)

// IDToken is the claims of an ID token (OpenID Connect Core section 2): for the client alone, about who logged in and how.
type IDToken struct {
	Issuer          string   `json:"iss"`
	Subject         string   `json:"sub"`
	Audience        string   `json:"aud"`
	AuthorizedParty string   `json:"azp"`
	ExpiresAt       int64    `json:"exp"` // this and the other times in Unix seconds
	IssuedAt        int64    `json:"iat"`
	AuthTime        int64    `json:"auth_time"`
	Nonce           string   `json:"nonce,omitempty"`
	ACR             string   `json:"acr,omitempty"`
	AMR             []string `json:"amr,omitempty"`
	SessionID       string   `json:"sid"`
	AccessTokenHash string   `json:"at_hash,omitempty"`

	PreferredUsername string   `json:"preferred_username,omitempty"`
	Roles             []string `json:"roles,omitempty"`
}

// IDTokenFor returns the claims that go with an access token, to be signed with a key of this algorithm. The name and the
// roles are there for the scope profile.
func IDTokenFor(c token.Claims, raw, username, nonce, alg string) IDToken {
	t := IDToken{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.ClientID, AuthorizedParty: c.ClientID,
		ExpiresAt: c.ExpiresAt.Unix(), IssuedAt: c.IssuedAt.Unix(), AuthTime: c.AuthTime.Unix(), Nonce: nonce,
		ACR: c.ACR, AMR: c.AMR, SessionID: c.SessionID, AccessTokenHash: tokenHash(raw, alg),
	}
	if HasScope(c.Scope, ScopeProfile) {
		t.PreferredUsername, t.Roles = username, c.Roles
	}
	return t
}

// tokenHash is the left half of the hash that an algorithm uses (OpenID Connect Core section 3.1.3.6).
func tokenHash(raw, alg string) string {
	sum := sha256.Sum256([]byte(raw))
	half := sum[:16]
	if alg == "EdDSA" { // with Ed25519, which uses SHA-512
		sum := sha512.Sum512([]byte(raw))
		half = sum[:32]
	}
	return base64.RawURLEncoding.EncodeToString(half)
}

// Hint is what an id_token_hint tells: whom and which session the client means.
type Hint struct{ Subject, SessionID, ClientID string }

// ErrHint refuses an ID token that is not one that this server gave to a client.
var ErrHint = errors.New("not an ID token of this server")

// HintOf reads the claims of an ID token whose signature has been checked. It may have expired long ago: it says who was
// logged in, and logs nobody in (OpenID Connect RP-Initiated Logout section 2).
func HintOf(claims map[string]json.RawMessage, issuer string) (Hint, error) {
	var iss string
	var h Hint
	for name, into := range map[string]*string{"iss": &iss, "sub": &h.Subject, "sid": &h.SessionID, "aud": &h.ClientID} {
		if err := json.Unmarshal(claims[name], into); err != nil || *into == "" {
			return Hint{}, fmt.Errorf("%w: %s", ErrHint, name)
		}
	}
	if iss != issuer {
		return Hint{}, fmt.Errorf("%w: iss", ErrHint)
	}
	return h, nil
}

// LogoutToken is the claims of a logout token (OpenID Connect Back-Channel Logout section 2.4). It has no nonce, which
// tells it from an ID token even for those who do not look at its typ.
type LogoutToken struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ExpiresAt int64  `json:"exp"` // Unix seconds, as is IssuedAt
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
	SessionID string `json:"sid"`

	Events map[string]struct{} `json:"events"`
}

// logoutTokenLife is recommended to be two minutes at most.
const logoutTokenLife = 2 * time.Minute

// LogoutTokenFor returns the claims that tell a client that a session has ended. id is the token's, new and random.
func LogoutTokenFor(issuer, clientID, subject, sessionID, id string, now time.Time) LogoutToken {
	return LogoutToken{
		Issuer: issuer, Subject: subject, Audience: clientID, ID: id, SessionID: sessionID,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(logoutTokenLife).Unix(),
		Events: map[string]struct{}{"http://schemas.openid.net/event/backchannel-logout": {}},
	}
}

// ExchangedAudience returns who accepts a token that a client exchanges for another (RFC 8693): of those that it asks for
// all that it is registered for. It is false if one is missing, or none was asked for and there is not just one.
func (c *Client) ExchangedAudience(asked []string) (audience []string, ok bool) {
	if len(asked) == 0 {
		return c.ExchangeAudiences, len(c.ExchangeAudiences) == 1
	}
	for _, a := range asked {
		if !slices.Contains(c.ExchangeAudiences, a) {
			return nil, false
		}
	}
	return asked, true
}
