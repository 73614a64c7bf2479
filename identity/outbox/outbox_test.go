package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/outbox"
	"github.com/authd-project/authd/identity/sqlstore"
)

const password = "violin marmalade tundra"

// skew is the difference of clocks that the tests allow for.
const skew = 20 * time.Second

var errDown = errors.New("the store of sessions does not answer")

// sessions remembers whose it was told to end, and can be made to fail.
type sessions struct {
	mu    sync.Mutex
	err   error
	never string   // whose sessions cannot be ended
	ended []string // subjects
	until []time.Time
}

func (s *sessions) EndSubjectBefore(_ context.Context, subject string, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if subject == s.never {
		return errDown
	}
	s.ended, s.until = append(s.ended, subject), append(s.until, t)
	return nil
}

func (s *sessions) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// told returns whose sessions it was told to end since it was last asked.
func (s *sessions) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.ended
	s.ended, s.until = nil, nil
	return told
}

func openUsers(t *testing.T) *sqlstore.Store {
	t.Helper()
	h, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	users, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "users.db"), sqlstore.Config{Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := users.Close(); err != nil {
			t.Error(err)
		}
	})
	return users
}

func newOutbox(t *testing.T, notes identity.Notes, s *sessions) *outbox.Outbox {
	t.Helper()
	o, err := outbox.New(outbox.Config{Notes: notes, Sessions: s, Skew: skew})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// changed adds a user whose sessions are then to be ended, and returns the subject and when that was.
func changed(t *testing.T, users *sqlstore.Store, name string) (string, time.Time) {
	t.Helper()
	if _, err := users.Add(t.Context(), name, password); err != nil {
		t.Fatal(err)
	}
	account, err := users.SetPassword(t.Context(), name, "copper lantern giraffe")
	if err != nil {
		t.Fatal(err)
	}
	return account.Subject, account.PasswordChangedAt
}

func wantNotes(t *testing.T, notes identity.Notes, want int) {
	t.Helper()
	if left, err := notes.PendingEnds(t.Context(), "", 1000); err != nil || len(left) != want {
		t.Errorf("%d notes are left, %v, want %d", len(left), err, want)
	}
}

func TestFinish(t *testing.T) {
	users, s := openUsers(t), &sessions{}
	o := newOutbox(t, users, s)
	alice, at := changed(t, users, "alice")
	changed(t, users, "bob")
	if err := o.Finish(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.until, []time.Time{at.Add(skew)}) {
		t.Errorf("sessions ended that began before %v, want before %v", s.until, at.Add(skew))
	}
	if told := s.told(); !slices.Equal(told, []string{alice}) {
		t.Errorf("sessions ended of %q, want of %q", told, alice)
	}
	wantNotes(t, users, 1)
	if err := o.Finish(t.Context(), alice); err != nil || len(s.told()) > 0 {
		t.Errorf("again: %v, and sessions were ended", err)
	}
}

// However many changes were left, one end finishes them all, and it is of the last.
func TestFinishManyChanges(t *testing.T) {
	users, s := openUsers(t), &sessions{}
	o := newOutbox(t, users, s)
	alice, _ := changed(t, users, "alice")
	for range 120 { // more than one page
		if _, err := users.SetDisabled(t.Context(), "alice", true); err != nil {
			t.Fatal(err)
		}
	}
	last, err := users.Get(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Finish(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if n := len(s.until); n != 2 || !s.until[n-1].Equal(last.UpdatedAt.Add(skew)) {
		t.Errorf("sessions ended that began before %v, want before %v at last", s.until, last.UpdatedAt.Add(skew))
	}
	wantNotes(t, users, 0)
}

// What was not confirmed stays noted.
func TestFinishFails(t *testing.T) {
	users, s := openUsers(t), &sessions{err: errDown}
	o := newOutbox(t, users, s)
	alice, _ := changed(t, users, "alice")
	if err := o.Finish(t.Context(), alice); !errors.Is(err, errDown) {
		t.Errorf("error %v, want %v", err, errDown)
	}
	wantNotes(t, users, 1)
	s.fail(nil)
	if err := o.Finish(t.Context(), alice); err != nil {
		t.Error(err)
	}
	wantNotes(t, users, 0)
}

// memory keeps notes for tests whose clock is not the real one.
type memory struct {
	mu    sync.Mutex
	notes []identity.PendingEnd
	err   error
}

func (m *memory) PendingEnds(_ context.Context, subject string, limit int) ([]identity.PendingEnd, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []identity.PendingEnd
	for _, n := range m.notes {
		if (subject == "" || n.Subject == subject) && len(found) < limit {
			found = append(found, n)
		}
	}
	return found, m.err
}

func (m *memory) EndsDone(_ context.Context, ids ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = slices.DeleteFunc(m.notes, func(n identity.PendingEnd) bool { return slices.Contains(ids, n.ID) })
	return m.err
}

func (m *memory) leave(subject string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = append(m.notes, identity.PendingEnd{ID: fmt.Sprint("note ", len(m.notes), subject), Subject: subject, ChangedAt: at})
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func runOutbox(t *testing.T, m *memory, s *sessions) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	o := newOutbox(t, m, s)
	wg.Go(func() {
		if err := o.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// A note of a process that died is taken on at once, one of a request that is being answered only when it has had its
// time, and one by a clock that is far ahead without waiting for it.
func TestRunTakesOnWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := &memory{}, &sessions{}
		m.leave("old", time.Now().Add(-time.Hour))
		m.leave("ahead", time.Now().Add(20*time.Second))
		m.leave("young", time.Now())
		runOutbox(t, m, s)
		synctest.Wait()
		if told := s.told(); !slices.Equal(told, []string{"old", "ahead"}) {
			t.Errorf("at the start sessions ended of %q", told)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if told := s.told(); !slices.Equal(told, []string{"young"}) {
			t.Errorf("within three seconds sessions ended of %q", told)
		}
		time.Sleep(time.Minute)
		if told := s.told(); len(told) > 0 {
			t.Errorf("and again of %q", told)
		}
		wantNotes(t, m, 0)
	})
}

// Nothing that fails makes it give up, and one failure does not keep others waiting.
func TestRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := &memory{}, &sessions{err: errDown, never: "trudy"}
		m.leave("trudy", time.Now().Add(-2*time.Hour))
		m.leave("alice", time.Now().Add(-time.Hour))
		runOutbox(t, m, s)
		time.Sleep(time.Minute)
		wantNotes(t, m, 2)
		s.fail(nil)
		m.fail(errDown)
		time.Sleep(time.Minute)
		if told := s.told(); len(told) > 0 {
			t.Errorf("without the database sessions ended of %q", told)
		}
		m.fail(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if told := s.told(); !slices.Equal(told, []string{"alice"}) {
			t.Errorf("sessions ended of %q", told)
		}
		wantNotes(t, m, 1) // of her whose sessions cannot be ended
	})
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]outbox.Config{
		"no notes":    {Sessions: &sessions{}},
		"no sessions": {Notes: &memory{}},
	} {
		if _, err := outbox.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
