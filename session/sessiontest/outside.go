package sessiontest

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/authd-project/authd/session"
)

// Call is a refresh or an end as a client sees it, who does not know the store's clock at the moment that counts: only
// that it lay between From, when the call was sent, and To, when it was answered. Both are counted from when the creation of
// the session was asked for.
type Call struct {
	End       bool   // else a refresh
	Presented uint64 // generation
	From, To  time.Duration
}

// Answer is what a client saw of a call.
type Answer struct {
	Unknown    bool   // no answer, or that it cannot be told: the call may have done what it does, or not, or do so later
	Ended      bool   // the session has ended, perhaps by this very call
	Generation uint64 // which the client now holds; zero when ended
}

// OutsideModel is the rule of refresh (S2) for histories of one session that clients have recorded, for stores that lose
// nothing. The session had been created when the time given had passed. Where a moment that nobody knows makes the difference between inside and past the grace, it allows for both;
// so it may pass a wrong history, and never refuses a right one. How often a generation may be replayed is left out, as
// backends repeat calls whose answer was lost.
func OutsideModel(grace, created time.Duration) porcupine.Model {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{outside{generation: 1, since: span{-clockSlack, created + clockSlack}}} },
		Step: func(s, in, out any) (next []any) {
			before, call, answer := s.(outside), in.(Call), out.(Answer)
			if answer.Unknown {
				next = append(next, before) // it was never done
			}
			for after, right := range before.after(call, grace) {
				if answer.Unknown || answer == right {
					next = append(next, after)
				}
			}
			return next
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
	}
	return nondeterministic.ToModel()
}

// clockSlack is by how much the time of a step may lie outside of its call, for clocks that tick in milliseconds.
const clockSlack = 2 * time.Millisecond

// outside is what can be known of a session.
type outside struct {
	ended      bool
	generation uint64
	since      span // when the generation began
}

// span is the time from lo to hi, both included.
type span struct{ lo, hi time.Duration }

// after returns what a call can make of s, with the right answer for each.
func (s outside) after(c Call, grace time.Duration) map[outside]Answer {
	when := span{max(c.From-clockSlack, s.since.lo), c.To + clockSlack}
	youngest, oldest := max(0, when.lo-s.since.hi), when.hi-s.since.lo
	possible := map[outside]Answer{}
	if youngest <= grace {
		s.take(possible, c, when, 0)
	}
	if oldest > grace {
		s.take(possible, c, when, modelLimits.Grace+1)
	}
	return possible
}

// take applies the rule to a generation of the given age.
func (s outside) take(possible map[outside]Answer, c Call, when span, age time.Duration) {
	next, out := step(state{ended: s.ended, generation: s.generation}, input{end: c.End, presented: c.Presented, now: age})
	after := outside{ended: next.ended, generation: next.generation, since: s.since}
	if next.generation != s.generation {
		after.since = when
	}
	if next.ended {
		after = outside{ended: true}
	}
	answer := Answer{Generation: out.generation}
	if out.outcome == 0 || out.outcome == session.Reused {
		answer = Answer{Ended: true}
	}
	possible[after] = answer
}
