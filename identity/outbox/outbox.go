// Package outbox ends the sessions of accounts that were changed.
//
// To disable an account, to remove it or to change its password ends its sessions, but accounts and sessions are kept in
// different places. So the change and a note that the sessions are to be ended are one transaction of the user database
// ([identity.PendingEnd]), and the note is struck off only once they have ended, durably and everywhere. Whoever made the
// change calls [Outbox.Finish]; what it leaves undone, because the process died, or because the store of sessions did
// not answer, is done by [Outbox.Run] of any process that shares the database. To end sessions twice does no harm.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/authd-project/authd/identity"
)

const (
	// patience is how old a note is before Run takes it from whoever made it.
	patience = 2 * time.Second
	// page is how many notes are read at once.
	page = 100
	// defaultEvery is how often Run looks. One look is one short query.
	defaultEvery = time.Second
)

// Sessions ends sessions; see session.Service.
type Sessions interface {
	// EndSubjectBefore ends the sessions of a subject whose user authenticated before t. It returns nil once that is
	// durable; after an error it must be repeated.
	EndSubjectBefore(ctx context.Context, subject string, t time.Time) error
}

// Config says whose sessions end. Notes and Sessions are required.
type Config struct {
	Notes    identity.Notes
	Sessions Sessions
	// Skew is the largest difference between the clocks of the processes. A session that began less than that after the
	// change may have begun before it, and ends too; one that began later lives. Default 30 s.
	Skew   time.Duration
	Every  time.Duration    // how often Run looks for notes; default 1 s
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: discard
}

// Outbox ends the sessions that changes of accounts have left to be ended. Methods may be called concurrently.
type Outbox struct{ cfg Config }

// New checks the configuration and fills in its defaults.
func New(c Config) (*Outbox, error) {
	if c.Notes == nil || c.Sessions == nil {
		return nil, errors.New("outbox: notes and sessions are required")
	}
	if c.Skew == 0 {
		c.Skew = 30 * time.Second
	}
	if c.Every == 0 {
		c.Every = defaultEvery
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Outbox{c}, nil
}

// Finish ends the sessions of an account that has just been changed. After an error Run goes on trying.
func (o *Outbox) Finish(ctx context.Context, subject string) error {
	for {
		notes, err := o.cfg.Notes.PendingEnds(ctx, subject, page)
		if err != nil {
			return fmt.Errorf("reading which sessions are to be ended: %w", err)
		}
		if err := o.end(ctx, notes); err != nil || len(notes) < page {
			return err
		}
	}
}

// Run does what others have left undone, until ctx ends; then it returns nil.
func (o *Outbox) Run(ctx context.Context) error {
	ticker := time.NewTicker(o.cfg.Every)
	defer ticker.Stop()
	for failing := false; ; {
		done, err := o.catchUp(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if done > 0 {
			o.cfg.Logger.InfoContext(ctx, "sessions of changed accounts ended, which had been left undone", "notes", done)
		}
		if err != nil && !failing {
			o.cfg.Logger.WarnContext(ctx, "sessions of changed accounts cannot be ended yet", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// catchUp takes on all notes that are old enough, and tells how many it has struck off.
func (o *Outbox) catchUp(ctx context.Context) (done int, err error) {
	notes, err := o.cfg.Notes.PendingEnds(ctx, "", page)
	if err != nil {
		return 0, fmt.Errorf("reading which sessions are to be ended: %w", err)
	}
	var failures []error
	for _, n := range notes {
		// A clock that was ahead when the note was made must not delay it.
		if o.cfg.Now().Sub(n.ChangedAt).Abs() < patience {
			continue
		}
		if err := o.end(ctx, []identity.PendingEnd{n}); err != nil {
			failures = append(failures, err)
			continue
		}
		done++
	}
	return done, errors.Join(failures...)
}

// end ends what notes about one subject ask for, and strikes them off.
func (o *Outbox) end(ctx context.Context, notes []identity.PendingEnd) error {
	if len(notes) == 0 {
		return nil
	}
	ids, newest := make([]string, len(notes)), notes[0]
	for i, n := range notes {
		ids[i] = n.ID
		if n.ChangedAt.After(newest.ChangedAt) {
			newest = n
		}
	}
	if err := o.cfg.Sessions.EndSubjectBefore(ctx, newest.Subject, newest.ChangedAt.Add(o.cfg.Skew)); err != nil {
		return fmt.Errorf("ending the sessions of a changed account: %w", err)
	}
	if err := o.cfg.Notes.EndsDone(ctx, ids...); err != nil {
		return fmt.Errorf("noting that sessions have ended: %w", err)
	}
	return nil
}
