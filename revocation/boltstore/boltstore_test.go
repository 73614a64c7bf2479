package boltstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/boltstore"
)

func open(t testing.TB, path string, opt boltstore.Options) (*boltstore.Store, *boltfile.File) {
	t.Helper()
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	store, err := boltstore.Open(file, opt)
	if err != nil {
		t.Fatal(err)
	}
	return store, file
}

// A store opened again goes on in the same sequence, and a mirror of it denies what the first one acknowledged.
func TestMirrorAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	store, file := open(t, path, boltstore.Options{})
	sid := revocation.IDOf(revocation.Session, "s1")
	expires := time.Now().Add(time.Hour).Unix()
	if err := store.Add(t.Context(), revocation.Entry{Kind: revocation.Session, ID: sid, Expires: expires}); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	store, _ = open(t, path, boltstore.Options{})
	m := revocation.NewMirror(revocation.MirrorConfig{})
	if err := m.Check(t.Context(), revocation.Claims{}); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("before the first batch: got %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	proved := make(chan struct{}, 1)
	done := make(chan error)
	go func() { done <- m.Run(ctx, tell{store, proved}) }()
	<-proved
	if err := m.Check(t.Context(), revocation.Claims{Session: sid}); !errors.Is(err, revocation.ErrRevoked) {
		t.Errorf("revoked session: got %v", err)
	}
	if err := m.Check(t.Context(), revocation.Claims{}); err != nil {
		t.Errorf("another session: got %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// tell is a feed that says when its follower has taken a proof.
type tell struct {
	revocation.Feed
	proved chan<- struct{}
}

func (f tell) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return f.Feed.Follow(ctx, from, func(b revocation.Batch) error {
		err := apply(b)
		if err == nil && !b.AsOf.IsZero() {
			select {
			case f.proved <- struct{}{}:
			default:
			}
		}
		return err
	})
}
