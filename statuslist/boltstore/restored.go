package boltstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/authd-project/authd/internal/boltfile"
)

// Forget removes all lists from a file that comes back from a backup. Slots that were given out after the backup would be
// given out again, and one slot would tell of two tokens; new lists have new names. A token of a list that is gone is
// refused by those who go by lists, until its holder refreshes.
func Forget(ctx context.Context, file *boltfile.File) error {
	err := file.Update(ctx, func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket(bucketName()); !errors.Is(err, bolterrors.ErrBucketNotFound) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forgetting the status lists: %w", err)
	}
	return nil
}
