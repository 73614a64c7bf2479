package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"

	"github.com/golang-jwt/jwt/v5"
)

// Algorithms returns the names of the signature algorithms that tokens may have (RFC 7518 section 3, RFC 8037): ES256,
// EdDSA (with Ed25519) and RS256.
func Algorithms() []string { return []string{"ES256", "EdDSA", "RS256"} }

// method returns what signs with an algorithm, nil for all others: there is no none, no HMAC (a verifier could
// issue) and no PSS (whose salt length the library does not check).
func method(alg string) jwt.SigningMethod {
	switch alg {
	case "ES256":
		return jwt.SigningMethodES256
	case "EdDSA":
		return jwt.SigningMethodEdDSA
	case "RS256":
		return jwt.SigningMethodRS256
	}
	return nil
}

// minRSABits is the least RSA modulus that RFC 7518 section 3.3 allows.
const minRSABits = 2048

// fits tells whether key is of the one type, curve and size that alg wants (RFC 8725 section 3.1).
func fits(alg string, key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return alg == "ES256" && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == "EdDSA" && len(key) == ed25519.PublicKeySize
	case *rsa.PublicKey:
		return alg == "RS256" && key.N.BitLen() >= minRSABits
	}
	return false
}

// sameKey compares two keys, cheaply when they are the same object.
func sameKey(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *ecdsa.PublicKey:
		b, ok := b.(*ecdsa.PublicKey)
		return ok && (a == b || a.Equal(b))
	case ed25519.PublicKey:
		b, ok := b.(ed25519.PublicKey)
		return ok && bytes.Equal(a, b)
	case *rsa.PublicKey:
		b, ok := b.(*rsa.PublicKey)
		return ok && (a == b || a.Equal(b))
	}
	return false
}
