package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// A kid of authd is exactly 31 characters:
//
//	kid        = epoch "-" thumbprint
//	epoch      = 8 characters of a-z 2-7: 40 random bits, drawn when the ring was made (base32, RFC 4648 section 6)
//	thumbprint = the first 22 characters of the key's RFC 7638 SHA-256 thumbprint in base64url (132 bits)
//
// All of it is in the alphabet of base64url, and it never begins with '-', which a command line would take for a flag.
// A verifier that knows the keys of one ring may refuse a kid of any other shape without asking anybody.
const (
	epochLen      = 8
	thumbprintLen = 22
	epochAlphabet = "abcdefghijklmnopqrstuvwxyz234567"
	base64URL     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// KeyID returns the kid of a public key in the ring with this epoch: 31 characters, the epoch (8 of a-z2-7), '-', and
// the first 22 of the RFC 7638 thumbprint.
func KeyID(epoch string, public crypto.PublicKey) (string, error) {
	thumbprint, err := Thumbprint(public)
	if err != nil {
		return "", err
	}
	return epoch + "-" + thumbprint[:thumbprintLen], nil
}

// ParseKeyID returns the ring epoch of a kid; ok is false when the string is no kid of any ring of authd.
func ParseKeyID(kid string) (epoch string, ok bool) {
	if len(kid) != epochLen+1+thumbprintLen || kid[epochLen] != '-' {
		return "", false
	}
	epoch = kid[:epochLen]
	return epoch, validEpoch(epoch) && strings.Trim(kid[epochLen+1:], base64URL) == ""
}

func validEpoch(s string) bool { return len(s) == epochLen && strings.Trim(s, epochAlphabet) == "" }

// newEpoch draws the epoch of a new ring.
func newEpoch() string {
	var b [epochLen * 5 / 8]byte
	rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// Thumbprint returns the JWK thumbprint of a public key (RFC 7638) with SHA-256, in base64url.
func Thumbprint(public crypto.PublicKey) (string, error) {
	m, err := membersOf(public)
	if err != nil {
		return "", err
	}
	// encoding/json writes the members of a map in lexical order and without white space, as section 3 wants; none of
	// the values has a character that it would escape.
	doc, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	sum := sha256.Sum256(doc)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// membersOf returns the required JWK members of a public key (RFC 7638 section 3.2, RFC 8037 section 2), and no others.
func membersOf(public crypto.PublicKey) (map[string]string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("JWK: unsupported curve %s", k.Curve.Params().Name)
		}
		point, err := k.Bytes() // 0x04, x, y: both of full length, as RFC 7518 section 6.2.1.2 wants
		if err != nil {
			return nil, fmt.Errorf("JWK: %w", err)
		}
		xy := point[1:]
		return map[string]string{"kty": "EC", "crv": "P-256", "x": b64(xy[:len(xy)/2]), "y": b64(xy[len(xy)/2:])}, nil
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}, nil
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}, nil
	}
	return nil, fmt.Errorf("JWK: unsupported key type %T", public)
}
