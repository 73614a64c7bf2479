package token

import (
	"context"
	"crypto"
)

// VerificationKeys finds the public key that verifies a token: the issuer's own ring, or a JWKS fetched from it.
type VerificationKeys interface {
	// VerificationKey returns the key with this kid for this algorithm. known is false when there is no such key; an
	// error means that it cannot be told. It is called for every token, also one seen before, so it must be cheap for
	// a kid it knows.
	VerificationKey(ctx context.Context, kid, alg string) (key crypto.PublicKey, known bool, err error)
}

// SigningKeys provides the key that signs now.
type SigningKeys interface {
	// SigningKey returns one consistent triple, or an error when no key may sign.
	SigningKey(ctx context.Context) (kid, alg string, key crypto.Signer, err error)
}
