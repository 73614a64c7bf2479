package session

import (
	"context"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// MACKeys provides the keys of the refresh tokens' MACs. They live in the key ring and rotate with it. A key must stay
// known for as long as a session may be idle, or sessions end early.
type MACKeys interface {
	// MACKey returns the key that new refresh tokens are made with, or an error when the ring is not at hand.
	MACKey(ctx context.Context) (id uint32, key []byte, err error)
	// MACKeyByID returns the key that a presented token names; known is false when the ring has no such key (any more).
	MACKeyByID(ctx context.Context, id uint32) (key []byte, known bool, err error)
}

// Tokens signs access tokens. [token.Issuer] does.
type Tokens interface {
	// Issue fills in the claims that are the issuer's, with an "iat" not before c.IssuedAt, and signs them.
	Issue(ctx context.Context, c token.Claims) (raw string, issued token.Claims, err error)
}

// Revocations keeps revocations durably. Every [revocation.Store] does.
type Revocations interface {
	// Add returns nil once the entries are durable. After an error the outcome is unknown and a repeat succeeds.
	Add(ctx context.Context, entries ...revocation.Entry) error
}

// Mirror is this process's copy of the revocations. [revocation.Mirror] is one.
type Mirror interface {
	// Merge makes entries known at once, before the feed brings them.
	Merge(entries ...revocation.Entry)
	// NotBefore returns the latest cut-off, in Unix seconds, that applies to tokens of this subject and client; zero when
	// there is none.
	NotBefore(subject, client revocation.ID) int64
	// LatestCutoff returns the latest cut-off of all that are known, on any axis and of anybody; zero when there is none.
	LatestCutoff() int64
	revocation.Checker
}
