// Package boltstore keeps sessions in the embedded default's one durable file.
//
// A write is acknowledged after it was synced to disk; concurrent writes share the sync. The file has one writing
// transaction at a time, so each refresh decides on what the one before it left.
//
// What ends a session replaces its record by a tombstone with nothing but the subject and the time. Deleting the record
// would do as well to keep the session ended, since only Create makes records and IDs are random. The tombstone is there
// for whoever repeats an interrupted logout, and [Store.Run] deletes it later, together with the sessions that reached
// their limits.
package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/session"
)

// Options are the settings of a store. The zero value means the defaults.
type Options struct {
	// Limits tell Run which sessions may be deleted: the same limits as the service's. Zero fields mean the defaults.
	Limits session.Limits
	// KeepEnded is how long an ended session is remembered; default 1 h. It must exceed the life of an access token by
	// the leeway of verifiers, or an interrupted logout that is repeated may miss a live token.
	KeepEnded time.Duration
	Now       func() time.Time // default time.Now
	Logger    *slog.Logger     // default: none
}

// Store is a session.Store in a boltfile. Methods may be called concurrently.
type Store struct {
	file      *boltfile.File
	limits    session.Limits
	keepEnded time.Duration
	now       func() time.Time
	log       *slog.Logger
}

var _ session.Store = (*Store)(nil)

// Open makes the store's buckets in file if they are missing. The file stays the caller's to close, after Run and every
// other method have returned.
func Open(file *boltfile.File, o Options) (*Store, error) {
	s := &Store{
		file:      file,
		limits:    o.Limits.WithDefaults(),
		keepEnded: cmp.Or(o.KeepEnded, time.Hour),
		now:       o.Now,
		log:       o.Logger,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	err := file.Update(context.Background(), createBuckets)
	if err != nil {
		return nil, fmt.Errorf("opening the session store: %w", err)
	}
	return s, nil
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, n session.Session) (session.Session, error) {
	var exists bool
	err := s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b := bucketsOf(tx)
		if exists = b.records.Get(n.ID[:]) != nil; exists {
			return nil
		}
		now := s.now()
		n.CreatedAt, n.LastUsedAt = now, now
		n.Chain = session.Chain{Generation: 1, Since: now}
		return b.put(n)
	})
	if err != nil {
		return session.Session{}, unavailable("creating a session", err)
	}
	if exists {
		return session.Session{}, fmt.Errorf("creating a session: %w: %v", session.ErrExists, n.ID)
	}
	return n, nil
}

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, id session.ID, l session.Limits) (found session.Session, err error) {
	if err := ctx.Err(); err != nil {
		return session.Session{}, unavailable("reading a session", err)
	}
	var missing error
	err = s.file.View(func(tx *bbolt.Tx) error {
		found, missing, err = bucketsOf(tx).live(id, s.now(), l)
		return err
	})
	if err != nil {
		return session.Session{}, unavailable("reading a session", err)
	}
	return found, missing
}

// Refresh implements [session.Store].
func (s *Store) Refresh(ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits) (
	session.Session, session.Outcome, error,
) {
	var (
		n       session.Session
		outcome session.Outcome
		missing error // kept apart from the update's error, which would undo what others did in the same transaction
	)
	err := s.file.Update(ctx, func(tx *bbolt.Tx) (err error) {
		b, now := bucketsOf(tx), s.now()
		outcome = 0
		n, missing, err = b.live(id, now, l)
		if err != nil || missing != nil {
			return err
		}
		n.PreviousAddress = n.Address
		var chain session.Chain
		chain, outcome = session.Decide(n.Chain, presented, now, l)
		if outcome == session.Reused {
			return b.end(n.ID, n.Subject, now)
		}
		n.Chain, n.LastUsedAt, n.Address = chain, now, use.Address
		return b.put(n)
	})
	if err != nil {
		return session.Session{}, 0, unavailable("refreshing a session", err)
	}
	return n, outcome, missing
}

// End implements [session.Store].
func (s *Store) End(ctx context.Context, ids ...session.ID) error {
	err := s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b, now := bucketsOf(tx), s.now()
		for _, id := range ids {
			r, err := b.get(id)
			if err != nil {
				return err
			}
			if r == nil || r.ended() {
				continue
			}
			if err := b.end(id, r.Subject, now); err != nil {
				return err
			}
		}
		return nil
	})
	return unavailable("ending sessions", err)
}

// EndSubject implements [session.Store].
func (s *Store) EndSubject(ctx context.Context, subject string, keep ...session.ID) ([]session.ID, error) {
	var ended []session.ID
	err := s.file.Update(ctx, func(tx *bbolt.Tx) error {
		ended = nil
		b, now := bucketsOf(tx), s.now()
		for _, id := range b.ofSubject(subject) {
			if slices.Contains(keep, id) {
				continue
			}
			r, err := b.get(id)
			if err != nil {
				return err
			}
			if !r.ended() {
				if err := b.end(id, subject, now); err != nil {
					return err
				}
			}
			ended = append(ended, id)
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("ending the sessions of a subject", err)
	}
	return ended, nil
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, subject string, l session.Limits) ([]session.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable("listing sessions", err)
	}
	var list []session.Session
	err := s.file.View(func(tx *bbolt.Tx) error {
		b, now := bucketsOf(tx), s.now()
		for _, id := range b.ofSubject(subject) {
			n, missing, err := b.live(id, now, l)
			if err != nil {
				return err
			}
			if missing == nil {
				list = append(list, n)
			}
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("listing sessions", err)
	}
	slices.SortFunc(list, func(a, b session.Session) int {
		return cmp.Or(b.LastUsedAt.Compare(a.LastUsedAt), slices.Compare(a.ID[:], b.ID[:]))
	})
	return list, nil
}

// unavailable marks an error of the file, or the end of the caller's context, as one whose outcome is unknown.
func unavailable(doing string, err error) error {
	if err == nil || errors.Is(err, session.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, session.ErrUnavailable, err)
}
