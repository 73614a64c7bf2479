package session

import "context"

// Store keeps sessions. Methods may be called concurrently and honour ctx. Time is the store's own, so that several
// processes agree. Errors caused by the backend wrap ErrUnavailable.
//
// An ended session is remembered for a while, by ID, subject and when it ended, so that a logout that was interrupted
// after its first half can be completed by repeating it. How long is the backend's setting: at least until the last
// access token of the session is dead.
type Store interface {
	// Create stores a new session, durably once it returns nil. The store sets CreatedAt, LastUsedAt and Chain, and
	// returns what it stored. An ID that exists already, live or ended and still remembered, is ErrExists, also when
	// everything else is the same: it may be what makes a one-time value good for one time.
	Create(ctx context.Context, s Session) (Session, error)
	// Get returns a live session, or ErrNotFound. For one that was ended and is still remembered the error is ErrEnded,
	// and the session comes with it, ID, Subject and EndedAt only.
	Get(ctx context.Context, id ID, l Limits) (Session, error)
	// Refresh applies Decide to the presented generation in one atomic, durable step, together with what follows from
	// it: the new chain, last use and address, or the end of the session. It returns the session as it is then (after
	// Reused: as it was), with the PreviousAddress. Errors are those of Get.
	Refresh(ctx context.Context, id ID, presented uint64, use Use, l Limits) (Session, Outcome, error)
	// End ends sessions for good: no Refresh that starts after it returned nil succeeds, whatever happens to the
	// store in between. Ending an unknown or ended session succeeds.
	End(ctx context.Context, ids ...ID) error
	// EndSubject ends every session of a subject that was created before the call, except those in keep, like End. It
	// returns which: all that are not in keep and whose access tokens may still be alive, also sessions that had ended
	// before and are still remembered.
	EndSubject(ctx context.Context, subject string, keep ...ID) ([]ID, error)
	// List returns the live sessions of a subject, the most recently used first.
	List(ctx context.Context, subject string, l Limits) ([]Session, error)
}

// Use tells who refreshes. The address goes into the record; both are compared with it, as a replay from somewhere else
// is worth a log entry.
type Use struct {
	Address   string
	UserAgent string
	// Proof of the key that the session is bound to. Stores do not look at it, nor at what follows: the refresh token names
	// the key.
	Proof *Proof
	// ClientID, if set, is the client that has authenticated: a session of another one is ErrInvalidGrant, before anything
	// has changed. Sessions that began from another one are refreshed by their client only.
	ClientID string
	// Scope, if set, is what this one access token is narrowed to (RFC 6749 section 6); ErrScope, before anything has
	// changed, where the session has less. It needs a ClientID.
	Scope string
	// Audience is who may accept this access token; nil means the issuer's default.
	Audience []string
}
