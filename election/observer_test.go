package election_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/election"
)

// script is an elector that answers as the test says. Lead works once.
type script struct {
	mu      sync.Mutex
	holder  string
	err     error
	claimed string             // who has claimed a term
	lose    context.CancelFunc // ends the leadership
}

func (s *script) say(holder string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holder, s.err = holder, err
}

func (s *script) claim(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = holder
}

func (s *script) term() (string, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claimed, 7
}

func (s *script) Leader(context.Context) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holder, time.Now(), s.err
}

func (s *script) Lead(ctx context.Context, work func(context.Context) error) error {
	leading, lose := context.WithCancel(ctx)
	s.lose = lose
	err := work(leading)
	<-ctx.Done()
	return err
}

const lease = 5 * time.Second

// observe calls test, in a bubble of time, with a running observer of the identity "me".
func observe(t *testing.T, test func(t *testing.T, s *script, o *election.Observer, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		s, log := &script{claimed: "nobody"}, &bytes.Buffer{}
		o, err := election.NewObserver(election.ObserverConfig{
			Elector: s, Identity: "me", Lease: lease, Log: slog.New(slog.NewTextHandler(log, nil)),
			Term: s.term,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := o.Run(ctx); err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
		defer wg.Wait()
		defer stop()
		test(t, s, o, log)
	})
}

// poll lets as much time pass as it takes until the elector was asked.
func poll() {
	time.Sleep(lease/5 + time.Millisecond)
	synctest.Wait()
}

func TestObserverFollowsOthers(t *testing.T) {
	observe(t, func(t *testing.T, s *script, o *election.Observer, log *bytes.Buffer) {
		if got := o.Sight(); got != (election.Sight{}) && got.Name != "" {
			t.Errorf("before anything was heard: %+v", got)
		}
		s.say("a", nil)
		poll()
		if got := o.Sight(); got.Name != "a" || got.Self || got.Term != 0 || got.Changes != 1 || got.ValidFor <= 0 || got.ValidFor > lease {
			t.Errorf("a leads: %+v", got)
		}
		s.claim("a")
		poll()
		poll()
		if got := o.Sight(); got.Term != 7 {
			t.Errorf("a has claimed: %+v", got)
		}
		s.say("", nil)
		poll()
		s.say("b", nil)
		poll()
		if got := o.Sight(); got.Name != "b" || got.Term != 0 || got.Changes != 2 {
			t.Errorf("b leads, and has claimed nothing: %+v", got)
		}
		poll()
		for line, want := range map[string]int{"leader changed": 2, "claimed its term": 1, "nobody leads": 1, "leader=a term=7": 1} {
			if got := strings.Count(log.String(), line); got != want {
				t.Errorf("%q is logged %d times, want %d:\n%s", line, got, want, log)
			}
		}
	})
}

// E4: nobody is named whom nobody has seen for a lease.
func TestObserverForgetsWhomItCannotSee(t *testing.T) {
	observe(t, func(t *testing.T, s *script, o *election.Observer, log *bytes.Buffer) {
		s.say("a", nil)
		poll()
		s.say("", errors.New("cannot be reached"))
		seen := o.Sight().AsOf
		for time.Since(seen) < lease-time.Second {
			poll()
			if got := o.Sight(); got.Name != "a" || got.ValidFor != lease-time.Since(seen) {
				t.Fatalf("after %v: %+v", time.Since(seen), got)
			}
		}
		time.Sleep(lease - time.Since(seen))
		if got := o.Sight(); got.Name != "" || got.ValidFor != 0 || got.AsOf != seen {
			t.Errorf("after a lease: %+v", got)
		}
		poll()
		if got := o.Sight(); got.AsOf != seen || !strings.Contains(log.String(), "nobody leads") {
			t.Errorf("later: %+v, logged\n%s", got, log)
		}
	})
}

// It leads exactly while its work may go on, whatever the election says meanwhile.
func TestObserverLeads(t *testing.T) {
	observe(t, func(t *testing.T, s *script, o *election.Observer, _ *bytes.Buffer) {
		s.say("me", nil) // somebody else with the same name
		poll()
		if got := o.Sight(); got.Name != "" || got.Self || got.Changes != 0 {
			t.Errorf("before it leads: %+v", got)
		}
		ctx, stop := context.WithCancel(t.Context())
		finish, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = o.Lead(ctx, func(context.Context) error { <-finish; return nil })
		}()
		synctest.Wait()
		if got := o.Sight(); got.Name != "me" || !got.Self || got.ValidFor != lease {
			t.Errorf("at once: %+v", got)
		}
		for _, answer := range []string{"me", "a", ""} {
			s.say(answer, nil)
			poll()
			if got := o.Sight(); got.Name != "me" || !got.Self || got.Changes != 1 {
				t.Errorf("while it works, and the election says %q: %+v", answer, got)
			}
		}
		s.lose()
		s.say("me", nil) // as the backend may go on saying until the lease has run out
		for range 2 {
			if got := o.Sight(); got.Self || got.Name != "" {
				t.Errorf("after its leadership has ended: %+v", got)
			}
			poll()
		}
		close(finish)
		stop()
		<-done
	})
}

func TestObserverNeedsElectorAndIdentity(t *testing.T) {
	for name, cfg := range map[string]election.ObserverConfig{"no elector": {Identity: "me"}, "no identity": {Elector: &script{}}} {
		if _, err := election.NewObserver(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A sight says since when its leader has led, which another's turn in between ends, and hearing of it again does not.
func TestObserverTellsSinceWhen(t *testing.T) {
	observe(t, func(t *testing.T, s *script, o *election.Observer, _ *bytes.Buffer) {
		if since := o.Sight().Since; !since.IsZero() {
			t.Errorf("before anybody leads: since %v", since)
		}
		began := time.Now()
		s.say("other", nil)
		time.Sleep(2 * lease)
		first := o.Sight().Since
		if first.Before(began) || first.After(began.Add(lease)) {
			t.Errorf("since %v, want soon after %v", first, began)
		}
		time.Sleep(10 * lease)
		if again := o.Sight().Since; !again.Equal(first) {
			t.Errorf("later: since %v, want %v still", again, first)
		}
		s.say("third", nil)
		time.Sleep(2 * lease)
		if third := o.Sight().Since; !third.After(first.Add(lease)) {
			t.Errorf("the next leads since %v, the first %v", third, first)
		}
		s.say("", nil)
		time.Sleep(2 * lease)
		if since := o.Sight().Since; !since.IsZero() {
			t.Errorf("nobody leads since %v", since)
		}
	})
}
