// Package boltstore keeps the register of status lists in the embedded default's one durable file.
//
// Each list is a bucket with its header and its notes by slot. A note is acknowledged after it was synced to disk;
// concurrent ones share the sync. Dead lists are deleted when a new one begins.
package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/statuslist"
)

// Store is a statuslist.Register in a boltfile. Methods may be called concurrently.
type Store struct {
	file *boltfile.File
	now  func() time.Time
}

var _ statuslist.Register = (*Store)(nil)

// chunk is how many notes one Read returns at most.
const chunk = 1 << 13

func bucketName() []byte { return []byte("status_lists") }
func headerKey() []byte  { return []byte("h") } // shorter than the key of a note, so before all of them or after

// Open makes the store's bucket in file if it is missing. The file stays the caller's to close. now is the clock;
// time.Now if nil.
func Open(file *boltfile.File, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	err := file.Update(context.Background(), func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the register of status lists: %w", err)
	}
	return &Store{file, now}, nil
}

// Append implements [statuslist.Register].
func (s *Store) Append(ctx context.Context, id statuslist.ListID, fresh statuslist.Header, n statuslist.Note) (
	slot int, h statuslist.Header, err error,
) {
	var full bool // kept apart from the update's error, which would undo what others did in the same transaction
	err = s.file.Update(ctx, func(tx *bbolt.Tx) error {
		lists := tx.Bucket(bucketName())
		list := lists.Bucket([]byte(id.String()))
		if list == nil {
			if err := s.deleteDead(lists); err != nil {
				return err
			}
			var err error
			if list, err = begin(lists, id, fresh); err != nil {
				return err
			}
		}
		var err error
		if h, err = statuslist.UnpackHeader(list.Get(headerKey())); err != nil {
			return err
		}
		slot = int(list.Sequence())
		if full = slot >= h.Size; full {
			return nil
		}
		if err := list.SetSequence(uint64(slot) + 1); err != nil {
			return err
		}
		return list.Put(slotKey(slot), n.Pack())
	})
	switch {
	case err != nil:
		return 0, statuslist.Header{}, unavailable("noting a token", err)
	case full:
		return 0, statuslist.Header{}, statuslist.ErrFull
	}
	return slot, h, nil
}

func begin(lists *bbolt.Bucket, id statuslist.ListID, fresh statuslist.Header) (*bbolt.Bucket, error) {
	list, err := lists.CreateBucket([]byte(id.String()))
	if err != nil {
		return nil, err
	}
	list.FillPercent = 1 // slots count up
	return list, list.Put(headerKey(), fresh.Pack())
}

// deleteDead deletes the lists that everybody has forgotten.
func (s *Store) deleteDead(lists *bbolt.Bucket) error {
	var dead [][]byte
	err := lists.ForEachBucket(func(name []byte) error {
		if id, err := statuslist.ParseListID(string(name)); err != nil || s.now().After(id.Dead()) {
			dead = append(dead, name)
		}
		return nil
	})
	for _, name := range dead {
		err = errors.Join(err, lists.DeleteBucket(name))
	}
	return err
}

// Read implements [statuslist.Register].
func (s *Store) Read(ctx context.Context, id statuslist.ListID, from int) (
	h statuslist.Header, total int, notes []byte, err error,
) {
	if err := ctx.Err(); err != nil {
		return h, 0, nil, unavailable("reading notes", err)
	}
	err = s.file.View(func(tx *bbolt.Tx) error {
		list := tx.Bucket(bucketName()).Bucket([]byte(id.String()))
		if list == nil {
			return statuslist.ErrNotFound
		}
		if h, err = statuslist.UnpackHeader(list.Get(headerKey())); err != nil {
			return err
		}
		total = int(list.Sequence())
		for slot := from; slot < min(total, from+chunk); slot++ {
			note := list.Get(slotKey(slot))
			if len(note) != statuslist.NoteSize {
				return fmt.Errorf("note %d has %d bytes", slot, len(note))
			}
			notes = append(notes, note...)
		}
		return nil
	})
	switch {
	case errors.Is(err, statuslist.ErrNotFound):
		return h, 0, nil, statuslist.ErrNotFound
	case err != nil:
		return h, 0, nil, unavailable("reading notes", err)
	}
	return h, total, notes, nil
}

func slotKey(slot int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(slot)) }

// unavailable marks an error of the file, or the end of the caller's context, as one whose outcome is unknown.
func unavailable(doing string, err error) error {
	return fmt.Errorf("status lists: %s: %w: %w", doing, statuslist.ErrUnavailable, err)
}
