package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/internal/boltfile"
)

// errFull means that the receiver has not taken events for too long.
var errFull = errors.New("the spool is full")

// spool keeps events for a receiver in the embedded file, by number: a bucket for each URL in one for all.
type spool struct {
	file *boltfile.File
	name []byte
	size atomic.Int64
}

func spools() []byte { return []byte("audit_webhooks") }

func (s *spool) bucket(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket(spools()).Bucket(s.name) }

func (s *spool) open() error {
	var n int
	err := s.file.Update(context.Background(), func(tx *bbolt.Tx) error {
		all, err := tx.CreateBucketIfNotExists(spools())
		if err != nil {
			return err
		}
		own, err := all.CreateBucketIfNotExists(s.name)
		if err != nil {
			return err
		}
		n = own.Stats().KeyN
		return nil
	})
	s.size.Store(int64(n))
	return err
}

func (s *spool) len() int { return int(s.size.Load()) }

func (s *spool) append(ctx context.Context, entries []audit.Entry) error {
	if s.len()+len(entries) > maxSpool {
		return errFull
	}
	err := s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b := s.bucket(tx)
		b.FillPercent = 1 // numbers count up
		for _, e := range entries {
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			if err := b.Put(binary.BigEndian.AppendUint64(nil, n), e.Line); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.size.Add(int64(len(entries)))
	}
	return err
}

// oldest returns up to n events and the number of the last of them.
func (s *spool) oldest(n int) (last uint64, events [][]byte, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		c := s.bucket(tx).Cursor()
		for k, v := c.First(); k != nil && len(events) < n; k, v = c.Next() {
			last, events = binary.BigEndian.Uint64(k), append(events, append([]byte(nil), v...))
		}
		return nil
	})
	return last, events, err
}

// remove removes events up to a number.
func (s *spool) remove(ctx context.Context, last uint64) error {
	var removed int
	err := s.file.Update(ctx, func(tx *bbolt.Tx) error {
		removed = 0
		c := s.bucket(tx).Cursor()
		for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= last; k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	if err == nil {
		s.size.Add(-int64(removed))
	}
	return err
}
