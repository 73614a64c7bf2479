package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// bound is how stale a verifier may be in these tests. It leaves room for one missed round and a busy machine.
const bound = 2 * time.Second

// ledger is what the witnesses know: which revocations were acknowledged, and when at the latest.
type ledger struct {
	mu     sync.Mutex
	acked  []ack
	tried  []ack // every revocation that was asked for; the time says nothing
	failed int   // not acknowledged
}

type ack struct {
	claims  revocation.Claims
	at      time.Time
	expires time.Time // until then it must be denied
}

// briefly is how long every third revocation lasts: expiry comes while things go wrong.
const briefly = 4 * time.Second

// revoke adds the revocation of a new session and enters it.
func (l *ledger) revoke(ctx context.Context, store *redisstore.Store, name string) error {
	e, claims := session(name)
	l.mu.Lock()
	if len(l.tried)%3 == 0 {
		e.Expires = time.Now().Add(briefly).Unix()
	}
	a := ack{claims: claims, expires: time.Unix(e.Expires, 0)}
	l.tried = append(l.tried, a)
	l.mu.Unlock()
	err := store.Add(ctx, e)
	a.at = time.Now()
	l.mu.Lock()
	if err != nil {
		l.failed++
	} else {
		l.acked = append(l.acked, a)
	}
	again := len(l.tried)%5 == 0
	l.mu.Unlock()
	if err == nil && again { // R3: a revocation that would end sooner changes nothing
		e.Expires = time.Now().Add(time.Second).Unix()
		_ = store.Add(ctx, e) // it may fail, like any other
	}
	return err
}

// all returns every acknowledgement.
func (l *ledger) all() []ack {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acked)
}

// sample returns the latest acknowledgements and some random ones.
func (l *ledger) sample() (list []ack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const latest, random = 40, 40
	list = append(list, l.acked[max(0, len(l.acked)-latest):]...)
	for range min(random, len(l.acked)) {
		list = append(list, l.acked[rand.IntN(len(l.acked))])
	}
	return list
}

// expired tells whether the revocation need not be known any more.
func (a ack) expired() bool { return !time.Now().Before(a.expires) }

// witness checks what has been acknowledged, again and again.
type witness struct {
	name   string
	t      testing.TB
	ledger *ledger

	mu      sync.Mutex
	allowed int // live tokens that passed
	denied  int // revoked ones that did not
	unknown int // answers that it could not tell
}

var live = revocation.Claims{Session: revocation.IDOf(revocation.Session, "never revoked"), IssuedAt: time.Now().Unix()}

// judge asserts R1 (with the given bound), R3 and V7 on a sample.
func (w *witness) judge(c revocation.Checker, within time.Duration) {
	for _, a := range w.ledger.sample() {
		w.judgeOne(c, within, a)
	}
	w.judgeLive(c)
}

// judgeOne asserts that a verifier denies what was revoked, once it can have heard, or cannot tell, until its tokens are dead.
func (w *witness) judgeOne(c revocation.Checker, within time.Duration, a ack) {
	asked := time.Now()
	err := c.Check(context.Background(), a.claims)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case a.expired():
	case err == nil && asked.Sub(a.at) > within:
		w.t.Errorf("%s: accepts a session %v after its revocation was acknowledged", w.name, asked.Sub(a.at))
	case errors.Is(err, revocation.ErrRevoked):
		w.denied++
	case err != nil && !errors.Is(err, revocation.ErrUnavailable):
		w.t.Errorf("%s: %v", w.name, err)
	case err != nil:
		w.unknown++
	}
}

func (w *witness) judgeLive(c revocation.Checker) {
	switch err := c.Check(context.Background(), live); {
	case err == nil:
		w.allowed++
	case !errors.Is(err, revocation.ErrUnavailable):
		w.t.Errorf("%s: refuses a session that is not revoked: %v", w.name, err)
	}
}

// judgeProof asserts R2: a mirror that vouches for a moment holds all that had been acknowledged by then. The proof is
// read first, as a later one says nothing about an earlier look.
func (w *witness) judgeProof(m *revocation.Mirror) { w.judgeProofOf(m, w.ledger.sample) }

func (w *witness) judgeProofOf(m *revocation.Mirror, acked func() []ack) {
	proof := m.Status().AsOf
	for _, a := range acked() {
		switch {
		case !a.at.Before(proof):
			w.unknown++
		case denied(m, a.claims):
			w.denied++
		case a.expired():
		default:
			w.t.Errorf("%s: vouches for a moment %v after a revocation that it does not hold was acknowledged",
				w.name, proof.Sub(a.at))
		}
	}
}

// scenario is two authds that revoke, and witnesses of every kind that verify, while something happens to Redis.
type scenario struct {
	t      testing.TB
	dial   func(testing.TB) redis.UniversalClient
	ledger ledger
	authds []*authd
	long   *revocation.Mirror // of a service that runs all the time
	online *redisstore.Checker
	bounds map[string]time.Duration // of the checkers
	check  []*witness
	jobs   errgroup.Group
	end    context.CancelFunc
}

func newScenario(t testing.TB, replicas int, dial func(testing.TB) redis.UniversalClient) *scenario {
	t.Helper()
	s := &scenario{t: t, dial: dial}
	remembered := &memory{}
	for range 2 {
		s.authds = append(s.authds, startAuthd(t, redisstore.Config{Client: dial(t), Replicas: replicas, Memory: remembered}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	t.Cleanup(func() {
		cancel()
		_ = s.jobs.Wait() // they return nil
	})
	s.long = revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: bound})
	s.jobs.Go(func() error { return s.long.Run(ctx, s.feed()) })
	s.online = newCheckerWith(t, dial(t), redisstore.CheckerConfig{MaxStaleness: bound})
	onlineBound := time.Duration(0) // the server itself is asked
	if replicas > 0 {
		onlineBound = bound // it may have been replaced
	}
	s.bounds = map[string]time.Duration{
		"long-lived mirror": bound, "online check": onlineBound,
		"authd 0": revocation.DefaultMaxStaleness, "authd 1": revocation.DefaultMaxStaleness,
	}
	s.settled()

	s.watch(ctx, "long-lived mirror", func(w *witness) { w.judge(s.long, bound); w.judgeProof(s.long) })
	for i := range 4 { // which share round trips
		s.watch(ctx, fmt.Sprint("online ", i), func(w *witness) { w.judge(s.online, onlineBound) })
	}
	s.reborn(ctx)
	for i, a := range s.authds {
		s.watch(ctx, fmt.Sprint("authd ", i), func(w *witness) { w.judgeProof(a.mirror) })
		s.write(ctx, i)
	}
	s.traffic()
	return s
}

// traffic waits until there has been some more.
func (s *scenario) traffic() {
	s.t.Helper()
	const more = 100
	had := s.ledger.count()
	eventually(s.t, "traffic", func() bool { return s.ledger.count() >= had+more })
	s.holds("after traffic")
}

// holds asserts R1 to R3 of every verifier and every revocation so far. Each test calls it after each of its steps; what
// the witnesses look at all the time are samples.
func (s *scenario) holds(step string) {
	s.t.Helper()
	for name, c := range s.checkers() {
		w := &witness{name: name + ", " + step, t: s.t, ledger: &s.ledger}
		var questions errgroup.Group
		questions.SetLimit(64) // which share round trips, and time out together
		for _, a := range s.ledger.all() {
			questions.Go(func() error {
				w.judgeOne(c, s.bounds[name], a)
				return nil
			})
		}
		_ = questions.Wait() // they return nil
		w.judgeLive(c)
		if m, ok := c.(*revocation.Mirror); ok {
			w.judgeProofOf(m, s.ledger.all)
		}
	}
}

func (s *scenario) feed() *redisstore.Feed {
	s.t.Helper()
	feed, err := redisstore.NewFeed(s.dial(s.t), redisstore.FeedConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	return feed
}

// pace is how long a job rests between two steps, so that the machine has time for the others.
const pace = 10 * time.Millisecond

// watch has a witness look until ctx ends.
func (s *scenario) watch(ctx context.Context, name string, look func(*witness)) {
	w := &witness{name: name, t: s.t, ledger: &s.ledger}
	s.check = append(s.check, w)
	s.jobs.Go(func() error {
		every(ctx, pace, func() { look(w) })
		return nil
	})
}

// reborn watches mirrors that start in the middle of whatever happens.
func (s *scenario) reborn(ctx context.Context) {
	feed := s.feed()
	w := &witness{name: "reborn mirror", t: s.t, ledger: &s.ledger}
	s.check = append(s.check, w)
	s.jobs.Go(func() error {
		for ctx.Err() == nil {
			life, cancel := context.WithTimeout(ctx, 1200*time.Millisecond)
			m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: bound})
			var jobs errgroup.Group
			jobs.Go(func() error { return m.Run(life, feed) })
			every(life, pace, func() { w.judge(m, bound); w.judgeProof(m) })
			cancel()
			if err := jobs.Wait(); err != nil {
				s.t.Errorf("Run: %v", err)
			}
		}
		return nil
	})
}

// write has an authd revoke sessions until ctx ends.
func (s *scenario) write(ctx context.Context, i int) {
	const writers = 2
	for w := range writers {
		s.jobs.Go(func() error {
			n := 0
			every(ctx, pace/2, func() {
				n++
				err := s.ledger.revoke(context.WithoutCancel(ctx), s.authds[i].store, fmt.Sprint(i, "/", w, "/", n))
				if err != nil && !errors.Is(err, revocation.ErrUnavailable) {
					s.t.Errorf("Add: %v", err)
				}
			})
			return nil
		})
	}
}

func every(ctx context.Context, period time.Duration, do func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// settled waits until everything works: a revocation is acknowledged and denied everywhere, and what is not revoked
// passes everywhere.
func (s *scenario) settled() {
	s.t.Helper()
	n := 0
	eventually(s.t, "acknowledged revocation", func() bool {
		n++
		return s.ledger.revoke(s.t.Context(), s.authds[n%2].store, fmt.Sprint("settled", time.Now().UnixNano())) == nil
	})
	s.ledger.mu.Lock()
	last := s.ledger.acked[len(s.ledger.acked)-1]
	s.ledger.mu.Unlock()
	for name, c := range s.checkers() {
		eventually(s.t, name+" that denies what is revoked", func() bool { return denied(c, last.claims) })
		eventually(s.t, name+" that accepts what is not", func() bool { return c.Check(s.t.Context(), live) == nil })
	}
	s.holds("once it has settled")
}

func (s *scenario) checkers() map[string]revocation.Checker {
	return map[string]revocation.Checker{
		"long-lived mirror": s.long, "online check": s.online, "authd 0": s.authds[0].mirror, "authd 1": s.authds[1].mirror,
	}
}

// finish ends the traffic and looks at everything: what was acknowledged is denied everywhere, also by a mirror that
// starts now, and what was not acknowledged is applied in the end (V8).
func (s *scenario) finish() {
	s.t.Helper()
	s.settled()
	s.traffic()
	s.end()
	if err := s.jobs.Wait(); err != nil {
		s.t.Error(err)
	}
	for i, a := range s.authds {
		eventually(s.t, fmt.Sprintf("authd %d with nothing left to acknowledge", i), func() bool {
			return a.store.Stats().Pending == 0
		})
	}
	fresh := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: bound})
	ctx, cancel := context.WithCancel(context.Background())
	var jobs errgroup.Group
	jobs.Go(func() error { return fresh.Run(ctx, s.feed()) })
	defer func() {
		cancel()
		if err := jobs.Wait(); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	}()
	eventually(s.t, "fresh mirror that has read everything", func() bool { return fresh.Check(ctx, live) == nil })

	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	missing := 0
	for _, a := range s.ledger.tried {
		if !denied(fresh, a.claims) && !a.expired() {
			missing++
		}
	}
	if missing > 0 {
		s.t.Errorf("%d of %d revocations are missing in the end", missing, len(s.ledger.tried))
	}
	s.t.Logf("%d revocations acknowledged, %d not", len(s.ledger.acked), s.ledger.failed)
	for _, w := range s.check {
		s.t.Logf("%s: denied %d, allowed %d, could not tell %d", w.name, w.denied, w.allowed, w.unknown)
	}
}

// count returns how many revocations were acknowledged.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}
