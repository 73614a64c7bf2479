package dpop

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// DefaultNonceLife is how long a nonce is accepted unless configured.
const DefaultNonceLife = 5 * time.Minute

// NonceKeys provides the keys that nonces are made with. Servers that share them accept each other's nonces.
type NonceKeys interface {
	// MACKey returns the key for new nonces.
	MACKey(ctx context.Context) (id uint32, key []byte, err error)
	// MACKeyByID returns the key that a nonce names; known is false when there is none (any more).
	MACKeyByID(ctx context.Context, id uint32) (key []byte, known bool, err error)
}

// Nonces are nonces that no server has to remember: a time under a MAC. One is accepted for its life, and a new one is given
// out at half of that, so that a client that takes the newest of each answer never meets an old one. Methods may be called
// concurrently.
//
// A nonce is base64url of the id of the MAC key (4 bytes), a time (Unix seconds, 8 bytes), both big endian, and 16 bytes of
// the HMAC-SHA256 of a prefix and the bytes before.
type Nonces struct {
	keys NonceKeys
	life time.Duration
}

const (
	noncePrefix = "authd_dpop_nonce" // the keys have other uses
	nonceSigned = 4 + 8
	nonceMAC    = 16
)

// NewNonces returns nonces that are accepted for life; DefaultNonceLife if zero.
func NewNonces(keys NonceKeys, life time.Duration) *Nonces {
	if life == 0 {
		life = DefaultNonceLife
	}
	return &Nonces{keys, life}
}

// next returns the nonce for the half of a life that now lies in.
func (n *Nonces) next(ctx context.Context, now time.Time) (string, error) {
	id, key, err := n.keys.MACKey(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: nonce key: %w", ErrUnavailable, err)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, nonceSigned+nonceMAC), id)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Truncate(n.life/2).Unix()))
	return base64url.EncodeToString(append(b, sumOf(key, b)...)), nil
}

// check returns nil for a nonce that was given out less than a life ago, by a clock that may differ by leeway.
func (n *Nonces) check(ctx context.Context, nonce string, now time.Time, leeway time.Duration) error {
	b, err := base64url.DecodeString(nonce)
	if err != nil || len(b) != nonceSigned+nonceMAC {
		return ErrNonce
	}
	key, known, err := n.keys.MACKeyByID(ctx, binary.BigEndian.Uint32(b))
	if err != nil {
		return fmt.Errorf("%w: nonce key: %w", ErrUnavailable, err)
	}
	if !known || !hmac.Equal(b[nonceSigned:], sumOf(key, b[:nonceSigned])) {
		return ErrNonce
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(b[4:])), 0))
	if age > n.life || age < -leeway {
		return ErrNonce
	}
	return nil
}

func sumOf(key, signed []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(noncePrefix))
	h.Write(signed)
	return h.Sum(nil)[:nonceMAC]
}

// OwnNonceKey is a random key that no other process has.
func OwnNonceKey() NonceKeys {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return ownKey(key[:])
}

type ownKey []byte

func (k ownKey) MACKey(context.Context) (uint32, []byte, error) { return 0, k, nil }

func (k ownKey) MACKeyByID(_ context.Context, id uint32) ([]byte, bool, error) {
	return k, id == 0, nil
}
