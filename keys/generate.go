package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// Algorithms are the JOSE names (RFC 7518, RFC 8037) of the signatures that a ring can make, the default first.
func Algorithms() []string { return []string{"ES256", "EdDSA", "RS256"} }

const (
	rsaBits     = 3072 // for the 128 bits of security that the other algorithms have
	macKeyBytes = 32
)

// generatePrivate makes the private key for an algorithm.
func generatePrivate(alg string) (crypto.Signer, error) {
	var (
		key crypto.Signer
		err error
	)
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return nil, fmt.Errorf("unknown algorithm %q", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("generating a key for %s: %w", alg, err)
	}
	return key, nil
}

// algorithmOf returns the one algorithm that a key of this type is used with; "" when there is none.
func algorithmOf(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return "ES256"
		}
	case ed25519.PublicKey:
		return "EdDSA"
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			return "RS256"
		}
	}
	return ""
}

// newSecret makes the secret of a MAC key.
func newSecret() []byte {
	secret := make([]byte, macKeyBytes)
	rand.Read(secret) // never fails
	return secret
}
