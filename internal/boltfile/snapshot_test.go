package boltfile_test

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
)

// A snapshot holds all that was acknowledged before it, and of what is written together all or nothing.
func TestSnapshotWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	f, err := boltfile.Open(filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(n uint64) error {
		return f.Update(context.Background(), func(tx *bbolt.Tx) error {
			for _, name := range []string{"one", "other"} {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				if err != nil {
					return err
				}
				if err := b.Put(binary.BigEndian.AppendUint64(nil, n), make([]byte, 500)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := uint64(1); ctx.Err() == nil; n++ {
			if err := write(n); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, name := range []string{"1.db", "2.db", "3.db"} {
		to := filepath.Join(dir, name)
		if err := f.Snapshot(to); err != nil {
			t.Fatal(err)
		}
		copied, err := boltfile.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		_ = copied.View(func(tx *bbolt.Tx) error {
			one, other := tx.Bucket([]byte("one")).Stats().KeyN, tx.Bucket([]byte("other")).Stats().KeyN
			if one == 0 || one != other {
				t.Errorf("%s has %d and %d keys", name, one, other)
			}
			return nil
		})
		copied.Close()
	}
	stop()
	writing.Wait()
	if err := f.Snapshot(filepath.Join(dir, "1.db")); err == nil {
		t.Error("a file was overwritten")
	}
}
