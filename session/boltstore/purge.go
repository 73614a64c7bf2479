package boltstore

import (
	"context"
	"encoding/json"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/session"
)

// The purge looks at the records in the order of their keys, purgeBatch of them each purgeEvery, round and round. An
// index by expiry would cost every refresh two more writes; looking at a record costs microseconds.
const (
	purgeBatch = 256
	purgeEvery = time.Second
)

// Run deletes expired sessions and old tombstones in small batches until ctx ends, and then returns nil. Without it
// nothing is wrong, but the file grows.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	var from session.ID
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		next, err := s.purge(ctx, from)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "purging sessions", "err", err)
			continue // the same batch again
		}
		from = next
	}
}

// purge deletes what may go among the purgeBatch records from the given id on, and returns where to continue: the zero
// ID after the last.
func (s *Store) purge(ctx context.Context, from session.ID) (next session.ID, err error) {
	var dead []session.ID
	now := s.now()
	err = s.file.View(func(tx *bbolt.Tx) error {
		c := bucketsOf(tx).records.Cursor()
		k, v := c.Seek(from[:])
		for range purgeBatch {
			if k == nil {
				return nil
			}
			var r record
			if id := session.ID(k); json.Unmarshal(v, &r) == nil && s.mayGo(id, &r, now) {
				dead = append(dead, id)
			}
			k, v = c.Next()
		}
		if k != nil {
			next = session.ID(k)
		}
		return nil
	})
	if err != nil || len(dead) == 0 {
		return next, err
	}
	return next, s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b := bucketsOf(tx)
		for _, id := range dead {
			r, err := b.get(id)
			if err != nil {
				return err
			}
			if r == nil || !s.mayGo(id, r, now) { // it may have been refreshed since
				continue
			}
			if err := b.remove(id, r.Subject); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) mayGo(id session.ID, r *record, now time.Time) bool {
	if r.ended() {
		return now.Sub(time.Unix(0, r.Ended)) >= s.keepEnded
	}
	// An expired session is kept as long as an ended one, for a logout that comes late.
	return r.session(id).Expired(now.Add(-s.keepEnded), s.limits)
}
