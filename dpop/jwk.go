package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// Algorithms returns the names of the algorithms that proofs may be signed with: ES256, EdDSA with Ed25519, which RFC 9864
// calls Ed25519, and RS256.
func Algorithms() []string { return []string{"ES256", "EdDSA", "Ed25519", "RS256"} }

// method returns what signs with an algorithm, nil for all others: there is no none and no HMAC.
func method(alg string) jwt.SigningMethod {
	switch alg {
	case "ES256":
		return jwt.SigningMethodES256
	case "EdDSA", "Ed25519":
		return jwt.SigningMethodEdDSA
	case "RS256":
		return jwt.SigningMethodRS256
	}
	return nil
}

// Bounds of RSA moduli, in bits: the least that RFC 7518 section 3.3 allows, and one beyond which a stranger's key would
// cost more to check than proofs are worth.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// rsaExponent is the one that is in use.
const rsaExponent = 65537

// fits tells whether key is of the one type that alg wants.
func fits(alg string, key crypto.PublicKey) bool {
	switch key.(type) {
	case *ecdsa.PublicKey:
		return alg == "ES256"
	case ed25519.PublicKey:
		return alg == "EdDSA" || alg == "Ed25519"
	case *rsa.PublicKey:
		return alg == "RS256"
	}
	return false
}

// readKey reads a public key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2). It refuses a key that brings its private
// or symmetric part along: whoever sent that has given it away.
func readKey(text []byte) (crypto.PublicKey, error) {
	o, err := readObject("jwk", text, "kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi", "oth", "k", "use", "key_ops", "alg")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, have := o[name]; have {
			return nil, defect("jwk has a private member")
		}
	}
	kty, err := o.text("kty", 8)
	if err != nil {
		return nil, err
	}
	switch kty {
	case "EC":
		return o.p256()
	case "OKP":
		return o.ed25519()
	case "RSA":
		return o.rsa()
	}
	return nil, defect("jwk is of an unknown kind")
}

const p256Size = 32 // bytes of a coordinate

func (o object) p256() (crypto.PublicKey, error) {
	crv, err := o.text("crv", 16)
	if err != nil {
		return nil, err
	}
	x, errX := o.bytes("x", p256Size)
	y, errY := o.bytes("y", p256Size)
	if err := errors.Join(errX, errY); err != nil {
		return nil, defect("jwk has no valid coordinates")
	}
	if crv != "P-256" || len(x) != p256Size || len(y) != p256Size {
		return nil, defect("jwk is not on P-256")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, defect("jwk is not on P-256")
	}
	return key, nil
}

func (o object) ed25519() (crypto.PublicKey, error) {
	crv, err := o.text("crv", 16)
	if err != nil {
		return nil, err
	}
	x, err := o.bytes("x", ed25519.PublicKeySize)
	if err != nil {
		return nil, err
	}
	if crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, defect("jwk is not on Ed25519")
	}
	return ed25519.PublicKey(x), nil
}

func (o object) rsa() (crypto.PublicKey, error) {
	n, err := o.bytes("n", maxRSABits/8)
	if err != nil {
		return nil, err
	}
	e, err := o.bytes("e", 8)
	if err != nil {
		return nil, err
	}
	// A leading zero would give one key two thumbprints.
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: rsaExponent}
	if bits := key.N.BitLen(); n[0] == 0 || bits < minRSABits || bits > maxRSABits {
		return nil, defect("jwk has a modulus of another size than 2048 to 4096 bits")
	}
	if new(big.Int).SetBytes(e).Cmp(big.NewInt(rsaExponent)) != 0 || e[0] == 0 {
		return nil, defect("jwk has an exponent other than 65537")
	}
	return key, nil
}

// Thumbprint returns the SHA-256 thumbprint of a public key (RFC 7638, RFC 8037 appendix A.3) in base64url, which is what
// cnf.jkt holds: 43 characters. The key must be an *ecdsa.PublicKey on P-256, an ed25519.PublicKey or an *rsa.PublicKey.
func Thumbprint(key crypto.PublicKey) (string, error) {
	text, err := writeKey(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(text))
	return base64url.EncodeToString(sum[:]), nil
}

// writeKey returns a public key as RFC 7638 section 3 wants it to be hashed: the required members, sorted by name.
func writeKey(key crypto.PublicKey) (string, error) {
	b64 := base64url.EncodeToString
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 0x04, x, y
		if err != nil || key.Curve != elliptic.P256() {
			return "", errors.New("DPoP key: not on P-256")
		}
		return fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, b64(point[1:1+p256Size]), b64(point[1+p256Size:])), nil
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, b64(key)), nil
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, b64(big.NewInt(int64(key.E)).Bytes()), b64(key.N.Bytes())), nil
	}
	return "", fmt.Errorf("DPoP key: %T is of no kind that proofs are signed with", key)
}

// IsThumbprint tells whether s has the form of a thumbprint.
func IsThumbprint(s string) bool {
	b, err := base64url.DecodeString(s)
	return err == nil && len(s) == base64url.EncodedLen(sha256.Size) && len(b) == sha256.Size
}
