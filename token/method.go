package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"

	"github.com/golang-jwt/jwt/v5"
)

// The methods below are golang-jwt's, but for how they verify: the library copies the signed text to hash it, and takes
// an ECDSA signature apart into numbers that crypto/ecdsa puts together again. On a token that costs more than reading
// its claims.

// es256 is ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4).
type es256 struct{ *jwt.SigningMethodECDSA }

// Verify implements [jwt.SigningMethod].
func (es256) Verify(signed string, signature []byte, key any) error {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	if len(signature) != 2*p256Size {
		return jwt.ErrECDSAVerification
	}
	sum := sha256.Sum256([]byte(signed))
	var buf [2 + 2*maxInteger]byte
	if !ecdsa.VerifyASN1(public, sum[:], appendASN1(buf[:0], signature)) {
		return jwt.ErrECDSAVerification
	}
	return nil
}

const (
	p256Size   = 32               // bytes of r and of s
	maxInteger = 2 + 1 + p256Size // bytes of one in DER: tag, length, and a zero where the first bit is set
)

// appendASN1 appends the DER form of a signature (RFC 3279 section 2.2.3), given as r and s one after the other.
func appendASN1(der, signature []byte) []byte {
	der = append(der, 0x30, 0) // SEQUENCE, its length follows below
	der = appendInteger(der, signature[:p256Size])
	der = appendInteger(der, signature[p256Size:])
	der[1] = byte(len(der) - 2)
	return der
}

// appendInteger appends the DER form of a big-endian number that is not negative.
func appendInteger(der, n []byte) []byte {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	if n[0] < 0x80 {
		der = append(der, 0x02, byte(len(n)))
	} else {
		der = append(der, 0x02, byte(len(n)+1), 0)
	}
	return append(der, n...)
}

// rs256 is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
type rs256 struct{ *jwt.SigningMethodRSA }

// Verify implements [jwt.SigningMethod].
func (rs256) Verify(signed string, signature []byte, key any) error {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	sum := sha256.Sum256([]byte(signed))
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature)
}
