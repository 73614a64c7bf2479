package electiontest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/election"
)

// Patience is how long a Candidate waits for what has to happen, on a busy machine.
const Patience = time.Minute

// Span is a leadership as its work saw it.
type Span struct {
	Began, Ended time.Time
	Cause        error // why its context ended
}

// Candidate leads whenever it is elected, until its test ends or Stop is called. Its work does nothing but wait.
type Candidate struct {
	election.Elector
	Began chan time.Time
	Spans chan Span // of leaderships that have ended
	Stop  func()    // and wait
	t     *testing.T
}

// Campaign lets an elector lead, for tests of its faults. Unlike those of [Run] they are the backend's own.
func Campaign(t *testing.T, e election.Elector) *Candidate {
	t.Helper()
	return (&Court{T: t}).Campaign(e)
}

// Court sees to it that only one of several candidates works at a time.
type Court struct {
	*testing.T
	working atomic.Int32
}

// Working is how many of its candidates work now.
func (c *Court) Working() int { return int(c.working.Load()) }

// Campaign lets an elector lead under the eyes of the court.
func (c *Court) Campaign(e election.Elector) *Candidate {
	ctx, cancel := context.WithCancel(c.Context())
	r := &Candidate{Elector: e, Began: make(chan time.Time, 100), Spans: make(chan Span, 100), t: c.T}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := e.Lead(ctx, func(ctx context.Context) error {
			if n := c.working.Add(1); n != 1 {
				c.Errorf("%d work at once", n)
			}
			s := Span{Began: time.Now()}
			r.Began <- s.Began
			<-ctx.Done()
			c.working.Add(-1)
			s.Ended, s.Cause = time.Now(), context.Cause(ctx)
			r.Spans <- s
			return s.Cause
		})
		if err != nil {
			c.Errorf("Lead: %v", err)
		}
	}()
	r.Stop = func() { cancel(); <-done }
	c.Cleanup(r.Stop)
	return r
}

// InTurn checks that a leadership was over before the next began.
func InTurn(t *testing.T, old Span, began time.Time) {
	t.Helper()
	if old.Ended.After(began) {
		t.Errorf("the old leader worked until %v after the next had begun", old.Ended.Sub(began))
	}
}

// AwaitBegin waits until the candidate is elected, and returns when that was.
func (r *Candidate) AwaitBegin() time.Time {
	r.t.Helper()
	select {
	case at := <-r.Began:
		return at
	case <-time.After(Patience):
		r.t.Fatalf("not elected within %v", Patience)
		return time.Time{}
	}
}

// AwaitEnd waits until a leadership of the candidate ends.
func (r *Candidate) AwaitEnd() Span {
	r.t.Helper()
	select {
	case s := <-r.Spans:
		return s
	case <-time.After(Patience):
		r.t.Fatalf("the leadership did not end within %v", Patience)
		return Span{}
	}
}

// AwaitEither waits until one of two is elected.
func AwaitEither(a, b *Candidate) (elected *Candidate, began time.Time) {
	a.t.Helper()
	select {
	case at := <-a.Began:
		return a, at
	case at := <-b.Began:
		return b, at
	case <-time.After(Patience):
		a.t.Fatalf("nobody elected within %v", Patience)
		return nil, time.Time{}
	}
}

// AwaitLeader asks an elector who leads until it says so.
func AwaitLeader(t *testing.T, e election.Elector, want string) {
	t.Helper()
	awaitLeader(t, e, want, Patience)
}

func awaitLeader(t *testing.T, e election.Elector, want string, patience time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // leaves backends that watch something to see
		holder, _, err := e.Leader(t.Context())
		if err == nil && holder == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the leader is %q, %v; want %q", holder, err, want)
		}
	}
}
