package boltstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/boltstore"
)

// A follower that is ahead of a restored file gets what comes next: positions of before mean nothing any more.
func TestRestoredIsANewEpoch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	ahead := revocation.Cutoff(time.Now()) + 5
	subject := revocation.Entry{
		Kind: revocation.Subject, ID: revocation.IDOf(revocation.Subject, "alice"), NotBefore: ahead, Expires: ahead + 1000,
	}
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	store, err := boltstore.Open(file, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Add(t.Context(), subject); err != nil {
		t.Fatal(err)
	}
	before := firstBatch(t, store, revocation.Position{})

	cutOff, err := boltstore.Restored(t.Context(), file, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if cutOff.Unix() != ahead+1 {
		t.Errorf("cut off at %d, although tokens may be stamped with %d", cutOff.Unix(), ahead)
	}
	if store, err = boltstore.Open(file, boltstore.Options{}); err != nil {
		t.Fatal(err)
	}
	before.Position.Seq += 100
	after := firstBatch(t, store, before.Position)
	if after.Position.Epoch == before.Position.Epoch || len(after.Entries) != 2 {
		t.Errorf("from %v on there is %v at %v", before.Position, after.Entries, after.Position)
	}

	if _, err := boltstore.Restored(t.Context(), file, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if store, err = boltstore.Open(file, boltstore.Options{}); err != nil {
		t.Fatal(err)
	}
	again := firstBatch(t, store, after.Position)
	if again.Position.Epoch == after.Position.Epoch || len(again.Entries) != 2 {
		t.Errorf("without a cut-off there is %v at %v", again.Entries, again.Position)
	}
}

// firstBatch returns what a follower gets first.
func firstBatch(t *testing.T, store *boltstore.Store, from revocation.Position) (first revocation.Batch) {
	t.Helper()
	enough := errors.New("enough")
	err := store.Follow(t.Context(), from, func(b revocation.Batch) error {
		first = b
		first.Entries = append([]revocation.Entry(nil), b.Entries...)
		return enough
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return first
}
