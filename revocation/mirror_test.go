package revocation_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/revocation"
)

func TestAllIsWhatHasNotExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := revocation.NewMirror(revocation.MirrorConfig{})
		kept, expired := session("kept"), session("expired")
		expired.Expires = time.Now().Unix()
		m.Merge(kept, expired)
		if got := slices.Collect(m.All()); len(got) != 1 || got[0] != kept {
			t.Errorf("All yields %v, want %v", got, kept)
		}
	})
}

// After a loss the mirror goes on from where it was, and what it holds stays: also when the store has begun a new
// epoch, which may lack it.
func TestUnionAcrossEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := revocation.NewMirror(revocation.MirrorConfig{}), make(tape)
		c := run(t, m, feed)
		old, kept := session("old"), session("kept")
		if c.from != (revocation.Position{}) {
			t.Errorf("a new mirror asks from %v", c.from)
		}
		if err := c.play(revocation.Batch{Entries: []revocation.Entry{old}, Position: at(7), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		c.end <- errors.New("connection reset")
		c = <-feed
		if c.from != at(7) {
			t.Errorf("asks from %v, was at %v", c.from, at(7))
		}
		next := revocation.Position{Epoch: "next", Seq: 1}
		if err := c.play(revocation.Batch{Entries: []revocation.Entry{kept}, Position: next, AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		wants(t, "of the old epoch", m, claimsFor(old), revocation.ErrRevoked)
		wants(t, "of the new epoch", m, claimsFor(kept), revocation.ErrRevoked)
		if got := m.Status(); got.Position != next || got.Entries[revocation.Session] != 2 {
			t.Errorf("status %+v", got)
		}
		c.end <- nil
		if c = <-feed; c.from != next {
			t.Errorf("asks from %v, was at %v", c.from, next)
		}
	})
}

// An outage is said once, and so is its end; in between the pauses grow to a bound, jittered.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := revocation.NewMirror(revocation.MirrorConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		feed := make(tape)
		c := run(t, m, feed)
		pauses := map[time.Duration]bool{}
		for range 12 {
			broke := time.Now()
			c.end <- errors.New("connection refused")
			c = <-feed
			pause := time.Since(broke)
			if pause < 25*time.Millisecond || pause > 2*time.Second {
				t.Errorf("asked again after %v", pause)
			}
			pauses[pause] = true
		}
		if len(pauses) < 10 {
			t.Errorf("only %d different pauses of 12", len(pauses))
		}
		if err := c.play(revocation.Batch{Position: at(1), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"lost", "recovered"} {
			if n := strings.Count(log.String(), word); n != 1 {
				t.Errorf("%q is logged %d times:\n%s", word, n, &log)
			}
		}
		// A feed that has worked for long is asked again at once.
		time.Sleep(time.Minute)
		broke := time.Now()
		c.end <- errors.New("connection reset")
		<-feed
		if pause := time.Since(broke); pause > 50*time.Millisecond {
			t.Errorf("asked again after %v", pause)
		}
	})
}

// Invariant R3: an entry may be forgotten once it has expired, but a clock that is set back brings its tokens to life
// again. Then nothing counts until all has been read anew.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration // of this machine's clock
		now := func() time.Time { return time.Now().Add(ahead) }
		m, feed := revocation.NewMirror(revocation.MirrorConfig{Now: now}), make(tape)
		c := run(t, m, feed)
		ended := session("ended")
		ahead = 2 * time.Hour
		if err := c.play(revocation.Batch{Entries: []revocation.Entry{ended}, Position: at(1), AsOf: now()}); err != nil {
			t.Fatal(err)
		}
		wants(t, "expired by a clock that is ahead", m, claimsFor(ended), nil)

		ahead = 0
		if err := c.play(revocation.Batch{Position: at(1), AsOf: now()}); err == nil {
			t.Error("the mirror went on after the clock was set back")
		}
		wants(t, "clock set back", m, claimsFor(ended), revocation.ErrUnavailable)
		c = <-feed
		if c.from != (revocation.Position{}) {
			t.Errorf("asks from %v, wants everything", c.from)
		}
		if err := c.play(revocation.Batch{Entries: []revocation.Entry{ended}, Position: at(1), AsOf: now()}); err != nil {
			t.Fatal(err)
		}
		wants(t, "read again", m, claimsFor(ended), revocation.ErrRevoked)

		ahead = -30 * time.Second // a small step does no harm: expired entries are kept for longer than that
		if err := c.play(revocation.Batch{Position: at(1), AsOf: now()}); err != nil {
			t.Errorf("small step: %v", err)
		}
	})
}

// Memory grows only with unexpired revocations: what has expired is forgotten in passing.
func TestMirrorForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := revocation.NewMirror(revocation.MirrorConfig{})
		c := run(t, m, make(tape))
		two := []revocation.Entry{session("a"), session("b")}
		if err := c.play(revocation.Batch{Entries: two, Position: at(2), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + 2*time.Minute)
		if err := c.play(revocation.Batch{Position: at(2), AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if n := m.Status().Entries[revocation.Session]; n != 0 {
			t.Errorf("%d sessions held after all expired", n)
		}
	})
}

// A batch that cannot be taken as a whole proves nothing.
func TestInvalidEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, feed := revocation.NewMirror(revocation.MirrorConfig{}), make(tape)
		c := run(t, m, feed)
		bad := revocation.Batch{Entries: []revocation.Entry{session("a"), {Kind: 99}}, Position: at(1), AsOf: time.Now()}
		if err := c.play(bad); err == nil {
			t.Error("an invalid entry was taken")
		}
		if c = <-feed; c.from != (revocation.Position{}) {
			t.Errorf("the position moved to %v", c.from)
		}
		wants(t, "after the bad batch", m, revocation.Claims{}, revocation.ErrUnavailable)
		m.Merge(revocation.Entry{Kind: 99}) // ignored
	})
}

// A proof moves the mirror's age forward, at most to now.
func TestProofsMoveForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := revocation.NewMirror(revocation.MirrorConfig{})
		c := run(t, m, make(tape))
		start := time.Now()
		for _, step := range []struct {
			what        string
			proof, want time.Time
		}{
			{"the future is now", start.Add(time.Hour), start},
			{"the past changes nothing", start.Add(-time.Second), start},
			{"none changes nothing", time.Time{}, start},
		} {
			if err := c.play(revocation.Batch{Position: at(1), AsOf: step.proof}); err != nil {
				t.Fatal(err)
			}
			if got := m.Status().AsOf; !got.Equal(step.want) {
				t.Errorf("%s: as of %v, want %v", step.what, got, step.want)
			}
		}
	})
}

func TestOneRunAtATime(t *testing.T) {
	m, feed := revocation.NewMirror(revocation.MirrorConfig{}), make(tape)
	run(t, m, feed)
	if err := m.Run(context.Background(), feed); err == nil {
		t.Error("a second Run began")
	}
}
