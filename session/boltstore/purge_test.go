package boltstore

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/session"
)

// stored counts records and index keys.
func stored(t *testing.T, f *boltfile.File) (records, subjects int) {
	t.Helper()
	err := f.View(func(tx *bbolt.Tx) error {
		b := bucketsOf(tx)
		records, subjects = b.records.Stats().KeyN, b.subjects.Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, subjects
}

// createMany stores n sessions, with IDs that start with the given byte, at once: they share a few syncs.
func createMany(t *testing.T, s *Store, first byte, n int) []session.ID {
	t.Helper()
	ids := make([]session.ID, n)
	var wg sync.WaitGroup
	for i := range ids {
		ids[i][0] = first
		binary.BigEndian.PutUint32(ids[i][12:], uint32(i))
		wg.Go(func() {
			if _, err := s.Create(t.Context(), session.Session{ID: ids[i], Subject: "alice"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return ids
}

func TestRunPurges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := session.Limits{Idle: 20 * time.Minute, Absolute: 4 * time.Hour}
		s, f := open(t, filepath.Join(t.TempDir(), "authd.db"), Options{Limits: limits, KeepEnded: 10 * time.Minute})
		defer f.Close() // inside the bubble
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		runs.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		defer runs.Wait()
		defer cancel()

		const many = purgeBatch + 10 // more than one batch
		idle := createMany(t, s, 1, many)
		ended := createMany(t, s, 2, 3)
		used := createMany(t, s, 3, 3)
		if err := s.End(t.Context(), ended...); err != nil {
			t.Fatal(err)
		}
		wantStored := func(when string, want int) {
			t.Helper()
			if records, subjects := stored(t, f); records != want || subjects != want {
				t.Errorf("%s: %d records, %d index keys; want %d", when, records, subjects, want)
			}
		}

		time.Sleep(8 * time.Minute)
		wantStored("8 min: nothing may go yet", many+6)
		time.Sleep(4 * time.Minute)
		wantStored("12 min: the tombstones were kept for 10", many+3)
		for _, id := range used {
			if _, _, err := s.Refresh(t.Context(), id, 1, session.Use{}, s.limits); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(16 * time.Minute)
		wantStored("28 min: the idle ones have expired, and are kept for 10", many+3)
		for _, id := range used {
			if _, _, err := s.Refresh(t.Context(), id, 2, session.Use{}, s.limits); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(4 * time.Minute)
		wantStored("32 min: only those in use remain", 3)
		for _, id := range used {
			if _, err := s.Get(t.Context(), id, s.limits); err != nil {
				t.Errorf("a session in use: %v", err)
			}
		}
		if _, err := s.Get(t.Context(), idle[0], s.limits); err == nil {
			t.Error("an idle session is still there")
		}
	})
}

// What the purge saw may have been refreshed before it deletes; that session must stay.
func TestPurgeLooksAgain(t *testing.T) {
	c := new(clock)
	s, f := open(t, filepath.Join(t.TempDir(), "authd.db"), Options{Now: c.Now})
	ids := createMany(t, s, 1, 2)
	c.Advance(s.limits.Idle + s.keepEnded)
	dead, _, err := s.scan(session.ID{})
	if err != nil || len(dead) != 2 {
		t.Fatalf("scan: %v, %v; want both sessions", dead, err)
	}
	longer := s.limits
	longer.Idle *= 2 // stands for a refresh that was decided just before the session expired
	if _, _, err := s.Refresh(t.Context(), ids[0], 1, session.Use{}, longer); err != nil {
		t.Fatal(err)
	}
	if err := s.remove(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	if records, subjects := stored(t, f); records != 1 || subjects != 1 {
		t.Errorf("%d records, %d index keys; want the refreshed one", records, subjects)
	}
}
