// Package boltstore keeps revocations in the embedded default's file. An entry is acknowledged once it has been synced
// to disk; a process that dies at any moment loses nothing that was acknowledged.
package boltstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/internal/bell"
)

// Options may be left zero.
type Options struct {
	// Keep is how long an expired entry stays on disk, so that a clock that was ahead and is set back finds it again.
	// Default 1 h.
	Keep   time.Duration
	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

// Store implements [revocation.Store]. Followers must be in the same process, as the file is locked.
type Store struct {
	file  *boltfile.File
	opt   Options
	epoch string
	added bell.Bell // rung after each commit that changed something
}

var _ revocation.Store = (*Store)(nil)

// Open prepares the file's bucket for revocations. The file stays the caller's, to be closed after all followers and
// [Store.Run] have returned.
func Open(file *boltfile.File, opt Options) (*Store, error) {
	if opt.Keep == 0 {
		opt.Keep = time.Hour
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	s := &Store{file: file, opt: opt}
	// A random name, made once: a new file is a new sequence, a reopened one goes on.
	err := file.Update(context.Background(), func(tx *bbolt.Tx) (err error) {
		s.epoch, err = prepare(tx, rand.Text())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the revocation store: %w", err)
	}
	return s, nil
}

// Add implements [revocation.Store]: it returns nil once the entries have been synced to disk, all or none of them.
func (s *Store) Add(ctx context.Context, entries ...revocation.Entry) error {
	for _, e := range entries {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	if len(entries) == 0 {
		return nil
	}
	var changed bool
	err := s.file.Update(ctx, func(tx *bbolt.Tx) (err error) {
		changed, err = bucketOf(tx).add(entries)
		return err
	})
	if err != nil {
		return unavailable("adding revocations", err)
	}
	if changed {
		s.added.Ring()
	}
	return nil
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, revocation.ErrUnavailable, err)
}

const (
	sweepEvery = time.Minute
	// sweepPage is how many entries one transaction looks at, and deletes at most: a writer waits for no more.
	sweepPage = 512
)

// Run deletes expired entries, a few at a time, until ctx ends, which is no error. Without it the file only grows.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if n, err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.opt.Logger.Warn("deleting expired revocations failed", "err", err)
		} else if n > 0 {
			s.opt.Logger.Debug("deleted expired revocations", "entries", n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep deletes, from the oldest change to the latest, what expired longer than Keep ago.
func (s *Store) sweep(ctx context.Context) (deleted int, err error) {
	floor := s.opt.Now().Add(-s.opt.Keep).Unix()
	for last, more := uint64(0), true; more; {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		var expired []record
		err := s.file.View(func(tx *bbolt.Tx) (err error) {
			last, more, err = bucketOf(tx).scan(last, sweepPage, func(r record) {
				if r.entry.Expires <= floor {
					expired = append(expired, r)
				}
			})
			return err
		})
		if err == nil && len(expired) > 0 {
			err = s.file.Update(ctx, func(tx *bbolt.Tx) error { return bucketOf(tx).remove(expired) })
		}
		if err != nil {
			return deleted, fmt.Errorf("sweeping revocations: %w", err)
		}
		deleted += len(expired)
	}
	return deleted, nil
}

// errFormat is a file written by a version that keeps revocations differently.
var errFormat = errors.New("revocations are kept in a format that this version does not know")
