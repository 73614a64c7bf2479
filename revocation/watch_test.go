package revocation_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/internal/clocktest"
)

// stream is a watch as its owner sees it.
type stream struct {
	claims revocation.Claims
	stop   func() bool
	ended  atomic.Int32
	why    error // once ended
}

// open watches a token with these claims, for an hour unless w says otherwise.
func open(m *revocation.Mirror, w revocation.Watch) *stream {
	s := &stream{claims: w.Claims}
	if w.Expires == 0 {
		w.Expires = inAnHour()
	}
	w.Ended = func(err error) {
		s.why = err
		s.ended.Add(1)
	}
	s.stop = m.Watch(w)
	return s
}

// is checks that all that has happened by now has ended the stream with want, or has not where that is nil.
func (s *stream) is(t *testing.T, what string, want error) {
	t.Helper()
	synctest.Wait()
	switch n := s.ended.Load(); {
	case want == nil && n != 0:
		t.Errorf("%s: ended by %v", what, s.why)
	case want != nil && (n != 1 || !errors.Is(s.why, want)):
		t.Errorf("%s: ended %d times by %v, want %v", what, n, s.why, want)
	}
}

// current returns a mirror that is fresh, and its feed.
func current(t testing.TB) (*revocation.Mirror, *call) {
	t.Helper()
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: 5 * time.Second})
	c := run(t, m, make(tape))
	proven(t, c)
	return m, c
}

func proven(t testing.TB, c *call) {
	t.Helper()
	if err := c.play(revocation.Batch{Position: at(1), AsOf: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// Each axis ends what it names and nothing else, whether the entry comes by the feed or is known here first, and before
// or after the stream is opened.
func TestWatchOnEveryAxis(t *testing.T) {
	const issued = 1000
	token := revocation.Claims{
		Token: revocation.ID{1}, Session: revocation.ID{2}, Subject: revocation.ID{3}, Client: revocation.ID{4}, Key: revocation.ID{5},
		IssuedAt: issued,
	}
	other := revocation.Claims{
		Token: revocation.ID{11}, Session: revocation.ID{12}, Subject: revocation.ID{13}, Client: revocation.ID{14}, Key: revocation.ID{15},
		IssuedAt: issued,
	}
	for name, c := range map[string]struct {
		entry        revocation.Entry
		ended, other bool
	}{
		"token":                  {revocation.Entry{Kind: revocation.Token, ID: token.Token}, true, false},
		"session":                {revocation.Entry{Kind: revocation.Session, ID: token.Session}, true, false},
		"subject":                {revocation.Entry{Kind: revocation.Subject, ID: token.Subject, NotBefore: issued + 1}, true, false},
		"subject, issued since":  {revocation.Entry{Kind: revocation.Subject, ID: token.Subject, NotBefore: issued}, false, false},
		"client":                 {revocation.Entry{Kind: revocation.Client, ID: token.Client, NotBefore: issued + 1}, true, false},
		"client, issued since":   {revocation.Entry{Kind: revocation.Client, ID: token.Client, NotBefore: issued}, false, false},
		"key":                    {revocation.Entry{Kind: revocation.Key, ID: token.Key}, true, false},
		"everything":             {revocation.Entry{Kind: revocation.Everything, NotBefore: issued + 1}, true, true},
		"everything, but before": {revocation.Entry{Kind: revocation.Everything, NotBefore: issued}, false, false},
		"another axis":           {revocation.Entry{Kind: revocation.Token, ID: token.Session}, false, false},
		"somebody else":          {revocation.Entry{Kind: revocation.Session, ID: revocation.ID{9}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.entry.Expires = inAnHour()
				want := func(ended bool) error {
					if ended {
						return revocation.ErrRevoked
					}
					return nil
				}
				for how, merge := range map[string]func(*revocation.Mirror, *call) error{
					"known here": func(m *revocation.Mirror, _ *call) error { m.Merge(c.entry); return nil },
					"by the feed": func(_ *revocation.Mirror, feed *call) error {
						return feed.play(revocation.Batch{Entries: []revocation.Entry{c.entry}, Position: at(2), AsOf: time.Now()})
					},
				} {
					m, feed := current(t)
					before, elsewhere := open(m, revocation.Watch{Claims: token}), open(m, revocation.Watch{Claims: other})
					twin := open(m, revocation.Watch{Claims: token})
					if err := merge(m, feed); err != nil {
						t.Fatal(err)
					}
					after := open(m, revocation.Watch{Claims: token})
					before.is(t, how, want(c.ended))
					twin.is(t, how+", another stream with the token", want(c.ended))
					after.is(t, how+", opened after", want(c.ended))
					elsewhere.is(t, how+", another token", want(c.other))
				}
			})
		})
	}
}

// A cut-off that spares a token is no end of the matter: a later one may not.
func TestWatchCutoffMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := current(t)
		s := open(m, revocation.Watch{Claims: revocation.Claims{Subject: alice, Client: shop, IssuedAt: 1000}})
		for _, e := range []revocation.Entry{
			{Kind: revocation.Subject, ID: alice, NotBefore: 999}, {Kind: revocation.Subject, ID: alice, NotBefore: 1000},
			{Kind: revocation.Client, ID: shop, NotBefore: 1000}, {Kind: revocation.Everything, NotBefore: 1000},
		} {
			e.Expires = inAnHour()
			m.Merge(e)
			s.is(t, "issued at or after "+e.Kind.String(), nil)
		}
		m.Merge(revocation.Entry{Kind: revocation.Subject, ID: alice, NotBefore: 1001, Expires: inAnHour()})
		s.is(t, "issued before", revocation.ErrRevoked)
	})
}

// Streams end in the second in which their token does, in whatever order they were opened.
func TestWatchExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := current(t)
		start := time.Now()
		var streams []*stream
		for _, s := range rand.Perm(20) {
			streams = append(streams, open(m, revocation.Watch{Claims: claimsFor(session("s")), Expires: start.Unix() + int64(s) + 1}))
		}
		open(m, revocation.Watch{Expires: start.Unix()}).is(t, "expired before", revocation.ErrExpired)
		for second := range 20 {
			proven(t, feed)
			if n := m.Watching(); n != 20-second {
				t.Errorf("%d seconds on, %d are open", second, n)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for _, s := range streams {
			s.is(t, "after all have expired", revocation.ErrExpired)
		}
	})
}

// A mirror that hears nothing ends streams when it becomes older than they bear, each by its own bound; one that goes on
// in an outage still ends when its revocation is heard of at last.
func TestWatchInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := current(t)
		a, b := session("a"), session("b")
		closed, patient := open(m, revocation.Watch{Claims: claimsFor(a)}), open(m, revocation.Watch{Claims: claimsFor(b), MaxAge: time.Minute})
		known := open(m, revocation.Watch{Claims: claimsFor(session("c"))})
		time.Sleep(5 * time.Second)
		closed.is(t, "at the bound", nil)
		m.Merge(session("c"))
		known.is(t, "revoked, and known here", revocation.ErrRevoked)
		time.Sleep(time.Millisecond)
		closed.is(t, "beyond the bound", revocation.ErrUnavailable)
		patient.is(t, "beyond the other's bound", nil)
		open(m, revocation.Watch{Claims: claimsFor(a)}).is(t, "opened in the outage", revocation.ErrUnavailable)

		time.Sleep(50 * time.Second)
		proven(t, feed)
		time.Sleep(50 * time.Second)
		patient.is(t, "proven in between", nil)
		if err := feed.play(revocation.Batch{Entries: []revocation.Entry{b}, Position: at(2), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		patient.is(t, "heard of at last", revocation.ErrRevoked)
	})
}

// While a machine is suspended its monotonic clock stands still: what is over by the wall clock is over.
func TestWatchAfterSuspension(t *testing.T) {
	var asleep atomic.Int64 // outside of a bubble, where times have no monotonic reading
	now := func() time.Time {
		d := time.Duration(asleep.Load())
		return clocktest.Suspended(t, time.Now().Add(d), d)
	}
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: time.Hour, Now: now})
	c := run(t, m, make(tape))
	if err := c.play(revocation.Batch{Position: at(1), AsOf: now()}); err != nil {
		t.Fatal(err)
	}
	short := open(m, revocation.Watch{Expires: time.Now().Add(time.Minute).Unix()})
	long := open(m, revocation.Watch{Expires: time.Now().Add(24 * time.Hour).Unix()})
	for _, step := range []struct {
		asleep time.Duration
		ends   *stream
		why    error
	}{
		{2 * time.Minute, short, revocation.ErrExpired},
		{2 * time.Hour, long, revocation.ErrUnavailable},
	} {
		if n := long.ended.Load(); n != 0 {
			t.Fatalf("ended by %v before the machine slept for %v", long.why, step.asleep)
		}
		asleep.Store(int64(step.asleep))
		for step.ends.ended.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(step.ends.why, step.why) {
			t.Errorf("asleep for %v: ended by %v", step.asleep, step.ends.why)
		}
	}
}

// Nobody is left to wait for news that nobody brings.
func TestWatchNeedsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := revocation.NewMirror(revocation.MirrorConfig{}), make(tape)
		open(m, revocation.Watch{}).is(t, "before Run", revocation.ErrUnavailable)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx, feed) }()
		c := <-feed
		open(m, revocation.Watch{}).is(t, "nothing has come yet", revocation.ErrUnavailable)
		proven(t, c)
		s := open(m, revocation.Watch{})
		s.is(t, "running", nil)
		if !s.stop() || s.stop() {
			t.Error("stop does not tell what it did")
		}
		left := open(m, revocation.Watch{})
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s.is(t, "stopped", nil)
		left.is(t, "after Run", revocation.ErrUnavailable)
		open(m, revocation.Watch{}).is(t, "opened after Run", revocation.ErrUnavailable)
		if n := m.Watching(); n != 0 {
			t.Errorf("%d are open", n)
		}
	})
}

// Whatever is opened, stopped and revoked at the same time: in the end a stream has ended if and only if its token is
// revoked, or it was stopped first; once at most; and nothing is left of it.
func TestWatchLosesNoRevocation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		names := rapid.IntRange(1, 40).Draw(rt, "names") // few: most streams share them
		synctest.Test(t, func(t *testing.T) {
			m, feed := current(t)
			var work sync.WaitGroup
			var streams [4][]*stream
			for i := range streams {
				work.Go(func() {
					rng := rand.New(rand.NewPCG(seed, uint64(i)))
					for range 50 {
						streams[i] = append(streams[i], open(m, revocation.Watch{Claims: someClaims(rng, names)}))
						if old := streams[i][rng.IntN(len(streams[i]))]; rng.IntN(4) == 0 && old.stop() {
							old.ended.Add(1000) // must not be ended any more
						}
					}
				})
			}
			for i := range 2 {
				work.Go(func() {
					rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
					for range 10 {
						e := someRevocation(rng, names)
						if i == 0 {
							m.Merge(e)
						} else if err := feed.play(revocation.Batch{Entries: []revocation.Entry{e}}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			work.Wait()
			synctest.Wait()

			left := 0
			for _, s := range append(append(streams[0], streams[1]...), append(streams[2], streams[3]...)...) {
				err := m.Check(t.Context(), s.claims)
				switch n := s.ended.Load(); {
				case n == 1000: // stopped
				case n == 0 && err == nil:
					left++
				case n != 1 || !errors.Is(s.why, revocation.ErrRevoked) || err == nil:
					t.Errorf("ended %d times by %v, and a check says %v", n, s.why, err)
				}
			}
			if n := m.Watching(); n != left {
				t.Errorf("%d are open, want %d", n, left)
			}
			revocation.CheckWatchers(t, m)
		})
	})
}

func someClaims(rng *rand.Rand, names int) revocation.Claims {
	id := func() revocation.ID { return revocation.ID{byte(rng.IntN(names) + 1)} }
	return revocation.Claims{Token: id(), Session: id(), Subject: id(), Client: id(), Key: id(), IssuedAt: 900 + rng.Int64N(200)}
}

func someRevocation(rng *rand.Rand, names int) revocation.Entry {
	e := revocation.Entry{Kind: revocation.Token + revocation.Kind(rng.IntN(5)), ID: revocation.ID{byte(rng.IntN(names) + 1)}, Expires: inAnHour()}
	if rng.IntN(20) == 0 {
		e.Kind, e.ID = revocation.Everything, revocation.ID{}
	}
	if e.Kind != revocation.Token && e.Kind != revocation.Session && e.Kind != revocation.Key {
		e.NotBefore = 900 + rng.Int64N(100)
	}
	return e
}
