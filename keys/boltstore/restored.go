package boltstore

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
)

// Restored changes the ring of a file that comes back from a backup, by [keys.Abandon] or [keys.Unconfirm], before the ring
// is opened. A file without a ring stays as it is.
func Restored(ctx context.Context, f *boltfile.File, change func(stored []byte) ([]byte, error)) error {
	err := f.Update(ctx, func(tx *bbolt.Tx) error {
		stored, _ := get(tx)
		if stored == nil {
			return nil
		}
		changed, err := change(bytes.Clone(stored))
		if err != nil {
			return err
		}
		b := tx.Bucket(bucketName)
		if _, err := b.NextSequence(); err != nil {
			return err
		}
		return b.Put(ringKey, changed)
	})
	if err != nil {
		return fmt.Errorf("preparing a restored key ring: %w", err)
	}
	return nil
}
