package boltstore

import (
	"context"
	"encoding/json"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/session"
)

// The purge looks at the records in the order of their keys, purgeBatch of them each purgeEvery, and rests after the
// last. An index by expiry would cost every refresh two more writes; looking at a record costs microseconds.
const (
	purgeBatch = 256
	purgeEvery = time.Second
	purgeRest  = time.Minute
)

// Run deletes expired sessions and old tombstones in small batches until ctx ends, and then returns nil. Without it
// nothing is wrong, but the file grows.
func (s *Store) Run(ctx context.Context) error {
	timer := time.NewTimer(purgeEvery)
	defer timer.Stop()
	var from session.ID
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		dead, next, err := s.scan(from)
		if err == nil {
			err = s.remove(ctx, dead)
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "purging sessions", "err", err)
			next = from // the same batch again
		}
		from = next
		if from == (session.ID{}) {
			timer.Reset(purgeRest)
		} else {
			timer.Reset(purgeEvery)
		}
	}
}

// scan returns which of the purgeBatch records from the given id on may go, and where to continue: the zero ID after the
// last.
func (s *Store) scan(from session.ID) (dead []session.ID, next session.ID, err error) {
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
	return dead, next, err
}

// remove deletes what scan found, and looks again first: a session may have been refreshed since.
func (s *Store) remove(ctx context.Context, dead []session.ID) error {
	if len(dead) == 0 {
		return nil
	}
	return s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b, now := bucketsOf(tx), s.now()
		for _, id := range dead {
			r, err := b.get(id)
			if err != nil {
				return err
			}
			if r == nil || !s.mayGo(id, r, now) {
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
