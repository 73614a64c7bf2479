package session

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDecide(t *testing.T) {
	l := Limits{Grace: 30 * time.Second, MaxReplays: 5}
	began := time.Unix(1_700_000_000, 0)
	now := func(after time.Duration) time.Time { return began.Add(after) }
	at := func(generation uint64, replays int) Chain { return Chain{generation, began, replays} }

	for _, tt := range []struct {
		name      string
		chain     Chain
		presented uint64
		after     time.Duration
		want      Outcome
		wantChain Chain
	}{
		{"current, past the grace", at(4, 0), 4, l.Grace + 1, Rotated, Chain{5, now(l.Grace + 1), 0}},
		{"current, past the grace, replayed before", at(4, 5), 4, l.Grace + 1, Rotated, Chain{5, now(l.Grace + 1), 0}},
		{"current, at the end of the grace", at(4, 0), 4, l.Grace, Replayed, at(4, 1)},
		{"current, at once", at(4, 0), 4, 0, Replayed, at(4, 1)},
		{"parent, at once", at(4, 0), 3, 0, Replayed, at(4, 1)},
		{"parent, at the end of the grace", at(4, 4), 3, l.Grace, Replayed, at(4, 5)},
		{"parent, past the grace", at(4, 0), 3, l.Grace + 1, Reused, at(4, 0)},
		{"grandparent, inside the grace", at(4, 0), 2, 0, Reused, at(4, 0)},
		{"grandparent, past the grace", at(4, 0), 2, time.Hour, Reused, at(4, 0)},
		{"first of many", at(1_000_000, 0), 1, 0, Reused, at(1_000_000, 0)},
		{"current, replayed too often", at(4, 5), 4, 0, Reused, at(4, 5)},
		{"parent, replayed too often", at(4, 5), 3, 0, Reused, at(4, 5)},
		{"next, never seen here", at(4, 3), 5, 0, Adopted, Chain{5, now(0), 0}},
		{"far ahead", at(4, 0), 400, time.Hour, Adopted, Chain{400, now(time.Hour), 0}},
		{"login's, at once", at(1, 0), 1, 0, Replayed, at(1, 1)},
		{"the last there is", at(math.MaxUint64, 0), math.MaxUint64 - 1, 0, Replayed, at(math.MaxUint64, 1)},
		{"clock set back a little", at(4, 0), 3, -time.Second, Replayed, at(4, 1)},
		{"clock set back a lot, current", at(4, 0), 4, -time.Hour, Rotated, Chain{5, now(-time.Hour), 0}},
		{"clock set back a lot, parent", at(4, 0), 3, -time.Hour, Reused, at(4, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chain, outcome := Decide(tt.chain, tt.presented, now(tt.after), l)
			if outcome != tt.want || chain != tt.wantChain {
				t.Errorf("Decide: %v, %+v\nwant: %v, %+v", outcome, chain, tt.want, tt.wantChain)
			}
		})
	}
}

// A chain is driven through random presentations; what holds of it after each step does not repeat Decide's cases.
func TestDecideInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{
			Grace:      time.Duration(rapid.Int64Range(1, 1000).Draw(t, "grace")),
			MaxReplays: rapid.IntRange(1, 6).Draw(t, "max replays"),
		}
		now := time.Unix(1_700_000_000, 0)
		c := Chain{Generation: 1, Since: now}
		answers := 0 // of the current generation
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 1500).Draw(t, "elapsed")))
			lag := rapid.SampledFrom([]uint64{0, 0, 0, 1, 1, 2}).Draw(t, "generations behind")
			presented := c.Generation - min(lag, c.Generation-1)

			next, outcome := Decide(c, presented, now, l)
			switch {
			case next.Generation < c.Generation || next.Generation > c.Generation+1:
				t.Fatalf("generation went from %d to %d", c.Generation, next.Generation)
			case (next.Generation != c.Generation) != (outcome == Rotated):
				t.Fatalf("%v with generation %d after %d", outcome, next.Generation, c.Generation)
			case outcome == Rotated && now.Sub(c.Since) <= l.Grace:
				t.Fatal("rotated twice within the grace")
			case outcome == Rotated && presented != c.Generation:
				t.Fatal("a generation that was not the current one rotated the chain")
			case outcome == Rotated && !next.Since.Equal(now):
				t.Fatal("the new generation did not begin now")
			case outcome == Replayed && !next.Since.Equal(c.Since):
				t.Fatal("a replay prolonged the grace")
			case outcome == Replayed && now.Sub(c.Since) > l.Grace:
				t.Fatal("replayed past the grace")
			case outcome == Adopted:
				t.Fatal("adopted a generation that was known")
			case outcome == Reused && next != c:
				t.Fatal("reuse changed the chain")
			case outcome == Reused && presented == c.Generation && now.Sub(c.Since) > l.Grace:
				t.Fatal("the current token ended its session though it was not replayed")
			}
			if outcome == Replayed {
				answers++
			} else {
				answers = 0
			}
			if answers > l.MaxReplays {
				t.Fatalf("one generation was answered again %d times", answers)
			}
			if outcome == Reused {
				return
			}
			c = next
		}
	})
}

// The longer somebody waits to present a token, the less it is worth: no delay makes an old token good again.
func TestDecideIsMonotonicInAge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Grace: time.Minute, MaxReplays: 5}
		c := Chain{
			Generation: rapid.Uint64Range(2, 9).Draw(t, "current"), Since: time.Unix(1_700_000_000, 0),
			Replays: rapid.IntRange(0, 5).Draw(t, "replays"),
		}
		presented := rapid.Uint64Range(1, c.Generation-1).Draw(t, "presented")
		sooner := time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "sooner"))
		later := sooner + time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "later"))
		_, o1 := Decide(c, presented, c.Since.Add(sooner), l)
		_, o2 := Decide(c, presented, c.Since.Add(later), l)
		if o1 == Reused && o2 != Reused {
			t.Fatalf("after %v: %v, after %v: %v", sooner, o1, later, o2)
		}
	})
}

func TestOutcomeString(t *testing.T) {
	if got, want := fmt.Sprint(Rotated, Replayed, Adopted, Reused, Outcome(9)),
		"rotated replayed adopted reused outcome(9)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
