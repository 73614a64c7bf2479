// Package boltstore keeps the key ring in the embedded default's file.
package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
)

var (
	bucketName = []byte("keys")
	ringKey    = []byte("ring")
)

// Open keeps a ring in the bucket "keys" of f. A change is acknowledged once it is synced to disk. Only one process has
// the file, and changes are announced within it: there must be one store for each file. Open fails when f holds a ring
// that the codec cannot read, for want of the right KEK for example. The file stays the caller's to close.
func Open(f *boltfile.File, codec *keys.Codec) (keys.Store, error) {
	s := keys.NewStore(&cell{file: f}, codec)
	if _, _, err := s.Load(context.Background()); err != nil {
		return nil, err
	}
	return s, nil
}

// cell implements [keys.Cell]. The value is under "ring"; its version is the bucket's sequence, which bbolt keeps and
// which only grows.
type cell struct {
	file     *boltfile.File
	watchers keys.Watchers

	announcing sync.Mutex // makes announcements come in the order of the changes
}

// Get implements [keys.Cell].
func (c *cell) Get(context.Context) (value []byte, v keys.Version, err error) {
	err = c.file.View(func(tx *bbolt.Tx) error {
		value, v = get(tx)
		value = bytes.Clone(value) // bbolt's is valid in the transaction only
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	return value, v, nil
}

// get returns the value, valid as long as tx is, and its version.
func get(tx *bbolt.Tx) ([]byte, keys.Version) {
	b := tx.Bucket(bucketName)
	if b == nil {
		return nil, ""
	}
	value := b.Get(ringKey)
	if value == nil {
		return nil, ""
	}
	return value, version(b.Sequence())
}

func version(sequence uint64) keys.Version { return keys.Version(strconv.FormatUint(sequence, 10)) }

// Swap implements [keys.Cell].
func (c *cell) Swap(ctx context.Context, old keys.Version, value []byte) (keys.Version, error) {
	var (
		v       keys.Version
		refused error
	)
	err := c.file.Update(ctx, func(tx *bbolt.Tx) error {
		refused = nil
		if _, now := get(tx); now != old {
			refused = fmt.Errorf("%w: version %q has moved on to %q", keys.ErrStale, old, now)
			return nil
		}
		b, err := tx.CreateBucketIfNotExists(bucketName)
		if err != nil {
			return err
		}
		sequence, err := b.NextSequence()
		if err != nil {
			return err
		}
		v = version(sequence)
		return b.Put(ringKey, value)
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	case refused != nil:
		return "", refused
	}
	c.announce(ctx)
	return v, nil
}

// Watch implements [keys.Cell].
func (c *cell) Watch(ctx context.Context) (<-chan keys.Version, error) {
	ch := c.watchers.Add(ctx)
	c.announce(ctx)
	return ch, nil
}

// announce tells the watchers which version is current. When that cannot be read the store is closed, and nobody will
// get an answer from it in any case.
func (c *cell) announce(ctx context.Context) {
	c.announcing.Lock()
	defer c.announcing.Unlock()
	if _, v, err := c.Get(ctx); err == nil && v != "" {
		c.watchers.Announce(v)
	}
}
