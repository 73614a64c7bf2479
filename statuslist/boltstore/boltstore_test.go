package boltstore_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/statuslist/boltstore"
	"github.com/authd-project/authd/statuslist/registertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openFile(t *testing.T, path string) *boltfile.File {
	t.Helper()
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t *testing.T, file *boltfile.File, now func() time.Time) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(file, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	registertest.Run(t, func(t *testing.T) statuslist.Register { return open(t, file, nil) })
}

// What was given out before a restart is not given out again, and a list is read in more than one step.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	id := statuslist.ListID{Ends: time.Now().Add(time.Hour).Unix()}
	header := statuslist.Header{Key: [16]byte{1}, Size: 100}
	for start := range 3 {
		file := openFile(t, path)
		s := open(t, file, nil)
		for i := range 10 {
			slot, h, err := s.Append(t.Context(), id, statuslist.Header{Key: [16]byte{byte(start + 1)}, Size: 100}, registertest.NoteOf(i))
			if err != nil || slot != start*10+i || h != header {
				t.Fatalf("start %d, note %d: slot %d, header %v, %v", start, i, slot, h, err)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLongLists(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	s := open(t, file, nil)
	id := statuslist.ListID{Ends: time.Now().Add(time.Hour).Unix()}
	const notes = 1<<13 + 5
	done := make(chan error)
	for i := range notes { // together, so that they share commits
		go func() {
			_, _, err := s.Append(t.Context(), id, statuslist.Header{Size: 1 << 20}, registertest.NoteOf(i))
			done <- err
		}()
	}
	for range notes {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if _, all, err := registertest.ReadAll(t.Context(), s, id); err != nil || len(all) != notes*statuslist.NoteSize {
		t.Errorf("%d bytes, %v", len(all), err)
	}
}

// A list goes when its tokens are dead, and not before.
func TestDeadListsAreDeleted(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	now := time.Now()
	s := open(t, file, func() time.Time { return now })
	begin := func(ends time.Time) statuslist.ListID {
		id := statuslist.ListID{Ends: ends.Unix()}
		if _, _, err := s.Append(t.Context(), id, statuslist.Header{Size: 10}, registertest.NoteOf(1)); err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second := begin(now.Add(time.Minute)), begin(now.Add(time.Hour))
	now = first.Dead().Add(-time.Second)
	begin(now.Add(2 * time.Hour))
	if _, _, _, err := s.Read(t.Context(), first, 0); err != nil {
		t.Errorf("before it is dead: %v", err)
	}
	now = first.Dead().Add(time.Second)
	begin(now.Add(3 * time.Hour))
	if _, _, _, err := s.Read(t.Context(), first, 0); !errors.Is(err, statuslist.ErrNotFound) {
		t.Errorf("a dead list: %v", err)
	}
	if _, _, _, err := s.Read(t.Context(), second, 0); err != nil {
		t.Errorf("one that lives: %v", err)
	}
}
