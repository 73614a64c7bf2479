package boltstore

import (
	"context"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/session"
)

// endBatch is how many sessions EndAll ends in one transaction.
const endBatch = 1024

// EndAll ends every session, as [Store.End] does, and returns how many were live. It is for a file that comes back from a
// backup: which of its sessions ended later it cannot know.
func (s *Store) EndAll(ctx context.Context) (ended int, err error) {
	var from session.ID
	for {
		live, next, err := s.live(from)
		if err != nil {
			return ended, unavailable("listing all sessions", err)
		}
		if err := s.End(ctx, live...); err != nil {
			return ended, err
		}
		ended += len(live)
		if next == (session.ID{}) {
			return ended, nil
		}
		from = next
	}
}

// live returns which of the next sessions, from one on, have not ended, and where to continue: the zero ID after the last.
func (s *Store) live(from session.ID) (live []session.ID, next session.ID, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		b := bucketsOf(tx)
		c := b.records.Cursor()
		k, _ := c.Seek(from[:])
		for ; k != nil && len(live) < endBatch; k, _ = c.Next() {
			r, err := b.get(session.ID(k))
			if err != nil {
				return err
			}
			if !r.ended() {
				live = append(live, session.ID(k))
			}
		}
		if k != nil {
			next = session.ID(k)
		}
		return nil
	})
	return live, next, err
}
