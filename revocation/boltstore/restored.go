package boltstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
)

// Restored prepares the revocations of a file that comes back from a backup, before anybody follows them. The set begins a
// new epoch: what was revoked after the backup is not in it, and a follower that had heard of it must not take this
// sequence for the one that it knows. Whoever had heard goes on refusing; the set only adds to what a follower holds.
//
// Unless cutOff is zero, all tokens that were issued before it are revoked, until they are dead by expires. It returns the
// cut-off in the whole seconds that count: one beyond all that the file knows, as tokens may be stamped with those.
func Restored(ctx context.Context, file *boltfile.File, cutOff, expires time.Time) (time.Time, error) {
	var notBefore int64
	err := file.Update(ctx, func(tx *bbolt.Tx) error {
		if _, err := prepare(tx, rand.Text()); err != nil {
			return err
		}
		if err := tx.Bucket(topName).Put(epochKey, []byte(rand.Text())); err != nil {
			return err
		}
		if cutOff.IsZero() {
			return nil
		}
		b := bucketOf(tx)
		notBefore = revocation.Cutoff(cutOff)
		for last, more := uint64(0), true; more; {
			var err error
			last, more, err = b.scan(last, sweepPage, func(r record) { notBefore = max(notBefore, r.entry.NotBefore+1) })
			if err != nil {
				return err
			}
		}
		e := revocation.Entry{Kind: revocation.Everything, NotBefore: notBefore, Expires: revocation.Cutoff(expires)}
		if err := e.Validate(); err != nil {
			return err
		}
		_, err := b.add([]revocation.Entry{e})
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("preparing restored revocations: %w", err)
	}
	if notBefore == 0 {
		return time.Time{}, nil
	}
	return time.Unix(notBefore, 0), nil
}
