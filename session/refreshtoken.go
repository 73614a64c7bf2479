package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// A refresh token is text, so that secret scanners recognise a leaked one, and then base64url (RFC 4648 section 5, no
// padding) of
//
//	offset  0  version, 2
//	        1  id of the MAC key, big endian
//	        5  session id
//	       21  generation, big endian, not zero
//	       29  subject, 1 to 255 bytes
//	        …  HMAC-SHA256 of the prefix and all the bytes before
//
// Whoever holds the MAC key can derive the token of any generation. That is why the store keeps none, and why a retry
// is answered with the very same successor. The subject is there so that the account can be looked up before the store
// is asked; it is no secret, as the access token beside it names it too.
//
// Version 3 has, before the subject, the SHA-256 thumbprint of the key that the session is bound to (32 bytes), and the
// subject may be empty.
//
// Version 1 has no subject. It is what clients were given before there was version 2, and what those still get whose
// subject is empty or too long.
const (
	refreshPrefix   = "authd_rt_"
	versionBare     = 1
	versionSubject  = 2
	versionBound    = 3
	signedLen       = 1 + 4 + 16 + 8 // without the subject
	maxTokenSubject = 255            // bytes
)

// errRefreshToken says nothing about what is wrong: the text would go to whoever made the token up.
var errRefreshToken = errors.New("malformed refresh token")

// refreshToken is a token taken apart. Nothing in it can be believed before verify.
type refreshToken struct {
	keyID      uint32
	session    ID
	generation uint64
	bound      bool
	thumbprint [sha256.Size]byte // of the key, if bound
	subject    string            // whose session it is; empty in version 1
	mac        [sha256.Size]byte
}

// parseRefreshToken accepts exactly the spellings that encode makes.
func parseRefreshToken(raw string) (refreshToken, error) {
	text, ok := strings.CutPrefix(raw, refreshPrefix)
	if !ok || len(text) > base64.RawURLEncoding.EncodedLen(signedLen+sha256.Size+maxTokenSubject+sha256.Size) ||
		strings.ContainsAny(text, "\r\n") { // which encoding/base64 skips, even when strict
		return refreshToken{}, errRefreshToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < signedLen+sha256.Size {
		return refreshToken{}, errRefreshToken
	}
	signed := len(b) - sha256.Size
	t := refreshToken{
		keyID:      binary.BigEndian.Uint32(b[1:]),
		session:    ID(b[5:21]),
		generation: binary.BigEndian.Uint64(b[21:]),
		mac:        [sha256.Size]byte(b[signed:]),
	}
	rest := b[signedLen:signed]
	if t.bound = b[0] == versionBound; t.bound {
		if len(rest) < len(t.thumbprint) {
			return refreshToken{}, errRefreshToken
		}
		rest = rest[copy(t.thumbprint[:], rest):]
	}
	t.subject = string(rest)
	if t.generation == 0 || b[0] != t.version() || len(t.subject) > maxTokenSubject {
		return refreshToken{}, errRefreshToken
	}
	return t, nil
}

// newRefreshToken derives the token of one generation of a session.
func newRefreshToken(keyID uint32, key []byte, session ID, generation uint64, subject string) refreshToken {
	t := refreshToken{keyID: keyID, session: session, generation: generation}
	if len(subject) <= maxTokenSubject {
		t.subject = subject
	}
	t.mac = t.sum(key)
	return t
}

// boundTo returns the token of a session that is bound to a key.
func (t refreshToken) boundTo(thumbprint [sha256.Size]byte, key []byte) refreshToken {
	t.bound, t.thumbprint = true, thumbprint
	t.mac = t.sum(key)
	return t
}

func (t refreshToken) version() byte {
	switch {
	case t.bound:
		return versionBound
	case t.subject == "":
		return versionBare
	}
	return versionSubject
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
	b := make([]byte, 0, signedLen+len(t.thumbprint)+len(t.subject)+sha256.Size)
	b = append(b, t.version())
	b = binary.BigEndian.AppendUint32(b, t.keyID)
	b = append(b, t.session[:]...)
	b = binary.BigEndian.AppendUint64(b, t.generation)
	if t.bound {
		b = append(b, t.thumbprint[:]...)
	}
	return append(b, t.subject...)
}

func (t refreshToken) sum(key []byte) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(refreshPrefix)) // binds the MAC to this use of the key; a hash never fails to write
	h.Write(t.signed())
	h.Sum(mac[:0])
	return mac
}
