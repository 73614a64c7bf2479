// Package electiontest holds what every election.Elector must do. A backend's test calls [Run].
package electiontest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/election"
)

// Backend is one election.
type Backend struct {
	// Candidate returns another candidate, as another process would make it. Identities may repeat.
	Candidate func(identity string) election.Elector
	// Lease is how long a leader that is not heard of keeps others out; zero for an elector that is alone.
	Lease time.Duration
	// Patience is how long an orderly change of leaders may take at most, on a busy machine; default 10 s.
	Patience time.Duration
}

// Run runs the suite; open is called for each test and registers its own clean-up.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	RunAlone(t, open)
	run(t, open, []test{
		{"OneAtATime", testOneAtATime},
		{"SameIdentity", testSameIdentity},
		{"NextAfterWork", testNextAfterWork},
	})
}

// RunAlone runs what of the suite applies to an elector that can have one candidate only.
func RunAlone(t *testing.T, open func(t *testing.T) Backend) {
	run(t, open, []test{
		{"LeadsUntilStopped", testLeadsUntilStopped},
		{"WorkFails", testWorkFails},
		{"WorkReturns", testWorkReturns},
		{"StoppedBeforeWork", testStoppedBeforeWork},
		{"WorkIsWaitedFor", testWorkIsWaitedFor},
		{"Leader", testLeader},
	})
}

type test struct {
	name string
	test func(*testing.T, *harness)
}

func run(t *testing.T, open func(t *testing.T) Backend, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &harness{T: t, Backend: open(t)}
			if h.Patience == 0 {
				h.Patience = 10 * time.Second
			}
			tt.test(t, h)
		})
	}
}

type harness struct {
	*testing.T
	Backend
}

// candidate is an elector whose Lead runs.
type candidate struct {
	election.Elector
	began chan context.Context // work's, when it begins
	stop  context.CancelFunc
	done  chan struct{} // closed when Lead has returned
	err   error         // of Lead, once done
}

// start lets a candidate lead by work, until the test ends.
func (h *harness) start(identity string, work func(context.Context) error) *candidate {
	h.Helper()
	ctx, stop := context.WithCancel(h.Context())
	c := &candidate{
		Elector: h.Candidate(identity), stop: stop, done: make(chan struct{}), began: make(chan context.Context, 1000),
	}
	go func() {
		defer close(c.done)
		c.err = c.Lead(ctx, func(ctx context.Context) error {
			c.began <- ctx
			return work(ctx)
		})
	}()
	h.Cleanup(func() { stop(); <-c.done })
	return c
}

// untilEnd is work that ends when it should.
func untilEnd(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (h *harness) awaitBegin(c *candidate) context.Context {
	h.Helper()
	select {
	case ctx := <-c.began:
		return ctx
	case <-c.done:
		h.Fatalf("Lead returned before work began: %v", c.err)
	case <-time.After(h.Patience):
		h.Fatalf("not elected within %v", h.Patience)
	}
	return nil
}

func (h *harness) awaitEnd(c *candidate) error {
	h.Helper()
	select {
	case <-c.done:
	case <-time.After(h.Patience):
		h.Fatalf("Lead has not returned within %v", h.Patience)
	}
	return c.err
}

func testLeadsUntilStopped(_ *testing.T, h *harness) {
	c := h.start("a", untilEnd)
	ctx := h.awaitBegin(c)
	if ctx.Err() != nil {
		h.Errorf("work began with an ended context: %v", ctx.Err())
	}
	c.stop()
	if err := h.awaitEnd(c); err != nil {
		h.Errorf("Lead returned %v after its context ended, want nil", err)
	}
	if ctx.Err() == nil {
		h.Error("work's context did not end")
	}
}

func testWorkFails(_ *testing.T, h *harness) {
	failure := errors.New("on purpose")
	c := h.start("a", func(context.Context) error { return failure })
	if err := h.awaitEnd(c); !errors.Is(err, failure) {
		h.Errorf("Lead returned %v, want what work returned", err)
	}
}

func testWorkReturns(_ *testing.T, h *harness) {
	var once sync.Once
	c := h.start("a", func(ctx context.Context) error {
		again := true
		once.Do(func() { again = false })
		if again {
			return untilEnd(ctx)
		}
		return nil
	})
	h.awaitBegin(c)
	h.awaitBegin(c) // led again
}

func testStoppedBeforeWork(_ *testing.T, h *harness) {
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	if err := h.Candidate("a").Lead(ctx, untilEnd); err != nil {
		h.Errorf("Lead with an ended context returned %v, want nil", err)
	}
}

func testWorkIsWaitedFor(_ *testing.T, h *harness) {
	drained := make(chan struct{})
	c := h.start("a", func(ctx context.Context) error {
		<-ctx.Done()
		<-drained
		return nil
	})
	h.awaitBegin(c)
	c.stop()
	select {
	case <-c.done:
		h.Error("Lead returned before work did")
	case <-time.After(50 * time.Millisecond): // as long as it takes to see a wrong one
	}
	close(drained)
	_ = h.awaitEnd(c)
}

func testLeader(_ *testing.T, h *harness) {
	before := time.Now().Add(-time.Second) // clocks of backends may be coarse
	c := h.start("a", untilEnd)
	h.awaitBegin(c)
	observers := []election.Elector{c}
	if h.Lease > 0 {
		observers = append(observers, h.Candidate("b"))
	}
	for _, o := range observers {
		awaitLeader(h.T, o, "a", h.Patience)
		if _, asOf, err := o.Leader(h.Context()); err != nil || asOf.Before(before) || asOf.After(time.Now()) {
			h.Errorf("the leader was seen at %v, %v; want a time since the election", asOf, err)
		}
	}
	c.stop()
	if err := h.awaitEnd(c); err != nil {
		h.Errorf("Lead: %v", err)
	}
	for _, o := range observers {
		awaitLeader(h.T, o, "", h.Patience)
	}
}
