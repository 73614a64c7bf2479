package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/boltstore"
)

// stored counts the entries in the file, by both of the buckets that hold them.
func stored(t *testing.T, file *boltfile.File) (entries, changes int) {
	t.Helper()
	err := file.View(func(tx *bbolt.Tx) error {
		top := tx.Bucket([]byte("revocations"))
		entries = top.Bucket([]byte("entries")).Stats().KeyN
		changes = top.Bucket([]byte("changes")).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, changes
}

// sweep runs the store's background job once.
func sweep(t *testing.T, store *boltstore.Store) {
	t.Helper()
	if _, err := store.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	store, file := open(t, filepath.Join(t.TempDir(), "authd.db"),
		boltstore.Options{Keep: time.Hour, Now: func() time.Time { return now }})
	add := func(name string, expires time.Time) {
		e := revocation.Entry{
			Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, name), Expires: expires.Unix(),
		}
		if err := store.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var dying []revocation.Entry
	for i := range 1500 { // more than one page
		dying = append(dying, revocation.Entry{
			Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, fmt.Sprint(i)),
			Expires: now.Add(time.Minute).Unix(),
		})
	}
	if err := store.Add(t.Context(), dying...); err != nil {
		t.Fatal(err)
	}
	add("late", now.Add(2*time.Hour))
	add("7", now.Add(2*time.Hour)) // one of the dying lives longer

	now = now.Add(time.Hour)
	sweep(t, store)
	if entries, changes := stored(t, file); entries != 1501 || changes != 1501 {
		t.Errorf("expired, but within Keep: %d entries, %d changes are stored", entries, changes)
	}
	now = now.Add(time.Minute)
	sweep(t, store)
	if entries, changes := stored(t, file); entries != 2 || changes != 2 {
		t.Errorf("%d entries, %d changes are stored, want the two that live", entries, changes)
	}
	// The numbers go on where they were, and a follower from then on misses nothing.
	got := firstProof(t, store, revocation.Position{})
	if got.Position.Seq != 1502 || len(got.Entries) != 2 {
		t.Errorf("after the sweep: %d entries at %v", len(got.Entries), got.Position)
	}
}

// firstProof returns the first batch with a proof.
func firstProof(t *testing.T, store *boltstore.Store, from revocation.Position) (got revocation.Batch) {
	t.Helper()
	enough := errors.New("enough")
	err := store.Follow(t.Context(), from, func(b revocation.Batch) error {
		got = b
		if b.AsOf.IsZero() {
			return nil
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return got
}

// Run sweeps when it begins and ends with its context.
func TestRun(t *testing.T) {
	store, file := open(t, filepath.Join(t.TempDir(), "authd.db"), boltstore.Options{})
	e := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 1}
	if err := store.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- store.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if entries, _ := stored(t, file); entries == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("an entry that expired long ago is still stored")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestClosedFile(t *testing.T) {
	store, file := open(t, filepath.Join(t.TempDir(), "authd.db"), boltstore.Options{})
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	e := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: inAnHour()}
	if err := store.Add(t.Context(), e); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Add: %v", err)
	}
	err := store.Follow(t.Context(), revocation.Position{}, func(revocation.Batch) error { return nil })
	if !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Follow: %v", err)
	}
	if _, err := boltstore.Open(file, boltstore.Options{}); err == nil {
		t.Error("Open succeeded")
	}
}

func TestUnknownFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	_, file := open(t, path, boltstore.Options{})
	err := file.Update(t.Context(), func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("revocations")).Put([]byte("format"), []byte("2"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := boltstore.Open(file, boltstore.Options{}); err == nil {
		t.Error("a file of a later format was opened")
	}
}

// A record that is not one is an error, not a revocation that is silently missing.
func TestDamagedRecord(t *testing.T) {
	store, file := open(t, filepath.Join(t.TempDir(), "authd.db"), boltstore.Options{})
	err := file.Update(t.Context(), func(tx *bbolt.Tx) error {
		changes := tx.Bucket([]byte("revocations")).Bucket([]byte("changes"))
		return changes.Put([]byte("\x00\x00\x00\x00\x00\x00\x00\x01"), []byte("short"))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = store.Follow(t.Context(), revocation.Position{}, func(b revocation.Batch) error {
		if !b.AsOf.IsZero() {
			t.Error("a damaged file was vouched for")
		}
		return nil
	})
	if !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Follow: %v", err)
	}
}
