package boltstore

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/revocation"
)

const (
	// beat is how often a follower gets a proof when nothing changes: well within the second that [revocation.Feed]
	// promises.
	beat = 500 * time.Millisecond
	// page is the most entries in one batch. None is applied within a transaction, so that a slow follower does not
	// keep old pages of the file alive.
	page = 1024
)

// Follow implements [revocation.Feed]. Changes come in the order in which they were committed, each entry once, in its
// latest state. A position of this file is held for ever.
func (s *Store) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	f := follower{store: s, apply: apply}
	if from.Epoch == s.epoch {
		f.last = from.Seq
	}
	alive := time.NewTimer(beat)
	defer alive.Stop()
	for {
		added := s.added.Next() // before the look, so that no change falls between it and the wait
		for more := true; more; {
			var err error
			if more, err = f.step(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		alive.Reset(beat)
		select {
		case <-added:
		case <-alive.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type follower struct {
	store   *Store
	apply   func(revocation.Batch) error
	last    uint64             // number of the latest change delivered
	entries []revocation.Entry // scratch
}

// step delivers one page. An entry that changes while the pages are being read moves to a later one, so whoever has
// read to the end of the sequence holds all that was committed before the last transaction began.
func (f *follower) step() (more bool, err error) {
	f.entries = f.entries[:0]
	now := f.store.opt.Now() // before the transaction: it sees every commit that was acknowledged until then
	err = f.store.file.View(func(tx *bbolt.Tx) error {
		b := bucketOf(tx)
		if f.last > b.position() { // from a later state of the file than this one
			f.last = 0
		}
		f.last, more, err = b.scan(f.last, page, func(r record) {
			if !r.entry.Expired(now) {
				f.entries = append(f.entries, r.entry)
			}
		})
		return err
	})
	if err != nil {
		return false, unavailable("reading revocations", err)
	}
	batch := revocation.Batch{
		Entries:  f.entries,
		Position: revocation.Position{Epoch: f.store.epoch, Seq: f.last},
	}
	if !more {
		batch.AsOf = now
	}
	return more, f.apply(batch)
}
