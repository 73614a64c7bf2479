// Package seal makes short-lived opaque values that only authd can make and read: an authorization code, the state of a
// login that waits for a second factor, the challenge of a passkey. Whoever carries one learns nothing from it and can
// change nothing in it, so that the server need not remember what it has given out:
//
//	states := seal.New("login state", view, time.Now) // view is a *keys.View
//	text, err := states.Seal(ctx, state{Subject: "…"}, 5*time.Minute)
//	// later, perhaps in another process that shares the key ring:
//	err = states.Open(ctx, text, &s)
//
// A value is bound to its purpose: one that was made for another purpose is as good as forged. The keys are derived from
// the MAC keys of the ring, so that every replica can read what another has made, and they rotate with it. A value lives
// for minutes, and a MAC key stays in the ring for as long as a session may be idle; what must be kept for longer than that
// cannot be sealed here.
//
// A value can be opened any number of times. Who needs one that works once has to remember what was spent.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrInvalid refuses a value that is malformed, forged, altered, expired, made for another purpose, or made with a key
// that is gone. It says no more, as its text may go to whoever made the value up.
var ErrInvalid = errors.New("sealed value is not valid")

// Keys provides the keys that values are sealed under. [github.com/authd-project/authd/keys.View] does. Its errors say
// nothing about a value, and come back wrapped.
type Keys interface {
	// MACKey returns the key for new values.
	MACKey(ctx context.Context) (id uint32, key []byte, err error)
	// MACKeyByID returns the key that a value names; known is false when there is none (any more).
	MACKeyByID(ctx context.Context, id uint32) (key []byte, known bool, err error)
}

// Sealer seals and opens the values of one purpose. Methods may be called concurrently.
type Sealer struct {
	purpose string
	keys    Keys
	now     func() time.Time
}

// New returns the sealer of a purpose; no two uses of sealed values share one. now is the clock, time.Now if nil. Keys are
// required.
func New(purpose string, keys Keys, now func() time.Time) *Sealer {
	if now == nil {
		now = time.Now
	}
	return &Sealer{purpose, keys, now}
}

// A sealed value is base64url (RFC 4648 section 5, no padding) of
//
//	offset  0  version, 1
//	        1  id of the MAC key, big endian
//	        5  nonce, random (12 bytes)
//	       17  AES-256-GCM of: expiry (Unix milliseconds, 8 bytes, big endian), JSON; with the five bytes in front as
//	           associated data
//
// under the key that HKDF-SHA256 derives from the MAC key, without salt, for the label and the purpose. Nonces are random,
// which is good for 2^32 values of one key: at a thousand logins a second that is a rotation of seven weeks.
const (
	version   = 1
	headerLen = 1 + 4
	expiryLen = 8
	overhead  = 12 + 16 // nonce and tag
	label     = "authd sealed value, purpose: "
)

// Seal returns v, encoded as JSON, as a text that Open accepts for life.
func (s *Sealer) Seal(ctx context.Context, v any, life time.Duration) (string, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("sealing a value: %w", err)
	}
	id, key, err := s.keys.MACKey(ctx)
	if err != nil {
		return "", fmt.Errorf("sealing a value: finding the key: %w", err)
	}
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, expiryLen+len(content)), uint64(s.now().Add(life).UnixMilli()))
	plain = append(plain, content...)
	sealed := make([]byte, headerLen, headerLen+overhead+len(plain))
	sealed[0] = version
	binary.BigEndian.PutUint32(sealed[1:], id)
	sealed = s.aead(key).Seal(sealed, nil, plain, sealed[:headerLen]) //nolint:gosec // the AEAD draws a random nonce itself
	return encoding().EncodeToString(sealed), nil
}

// Open decodes into v what Seal was given. Its error is ErrInvalid or, when it cannot be told, that of the keys; after an
// error v is not changed unless the value was good and does not fit v.
func (s *Sealer) Open(ctx context.Context, text string, v any) error {
	if strings.ContainsAny(text, "\r\n") { // which encoding/base64 skips: one value must not have two spellings
		return ErrInvalid
	}
	sealed, err := encoding().DecodeString(text)
	if err != nil || len(sealed) < headerLen+overhead+expiryLen || sealed[0] != version {
		return ErrInvalid
	}
	key, known, err := s.keys.MACKeyByID(ctx, binary.BigEndian.Uint32(sealed[1:]))
	switch {
	case err != nil:
		return fmt.Errorf("opening a sealed value: finding the key: %w", err)
	case !known:
		return ErrInvalid
	}
	plain, err := s.aead(key).Open(nil, nil, sealed[headerLen:], sealed[:headerLen])
	if err != nil {
		return ErrInvalid
	}
	if s.now().UnixMilli() >= int64(binary.BigEndian.Uint64(plain)) {
		return ErrInvalid
	}
	if json.Unmarshal(plain[expiryLen:], v) != nil { // of another release of authd
		return ErrInvalid
	}
	return nil
}

// aead returns the cipher of this purpose, with the nonce, random, in front of the ciphertext.
func (s *Sealer) aead(mac []byte) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, mac, nil, label+s.purpose, 32)
	if err != nil {
		panic(err) // only for keys that are longer than 255 hashes
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a wrong length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block that is not of 128 bits
	}
	return aead
}

// encoding accepts one spelling of each value only.
func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }
