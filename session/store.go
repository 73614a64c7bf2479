package session

import (
	"context"
	"time"
)

// Store keeps sessions. Methods may be called concurrently and honour ctx. Time is the store's own, so that several
// processes agree. Errors caused by the backend wrap ErrUnavailable.
type Store interface {
	// Create stores a new session, durably once it returns nil. The store sets CreatedAt, LastUsedAt and Chain, and
	// returns what it stored.
	Create(ctx context.Context, s Session) (Session, error)
	// Get returns a live session, or ErrNotFound.
	Get(ctx context.Context, id ID, l Limits) (Session, error)
	// Refresh applies Decide to the presented generation in one atomic, durable step, together with what follows from
	// it: the new generation and last use, or the end of the session. ErrNotFound where no live session has this ID.
	Refresh(ctx context.Context, id ID, presented uint64, use Use, l Limits) (Session, Outcome, error)
	// End ends sessions for good: no Refresh that starts after it returned nil succeeds, whatever happens to the
	// store in between. Ending an unknown or ended session succeeds.
	End(ctx context.Context, ids ...ID) error
	// List returns the live sessions of a subject, the most recently used first.
	List(ctx context.Context, subject string, l Limits) ([]Session, error)
}

// Use is what a refresh leaves in the record.
type Use struct {
	Address   string
	UserAgent string
}

// Limits bound the life of sessions and the replay of refresh tokens.
type Limits struct {
	Idle       time.Duration // a session unused for longer has ended; default 7 days
	Absolute   time.Duration // a session older than this has ended; default 30 days
	Grace      time.Duration // how long a generation is answered again; default 30 s, well below the access token's life
	MaxReplays int           // of one generation inside the grace; one more ends the session; default 5
}

// Outcome is what Refresh decided.
type Outcome uint8

const (
	Rotated  Outcome = 1 + iota // a new generation began
	Replayed                    // the current generation was answered again: a retry, another tab, a lost response
	Adopted                     // the store had lost a rotation; the presented generation, vouched for by its MAC, is current
	Reused                      // an old generation: theft; the session has ended
)
