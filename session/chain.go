package session

import (
	"fmt"
	"time"
)

// Chain is the state of a session's refresh tokens, as [Decide] sees it.
type Chain struct {
	Generation uint64    // the current one; the login's is 1
	Since      time.Time // when the current generation began, by the store's clock
	Replays    int       // how often the current generation was answered again
}

// Outcome is what a presented generation meant.
type Outcome uint8

const (
	Rotated  Outcome = 1 + iota // a new generation began
	Replayed                    // the current generation is answered again: a retry, another tab, a lost response
	Adopted                     // the store had lost a rotation; the presented generation, vouched for by its MAC, is current
	Reused                      // an old generation, or one replayed too often: theft; the session has ended
)

// String returns the outcome's name for logs and metrics.
func (o Outcome) String() string {
	switch o {
	case Rotated:
		return "rotated"
	case Replayed:
		return "replayed"
	case Adopted:
		return "adopted"
	case Reused:
		return "reused"
	default:
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
}

// Decide is the rule of refresh: what does a presented generation mean at time now, and which chain follows from it?
// The caller has checked the token's MAC, so authd did issue the generation, and applies the answer in one atomic step.
// After Reused the chain is unchanged and the session must end in that same step.
//
// Presenting the current generation again soon after it began does not rotate. Without that line honest clients kill
// each other: of two tabs that refresh at once, the slower one would be two generations behind before its request
// arrives.
//
// Since and now are of one clock that may have been set back in between. A generation that began in the future by more
// than the grace counts as old, so that the next refresh brings the chain back to the clock.
func Decide(c Chain, presented uint64, now time.Time, l Limits) (Chain, Outcome) {
	recent := now.Sub(c.Since).Abs() <= l.Grace
	switch {
	case presented > c.Generation:
		return Chain{Generation: presented, Since: now}, Adopted
	case presented == c.Generation && !recent:
		return Chain{Generation: c.Generation + 1, Since: now}, Rotated
	case c.Generation-presented <= 1 && recent && c.Replays < l.MaxReplays:
		c.Replays++
		return c, Replayed
	default:
		return c, Reused
	}
}
