package token

import "github.com/authd-project/authd/revocation"

// RevocationClaims returns what revocations of the token go by, as a [Verifier] works it out once for each token: for
// whoever asks again about claims that were verified before.
func (c *Claims) RevocationClaims() revocation.Claims {
	return revocationIDs(c, revocation.IDOf(revocation.Client, c.ClientID), revocation.IDOf(revocation.Key, c.KeyID))
}
