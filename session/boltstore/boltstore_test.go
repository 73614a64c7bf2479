package boltstore

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock stands still until it is moved.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(c.elapsed.Load()))
}
func (c *clock) Advance(d time.Duration) { c.elapsed.Add(int64(d)) }

func open(t testing.TB, path string, o Options) (*Store, *boltfile.File) {
	t.Helper()
	f, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	s, err := Open(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func TestStore(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Backend {
		c, path := new(clock), filepath.Join(t.TempDir(), "authd.db")
		s, f := open(t, path, Options{Now: c.Now})
		return sessiontest.Backend{Store: s, Advance: c.Advance, Reopen: func() session.Store {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			s, f = open(t, path, Options{Now: c.Now})
			return s
		}}
	})
}

// A closed file is an outage, not an answer about a session.
func TestClosedFile(t *testing.T) {
	s, f := open(t, filepath.Join(t.TempDir(), "authd.db"), Options{})
	f.Close()
	id, l := session.ID{1}, session.Limits{}.WithDefaults()
	var errs [6]error
	_, errs[0] = s.Create(t.Context(), session.Session{ID: id})
	_, errs[1] = s.Get(t.Context(), id, l)
	_, _, errs[2] = s.Refresh(t.Context(), id, 1, session.Use{}, l)
	errs[3] = s.End(t.Context(), id)
	_, errs[4] = s.EndSubject(t.Context(), "alice")
	_, errs[5] = s.List(t.Context(), "alice", l)
	for i, err := range errs {
		if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("call %d: %v; want ErrUnavailable", i, err)
		}
	}
	if _, err := Open(f, Options{}); err == nil {
		t.Error("opened a store in a closed file")
	}
}
