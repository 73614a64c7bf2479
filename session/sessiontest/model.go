package sessiontest

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/authd-project/authd/session"
)

// modelLimits allow for more replays than usual, as eight clients act at once.
var modelLimits = session.Limits{
	Idle: limits.Idle, Absolute: limits.Absolute, Grace: limits.Grace, MaxReplays: 3*clients - 4,
}

// input is a call. The store's time is part of it: the rule depends on time, and a history that leaves it out would be
// allowed to choose it.
type input struct {
	end       bool // End; otherwise Refresh
	presented uint64
	now       time.Duration // since the session began
}

// output is what the caller saw; the zero outcome is "this session has ended".
type output struct {
	lost       bool // nothing was seen, but the call ran
	outcome    session.Outcome
	generation uint64
}

type state struct {
	ended      bool
	generation uint64
	since      time.Duration
	replays    int
}

// model is the rule of refresh as a sequential program, written out again rather than calling session.Decide.
var model = porcupine.Model{
	Init: func() any { return state{generation: 1} },
	Step: func(s, in, out any) (bool, any) {
		next, want := step(s.(state), in.(input))
		got := out.(output)
		return got.lost || got == want, next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

func step(s state, in input) (state, output) {
	if in.end {
		s.ended = true
		return s, output{}
	}
	if s.ended {
		return s, output{}
	}
	age := in.now - s.since
	isCurrent, isParent := in.presented == s.generation, in.presented+1 == s.generation
	switch {
	case in.presented > s.generation:
		s = state{generation: in.presented, since: in.now}
		return s, output{outcome: session.Adopted, generation: s.generation}
	case isCurrent && age > modelLimits.Grace:
		s = state{generation: s.generation + 1, since: in.now}
		return s, output{outcome: session.Rotated, generation: s.generation}
	case (isCurrent || isParent) && age <= modelLimits.Grace && s.replays < modelLimits.MaxReplays:
		s.replays++
		return s, output{outcome: session.Replayed, generation: s.generation}
	default:
		s.ended = true
		return s, output{outcome: session.Reused, generation: s.generation}
	}
}
