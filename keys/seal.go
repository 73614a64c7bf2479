package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// KEK is a key-encryption key: 256 bits that seal the private parts of a ring wherever it is stored. It prints as a
// short identifier, never as itself.
type KEK struct{ bytes *[32]byte }

// GenerateKEK makes a new random KEK.
func GenerateKEK() KEK {
	k := KEK{new([32]byte)}
	rand.Read(k.bytes[:]) // never fails
	return k
}

// ParseKEKs reads KEKs from the contents of a file or an environment variable: 32 bytes each in base64 (standard or URL
// alphabet, padded or not), separated by white space or commas. The first one seals, all of them open. To change the
// KEK where several processes share a ring, give the new one to all of them as one that opens, behind the old; then put it
// in front; and remove the old when the ring is sealed under the new one ([Ring].KEK). Errors do not repeat the text.
func ParseKEKs(text string) ([]KEK, error) {
	var keks []KEK
	separator := func(c rune) bool { return strings.ContainsRune(" \t\r\n,", c) }
	for i, field := range strings.FieldsFunc(text, separator) {
		field = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(field, "="))
		raw, err := base64.RawStdEncoding.Strict().DecodeString(field)
		if err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("key-encryption key %d: want 32 bytes in base64 (make one with: openssl rand -base64 32)", i+1)
		}
		keks = append(keks, KEK{(*[32]byte)(raw)})
	}
	if len(keks) == 0 {
		return nil, errors.New("no key-encryption key in the given text")
	}
	return keks, nil
}

// Reveal returns the KEK in base64, as [ParseKEKs] reads it.
func (k KEK) Reveal() string { return base64.StdEncoding.EncodeToString(k.bytes[:]) }

// ID names the KEK without revealing it: 64 bits of a digest.
func (k KEK) ID() string {
	sum := sha256.Sum256(append([]byte("authd key-encryption key id\x00"), k.bytes[:]...))
	return hex.EncodeToString(sum[:8])
}

// String returns the ID.
func (k KEK) String() string { return k.ID() }

// sealer seals with the first of its KEKs and opens with any.
type sealer struct {
	id    string // of the KEK that seals
	aeads map[string]cipher.AEAD
}

func newSealer(keks []KEK) *sealer {
	s := &sealer{id: keks[0].ID(), aeads: make(map[string]cipher.AEAD, len(keks))}
	for _, k := range keks {
		s.aeads[k.ID()] = k.aead()
	}
	return s
}

// aead returns AES-256-GCM with the nonce, random, in front of the ciphertext. A ring is sealed anew with each write;
// at one write a second it would take a century to come near the 2^32 messages that random nonces are good for.
func (k KEK) aead() cipher.AEAD {
	block, err := aes.NewCipher(k.bytes[:])
	if err != nil {
		panic(err) // only for a wrong length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block that is not of 128 bits
	}
	return aead
}

// seal returns the ciphertext of secret, bound to context.
func (s *sealer) seal(secret []byte, context string) []byte {
	return s.aeads[s.id].Seal(nil, nil, secret, []byte(context)) //nolint:gosec // the AEAD draws a random nonce itself
}

// open is the inverse of seal; kek is the ID of the KEK that sealed.
func (s *sealer) open(sealed []byte, kek, context string) ([]byte, error) {
	aead, ok := s.aeads[kek]
	if !ok {
		return nil, fmt.Errorf("sealed under key-encryption key %q, which was not given", kek)
	}
	secret, err := aead.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, errors.New("the seal is broken: altered, or moved here from another place")
	}
	return secret, nil
}
