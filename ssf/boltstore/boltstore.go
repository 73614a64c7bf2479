// Package boltstore keeps streams of shared signals, and their queues, in the embedded default's one durable file.
//
// Each stream is a bucket with its description, its events by number, and their numbers by ID. Whoever reads the file can read
// the Authorization headers of receivers in it, as any other secret of authd's that must be sent in clear.
package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/ssf"
)

// Store is an [ssf.Store] in a boltfile. Methods may be called concurrently.
type Store struct{ file *boltfile.File }

var _ ssf.Store = (*Store)(nil)

func streams() []byte   { return []byte("ssf_streams") }
func described() []byte { return []byte("stream") }
func events() []byte    { return []byte("events") }
func numbers() []byte   { return []byte("numbers") }
func counted() []byte   { return []byte("length") }

// grow changes the length of a stream's queue, and returns what it is then.
func grow(b *bbolt.Bucket, by int) (length int, err error) {
	if text := b.Get(counted()); len(text) == 8 {
		length = int(binary.BigEndian.Uint64(text))
	}
	length += by
	return length, b.Put(counted(), binary.BigEndian.AppendUint64(nil, uint64(length)))
}

// Open makes the store's bucket in file if it is missing. The file stays the caller's to close.
func Open(file *boltfile.File) (*Store, error) {
	err := file.Update(context.Background(), func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(streams())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the streams of shared signals: %w", err)
	}
	return &Store{file}, nil
}

// Streams implements [ssf.Store].
func (s *Store) Streams(context.Context) (list []ssf.Stream, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(streams())
		return all.ForEachBucket(func(id []byte) error {
			var stream ssf.Stream
			if err := json.Unmarshal(all.Bucket(id).Get(described()), &stream); err != nil {
				return fmt.Errorf("stream %s: %w", id, err)
			}
			list = append(list, stream)
			return nil
		})
	})
	return list, unavailable("reading the streams", err)
}

// Put implements [ssf.Store].
func (s *Store) Put(ctx context.Context, stream ssf.Stream) error {
	text, err := json.Marshal(stream)
	if err != nil {
		return fmt.Errorf("encoding a stream: %w", err)
	}
	return unavailable("storing a stream", s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b, err := tx.Bucket(streams()).CreateBucketIfNotExists([]byte(stream.ID))
		if err != nil {
			return err
		}
		for _, name := range [][]byte{events(), numbers()} {
			if _, err := b.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return b.Put(described(), text)
	}))
}

// Delete implements [ssf.Store].
func (s *Store) Delete(ctx context.Context, id string) error {
	return unavailable("deleting a stream", s.file.Update(ctx, func(tx *bbolt.Tx) error {
		all := tx.Bucket(streams())
		if all.Bucket([]byte(id)) == nil {
			return nil
		}
		return all.DeleteBucket([]byte(id))
	}))
}

// Append implements [ssf.Store].
func (s *Store) Append(ctx context.Context, queues map[string][]ssf.Claims) (lengths map[string]int, err error) {
	err = s.file.Update(ctx, func(tx *bbolt.Tx) error {
		lengths = make(map[string]int, len(queues))
		for id, list := range queues {
			b := tx.Bucket(streams()).Bucket([]byte(id))
			if b == nil {
				continue
			}
			for _, c := range list {
				var err error
				if lengths[id], err = appendOne(b, c); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return lengths, unavailable("queueing events", err)
}

// appendOne returns how long the queue is then.
func appendOne(b *bbolt.Bucket, c ssf.Claims) (length int, err error) {
	if b.Bucket(numbers()).Get([]byte(c.ID)) != nil {
		return grow(b, 0)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	n, err := b.NextSequence()
	if err != nil {
		return 0, err
	}
	key := binary.BigEndian.AppendUint64(nil, n)
	if err := b.Bucket(events()).Put(key, text); err != nil {
		return 0, err
	}
	if err := b.Bucket(numbers()).Put([]byte(c.ID), key); err != nil {
		return 0, err
	}
	return grow(b, 1)
}

// Oldest implements [ssf.Store].
func (s *Store) Oldest(_ context.Context, id string, n int) (list []ssf.Claims, more bool, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(streams()).Bucket([]byte(id))
		if b == nil {
			return nil
		}
		c := b.Bucket(events()).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if len(list) == n {
				more = true
				return nil
			}
			var claims ssf.Claims
			if err := json.Unmarshal(v, &claims); err != nil {
				return fmt.Errorf("event %x: %w", k, err)
			}
			list = append(list, claims)
		}
		return nil
	})
	return list, more, unavailable("reading events", err)
}

// Remove implements [ssf.Store].
func (s *Store) Remove(ctx context.Context, id string, ids ...string) error {
	return unavailable("removing events", s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(streams()).Bucket([]byte(id))
		if b == nil {
			return nil
		}
		for _, jti := range ids {
			key := b.Bucket(numbers()).Get([]byte(jti))
			if key == nil {
				continue
			}
			if err := b.Bucket(events()).Delete(key); err != nil {
				return err
			}
			if err := b.Bucket(numbers()).Delete([]byte(jti)); err != nil {
				return err
			}
			if _, err := grow(b, -1); err != nil {
				return err
			}
		}
		return nil
	}))
}

// unavailable marks an error of the file, or the end of the caller's context, as one whose outcome is unknown.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("shared signals: %s: %w: %w", doing, ssf.ErrUnavailable, err)
}
