package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
)

// The checks below are those of golang-jwt's signing methods, but for how they get there: the library copies the signed
// text to hash it, and takes an ECDSA signature apart into numbers that crypto/ecdsa puts together again. On a token that
// costs more than reading its claims.

// verify checks the signature by key.
func (c *compact) verify(key crypto.PublicKey) error {
	var buf [512]byte // on the stack, enough for RSA keys of 4096 bits
	signature, err := base64url.AppendDecode(buf[:0], []byte(c.signature))
	if err != nil {
		return &defect{part: "signature", why: unencodedPart}
	}
	if !matches(key, c.signed, signature) {
		return fmt.Errorf("%w: does not match", ErrSignature)
	}
	return nil
}

// matches tells whether signature is that of the signed text by key, whose type fits has found to be the one that the
// token's algorithm wants.
func matches(key crypto.PublicKey, signed string, signature []byte) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey: // ES256 (RFC 7518 section 3.4)
		if len(signature) != 2*p256Size {
			return false
		}
		sum := sha256.Sum256([]byte(signed))
		var buf [2 + 2*maxInteger]byte
		return ecdsa.VerifyASN1(key, sum[:], appendASN1(buf[:0], signature))
	case ed25519.PublicKey: // EdDSA (RFC 8037 section 3.1)
		return ed25519.Verify(key, []byte(signed), signature)
	case *rsa.PublicKey: // RS256 (RFC 7518 section 3.3)
		sum := sha256.Sum256([]byte(signed))
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	return false
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
