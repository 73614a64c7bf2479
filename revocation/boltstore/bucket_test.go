package boltstore

import (
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
)

// An entry that is prolonged after the sweep has seen it as expired must stay.
func TestRemoveSparesWhatChanged(t *testing.T) {
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	store, err := Open(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 1}
	if err := store.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	seen := []record{{seq: 1, entry: e}}
	e.Expires = 2
	if err := store.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	err = file.Update(t.Context(), func(tx *bbolt.Tx) error {
		b := bucketOf(tx)
		if err := b.remove(seen); err != nil {
			return err
		}
		// A repeat changes nothing, so the entry is still there, and found.
		if changed, err := b.add([]revocation.Entry{e}); changed || err != nil {
			return errors.Join(errors.New("the entry is gone"), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
