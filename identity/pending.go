package identity

import (
	"context"
	"time"
)

// PendingEnd is a note that the sessions of an account are to be ended. A change that ends them (of the password, to
// disabled, or the removal) leaves one in its own transaction, so that no crash can come between the change and the
// knowledge of what it demands. Package outbox ends the sessions and strikes the notes off.
type PendingEnd struct {
	ID        string // of the note, never reused
	Subject   string // whose sessions; the account may be gone
	ChangedAt time.Time
}

// Notes is what a [Directory] has whose changes leave notes. Methods may be called concurrently, from several processes,
// and honour ctx; errors of the backend wrap ErrUnavailable.
type Notes interface {
	// PendingEnds returns at most limit notes about a subject, or about all when it is empty, the oldest first.
	PendingEnds(ctx context.Context, subject string, limit int) ([]PendingEnd, error)
	// EndsDone strikes notes off. Those that are gone already are no error.
	EndsDone(ctx context.Context, ids ...string) error
}
