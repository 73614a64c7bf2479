package token

import "context"

// maxIDToken bounds an ID token in its compact form, in bytes.
const maxIDToken = maxSize

// IDTokens returns the profile of ID tokens (OpenID Connect Core section 2). Their typ is the plain "JWT", which clients
// expect, and which no [Verifier] takes for an access token.
func IDTokens() Profile { return Profile{"JWT", maxIDToken} }

// LogoutTokens returns the profile of logout tokens (OpenID Connect Back-Channel Logout section 2.4).
func LogoutTokens() Profile { return Profile{"logout+jwt", maxIDToken} }

// SignFor is Sign for claims that depend on the algorithm of the key, such as the at_hash of an ID token.
func (p Profile) SignFor(ctx context.Context, keys SigningKeys, claims func(alg string) any) (raw string, err error) {
	return p.sign(ctx, keys, claims)
}
