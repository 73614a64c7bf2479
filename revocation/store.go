package revocation

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrRevoked is what a check answers for a revoked token.
	ErrRevoked = errors.New("revoked")
	// ErrUnavailable is what a check answers when it cannot tell, and a store when it could not make an entry
	// durable. It is never an answer about the token.
	ErrUnavailable = errors.New("revocation unavailable")
)

// Position is a place in a store's sequence of changes. Positions compare only within one epoch: a store that may have
// lost changes starts a new one.
type Position struct {
	Epoch string // opaque, 1 to 64 visible ASCII characters; empty means "nothing read yet"
	Seq   uint64 // dense: each change adds one
}

// Store keeps revocations durably until they expire. Methods may be called concurrently and honour ctx.
type Store interface {
	// Add merges entries into the set. Once it returns nil they are as durable as the backend promises. After an error
	// the outcome is unknown: callers repeat it, and a repeat must succeed. It never lowers a cut-off or an expiry.
	// Errors caused by the backend wrap ErrUnavailable.
	Add(ctx context.Context, entries ...Entry) error
	Feed
}

// Feed delivers the revocation set and its changes to one follower.
type Feed interface {
	// Follow calls apply, from one goroutine, with the changes after from (everything unexpired when from is of
	// another epoch, ahead of the feed or no longer held), then with changes as they come. It calls apply at least
	// once a second, with a proof of completeness unless the feed itself has none that is new. It returns when ctx
	// ends or the feed breaks, or with apply's error.
	Follow(ctx context.Context, from Position, apply func(Batch) error) error
}

// Batch is one step of a feed.
type Batch struct {
	Entries []Entry // merged into the follower's set; valid only during the call
	// Position is reached once Entries are merged. The zero Position means that the follower keeps the one it had:
	// nothing has changed, or a snapshot is being read. Changes that follow a snapshot always come with theirs.
	Position Position
	// AsOf proves completeness: the follower, once Entries are merged, holds every entry acknowledged before AsOf.
	// It is a time of this process's clock with its monotonic reading, and for a remote feed lies before the request
	// was sent, never at the arrival of the answer. Zero proves nothing.
	AsOf time.Time
}

// Checker decides about one token on all axes. [Mirror] is the one that needs no network.
type Checker interface {
	// Check returns nil, or an error that wraps ErrRevoked or ErrUnavailable.
	Check(ctx context.Context, c Claims) error
}
