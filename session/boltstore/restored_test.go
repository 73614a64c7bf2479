package boltstore

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/authd-project/authd/session"
)

func TestEndAll(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "authd.db"), Options{})
	ids := createMany(t, s, 1, endBatch+10)
	if err := s.End(t.Context(), ids[:5]...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{len(ids) - 5, 0} {
		if n, err := s.EndAll(t.Context()); err != nil || n != want {
			t.Errorf("ended %d, %v; want %d", n, err, want)
		}
	}
	for _, id := range ids {
		if _, err := s.Get(t.Context(), id, s.limits); !errors.Is(err, session.ErrEnded) {
			t.Fatalf("session %v: %v", id, err)
		}
	}
}
