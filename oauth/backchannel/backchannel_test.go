package backchannel_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/oauth/backchannel"
	"github.com/authd-project/authd/oauth/backchannel/boltoutbox"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/boltstore"
	"github.com/authd-project/authd/session/sessiontest"
)

// everybody wants to hear of logouts.
type everybody struct{}

func (everybody) LogoutURI(string) string { return "https://client.example" }
func (everybody) AnyLogoutURI() bool      { return true }

// stillClock stands still until it is moved.
type stillClock struct{ elapsed atomic.Int64 }

func (c *stillClock) Now() time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(c.elapsed.Load()))
}
func (c *stillClock) Advance(d time.Duration) { c.elapsed.Add(int64(d)) }

// A watched store is a store as good as any.
func TestWatchedStore(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Backend {
		c, path := new(stillClock), filepath.Join(t.TempDir(), "authd.db")
		var file *boltfile.File
		open := func() session.Store {
			var err error
			if file, err = boltfile.Open(path); err != nil {
				t.Fatal(err)
			}
			store, err := boltstore.Open(file, boltstore.Options{Now: c.Now})
			if err != nil {
				t.Fatal(err)
			}
			outbox, err := boltoutbox.Open(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			sender, err := backchannel.NewSender(backchannel.Config{
				Sessions: store, Outbox: outbox, Tokens: plainTokens{}, Clients: everybody{},
			})
			if err != nil {
				t.Fatal(err)
			}
			return sender.Watch(store)
		}
		store := open()
		t.Cleanup(func() { file.Close() })
		return sessiontest.Backend{Store: store, Advance: c.Advance, Reopen: func() session.Store {
			file.Close()
			return open()
		}}
	})
}

// Whatever ends a session, its client is told of that session, and nobody of another.
func TestEveryEndIsTold(t *testing.T) {
	wiki := newReceiver(t)
	e := newEnv(t, clients{"wiki": wiki.URL})
	e.run()
	first, quiet := e.begin("alice", "wiki"), e.begin("alice", "shop")
	kept, others := e.begin("bob", "wiki"), []session.ID{e.begin("bob", "wiki"), e.begin("bob", "wiki")}

	e.end(first, quiet, session.ID{1})
	if _, err := e.sessions.EndSubject(t.Context(), "bob", kept); err != nil {
		t.Fatal(err)
	}
	want := []string{"wiki alice " + first.String()}
	for _, id := range others {
		want = append(want, "wiki bob "+id.String())
	}
	until(t, "all ends told", func() bool { return len(wiki.heard()) >= len(want) })
	until(t, "an empty outbox", func() bool { return e.kept() == 0 })
	heard := wiki.heard()
	slices.Sort(heard)
	slices.Sort(want)
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
	if got, want := e.sender.Stats()["wiki"], (backchannel.Stats{Delivered: uint64(len(want))}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// A refresh token that is presented again when it is old ends the session, which its client is told of; a refresh does not.
func TestReuseIsTold(t *testing.T) {
	wiki := newReceiver(t)
	e := newEnv(t, clients{"wiki": wiki.URL})
	e.run()
	stolen := e.begin("carol", "wiki")
	limits := session.Limits{Grace: time.Nanosecond}.WithDefaults()
	for _, want := range []session.Outcome{session.Rotated, session.Reused} {
		if n := e.kept(); n != 0 {
			t.Errorf("%d notices before the end", n)
		}
		time.Sleep(time.Millisecond) // beyond the grace
		_, got, err := e.sessions.Refresh(t.Context(), stolen, 1, session.Use{}, limits)
		if err != nil || got != want {
			t.Fatalf("refreshing: %v, %v; want %v", got, err, want)
		}
	}
	until(t, "told", func() bool { return slices.Equal(wiki.heard(), []string{"wiki carol " + stolen.String()}) })
}

// What fails is tried again until the client says yes, and a redirect leads nowhere.
func TestFailuresAreRepeated(t *testing.T) {
	for name, answers := range map[string][]int{
		"outage":             {503, 500, 502, 503, 503, 503, 503},
		"logout failed":      {400, 400, 400, 400},
		"not implemented":    {501},
		"too many":           {429, 429, 429, 429, 429, 429},
		"redirect":           {302, 307},
		"hangs":              {0, 0},
		"hangs, then fails":  {0, 500, 400},
		"not found at first": {404},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, answers...)
			e := newEnv(t, clients{"wiki": r.URL + "/logout"}, func(c *backchannel.Config) { c.Timeout = 500 * time.Millisecond })
			e.run()
			id := e.begin("alice", "wiki")
			e.end(id)
			until(t, "told", func() bool { return len(r.heard()) == 1 })
			until(t, "an empty outbox", func() bool { return e.kept() == 0 })
			if got := r.heard()[0]; got != "wiki alice "+id.String() {
				t.Errorf("told %q", got)
			}
			stats := e.sender.Stats()["wiki"]
			// On a busy machine a try that would be answered well may run into the time limit too.
			if stats.Delivered != 1 || stats.Failed < uint64(len(answers)) || stats.GivenUp != 0 || stats.Waiting != 0 {
				t.Errorf("counts %+v after %d failures", stats, len(answers))
			}
		})
	}
}

// A client that goes on refusing is let be, and that does not go unnoticed.
func TestRefusedForGood(t *testing.T) {
	for _, status := range []int{400, 501, 302} {
		r := newReceiver(t, status)
		r.always = true
		e := newEnv(t, clients{"wiki": r.URL})
		e.run()
		id := e.begin("alice", "wiki")
		e.end(id)
		until(t, "given up", func() bool { return e.sender.Stats()["wiki"].GivenUp == 1 })
		until(t, "an empty outbox", func() bool { return e.kept() == 0 })
		if log := e.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, id.String()) {
			t.Error("nothing in the log")
		}
		if n := r.count(); n != 5 {
			t.Errorf("%d: asked %d times, want 5", status, n)
		}
	}
}

// An outage is sat out for as long as is configured.
func TestGivenUpByTime(t *testing.T) {
	r := newReceiver(t, 503)
	r.always = true
	e := newEnv(t, clients{"wiki": r.URL})
	e.run()
	e.end(e.begin("alice", "wiki"))
	until(t, "many tries", func() bool { return r.count() > 10 })
	if stats := e.sender.Stats()["wiki"]; stats.GivenUp != 0 || stats.Waiting != 1 {
		t.Errorf("counts %+v in the first minute of an outage", stats)
	}
	e.clock.Advance(24 * time.Hour)
	until(t, "given up", func() bool { return e.sender.Stats()["wiki"].GivenUp == 1 })
	until(t, "an empty outbox", func() bool { return e.kept() == 0 })
}

// A client that hangs holds a few connections and keeps nobody else from hearing.
func TestHangingClientDelaysNobodyElse(t *testing.T) {
	hanging, wiki := newReceiver(t, 0), newReceiver(t)
	hanging.always = true
	e := newEnv(t, clients{"slow": hanging.URL, "wiki": wiki.URL}, func(c *backchannel.Config) {
		c.Timeout, c.PerClient = patience, 2
	})
	stop := e.run()
	var ids []session.ID
	for range 5 {
		ids = append(ids, e.begin("alice", "slow"))
	}
	e.end(append(ids, e.begin("alice", "wiki"))...)
	until(t, "the other client told", func() bool { return len(wiki.heard()) == 1 })
	until(t, "two hanging", func() bool { return hanging.count() == 2 })
	if hanging.mu.Lock(); hanging.most != 2 {
		t.Errorf("%d deliveries at once to one client, want 2", hanging.most)
	}
	hanging.mu.Unlock()
	hanging.CloseClientConnections()
	hanging.mu.Lock()
	hanging.answers = nil // from now on it answers
	hanging.mu.Unlock()
	hanging.CloseClientConnections()
	until(t, "all told", func() bool { return len(hanging.heard()) == 5 })
	stop()
}

// What a process that was killed left undone, the next one does; what it left half-way, it looks up.
func TestRestart(t *testing.T) {
	r := newReceiver(t)
	e := newEnv(t, clients{"wiki": r.URL})
	ended, live := e.begin("alice", "wiki"), e.begin("alice", "wiki")
	e.end(ended) // nothing runs that could tell
	if err := e.outbox.Put(t.Context(), backchannel.Notice{
		Session: live, Subject: "alice", ClientID: "wiki", Noted: time.Now(), // and killed before the session ended
	}); err != nil {
		t.Fatal(err)
	}
	e.restart()
	e.run()
	until(t, "told", func() bool { return len(r.heard()) == 1 })
	if got := r.heard()[0]; got != "wiki alice "+ended.String() {
		t.Errorf("told %q", got)
	}
	until(t, "one notice left", func() bool { return e.kept() == 1 })
	e.clock.Advance(2 * time.Minute)
	until(t, "an empty outbox", func() bool { return e.kept() == 0 })
	if n := r.count(); n != 1 {
		t.Errorf("%d deliveries: a client was told of the end of a live session", n)
	}
	e.end(live)
	until(t, "told of the second", func() bool { return len(r.heard()) == 2 })
}

// An end whose outcome was not known may come true a moment later: that the session is live still does not settle it.
func TestEndThatComesLate(t *testing.T) {
	r := newReceiver(t)
	e := newEnv(t, clients{"wiki": r.URL})
	id := e.begin("alice", "wiki")
	if err := e.outbox.Put(t.Context(), backchannel.Notice{Session: id, Subject: "alice", ClientID: "wiki", Noted: time.Now()}); err != nil {
		t.Fatal(err)
	}
	e.run()
	until(t, "two looks at a live session", func() bool { return e.looks.live.Load() >= 2 })
	if err := e.stored.End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	until(t, "told", func() bool { return len(r.heard()) == 1 })
}

// What was never tried is tried before the process ends; the rest waits for the next one.
func TestShutdown(t *testing.T) {
	up, down := newReceiver(t), newReceiver(t, 503)
	down.always = true
	e := newEnv(t, clients{"up": up.URL, "down": down.URL}, func(c *backchannel.Config) { c.PerClient = 1 })
	stop := e.run()
	e.end(e.begin("alice", "down"))
	until(t, "tried", func() bool { return down.count() > 1 })
	var ids []session.ID
	for range 20 {
		ids = append(ids, e.begin("alice", "up"))
	}
	e.end(ids...)
	stop()
	if n := len(up.heard()); n != len(ids) {
		t.Errorf("%d of %d told before the end", n, len(ids))
	}
	if n := e.kept(); n != 1 {
		t.Errorf("%d notices kept, want the one that could not be delivered", n)
	}
}

// A queue that is full costs notices, never silently.
func TestQueueIsBounded(t *testing.T) {
	e := newEnv(t, clients{"wiki": "http://127.0.0.1:1/"}, func(c *backchannel.Config) { c.Queue = 3 })
	var ids []session.ID
	for range 5 {
		ids = append(ids, e.begin("alice", "wiki"))
	}
	e.end(ids...)
	if got, want := e.sender.Stats()["wiki"], (backchannel.Stats{Waiting: 3, GivenUp: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if n := strings.Count(e.log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d log entries, want 2", n)
	}
	if n := e.kept(); n != 3 {
		t.Errorf("%d notices kept, want 3", n)
	}
}

// brokenOutbox is a disk that is full.
type brokenOutbox struct{ backchannel.Outbox }

func (brokenOutbox) Put(context.Context, ...backchannel.Notice) error { return errDown }

// A logout does not fail because its notice cannot be kept; the client is told all the same.
func TestOutboxDown(t *testing.T) {
	r := newReceiver(t)
	e := newEnv(t, clients{"wiki": r.URL})
	e.config.Outbox = brokenOutbox{e.outbox}
	var err error
	e.config.Sessions = e.stored
	if e.sender, err = backchannel.NewSender(e.config); err != nil {
		t.Fatal(err)
	}
	e.sessions = e.sender.Watch(e.stored)
	e.run()
	e.end(e.begin("alice", "wiki"))
	until(t, "told", func() bool { return len(r.heard()) == 1 })
	if !strings.Contains(e.log.String(), "in memory only") {
		t.Error("nothing in the log")
	}
}

// A store that cannot tell whose session it is fails the logout, so that it is repeated.
func TestStoreDown(t *testing.T) {
	e := newEnv(t, clients{"wiki": "http://127.0.0.1:1/"})
	id := e.begin("alice", "wiki")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.sessions.End(ctx, id); err == nil {
		t.Error("ended, and nobody was told")
	}
	if _, err := e.sessions.EndSubject(ctx, "alice"); err == nil {
		t.Error("the subject's sessions ended, and nobody was told")
	}
	if n := e.kept(); n != 0 {
		t.Errorf("%d notices of ends that did not happen", n)
	}
}
