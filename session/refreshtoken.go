package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// A refresh token is text, so that secret scanners recognise a leaked one, and then base64url (RFC 4648 section 5, no
// padding) of
//
//	offset  0  version, 1
//	        1  id of the MAC key, big endian
//	        5  session id
//	       21  generation, big endian, not zero
//	       29  HMAC-SHA256 of the prefix and all the bytes before
//
// Whoever holds the MAC key can derive the token of any generation. That is why the store keeps none, and why a retry
// is answered with the very same successor.
const (
	refreshPrefix  = "authd_rt_"
	refreshVersion = 1
	signedLen      = 1 + 4 + 16 + 8
	refreshLen     = len(refreshPrefix) + (signedLen+sha256.Size)*8/6 + 1 // 61 bytes leave 2 bits over: one more character
)

// errRefreshToken says nothing about what is wrong: the text would go to whoever made the token up.
var errRefreshToken = errors.New("malformed refresh token")

// refreshToken is a token taken apart. Nothing in it can be believed before verify.
type refreshToken struct {
	keyID      uint32
	session    ID
	generation uint64
	mac        [sha256.Size]byte
}

// parseRefreshToken accepts exactly the spellings that encode makes.
func parseRefreshToken(raw string) (refreshToken, error) {
	var b [signedLen + sha256.Size]byte
	if len(raw) != refreshLen || raw[:len(refreshPrefix)] != refreshPrefix {
		return refreshToken{}, errRefreshToken
	}
	for _, c := range []byte(raw[len(refreshPrefix):]) {
		if c == '\r' || c == '\n' { // which encoding/base64 skips, even when strict
			return refreshToken{}, errRefreshToken
		}
	}
	n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(raw[len(refreshPrefix):]))
	if err != nil || n != len(b) || b[0] != refreshVersion {
		return refreshToken{}, errRefreshToken
	}
	t := refreshToken{
		keyID:      binary.BigEndian.Uint32(b[1:]),
		session:    ID(b[5:21]),
		generation: binary.BigEndian.Uint64(b[21:]),
		mac:        [sha256.Size]byte(b[signedLen:]),
	}
	if t.generation == 0 {
		return refreshToken{}, errRefreshToken
	}
	return t, nil
}

// newRefreshToken derives the token of one generation of a session.
func newRefreshToken(keyID uint32, key []byte, session ID, generation uint64) refreshToken {
	t := refreshToken{keyID: keyID, session: session, generation: generation}
	t.mac = t.sum(key)
	return t
}

// verify tells in constant time whether t was made with key.
func (t refreshToken) verify(key []byte) bool {
	want := t.sum(key)
	return hmac.Equal(t.mac[:], want[:])
}

// encode returns the text that the client gets.
func (t refreshToken) encode() string {
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(t.signed(), t.mac[:]...))
}

// signed returns the bytes that the MAC covers, with room for the MAC.
func (t refreshToken) signed() []byte {
	b := make([]byte, 0, signedLen+sha256.Size)
	b = append(b, refreshVersion)
	b = binary.BigEndian.AppendUint32(b, t.keyID)
	b = append(b, t.session[:]...)
	return binary.BigEndian.AppendUint64(b, t.generation)
}

func (t refreshToken) sum(key []byte) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(refreshPrefix)) // binds the MAC to this use of the key; a hash never fails to write
	h.Write(t.signed())
	h.Sum(mac[:0])
	return mac
}
