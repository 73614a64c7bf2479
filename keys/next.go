package keys

import (
	"fmt"
	"slices"
	"time"
)

// Action is one transition of the ring.
type Action string

const (
	Wait     Action = "wait"     // nothing is due
	Begin    Action = "begin"    // an empty ring gets its epoch and its first keys, which are active at once
	Confirm  Action = "confirm"  // what was read back gets its stamp
	Prepare  Action = "prepare"  // a new standby is published
	Activate Action = "activate" // a standby begins to sign, the key that signed retires
	Drop     Action = "drop"     // a key that nobody needs any more leaves the ring
	Revoke   Action = "revoke"   // a key leaves service in an emergency; if it signed, the standby signs at once
)

// Step is the one transition that is due, as [Policy.Next] decides. [Policy.Apply] makes the ring that the leader writes.
type Step struct {
	Action    Action
	MAC       bool   // the step is about the MAC keys
	KeyID     string // the key it is about: Activate, Drop, Revoke
	MACID     uint32 // likewise when MAC is set
	Algorithm string // of the key to make: Begin, Prepare
}

// String describes the step for logs.
func (s Step) String() string {
	switch {
	case s.MAC && (s.Action == Activate || s.Action == Drop):
		return fmt.Sprintf("%s mac key %d", s.Action, s.MACID)
	case s.MAC:
		return fmt.Sprintf("%s mac key", s.Action)
	case s.KeyID != "":
		return fmt.Sprintf("%s %s", s.Action, s.KeyID)
	}
	return string(s.Action)
}

// Next says what the leader does now: at most one transition, so that a crash at any point leaves a ring from which the
// next leader goes on. now is a reading of the leader's clock that was taken after r was read; its lateness only ever
// makes a step later, never earlier.
//
// The first keys of a ring are active at once. No verifier can hold a JWKS of this ring without them, since none was
// served before.
func (p Policy) Next(now time.Time, r Ring) Step {
	if r.Epoch == "" {
		return Step{Action: Begin, Algorithm: p.Algorithm}
	}
	signing, macs := p.phases(r), phasesOfMACs(r)
	if p.unconfirmed(now, signing, p.RetiredFor()) || p.unconfirmed(now, macs, p.macRetiredFor()) {
		return Step{Action: Confirm}
	}
	switch action, i := p.signing().next(now, signing); action {
	case Wait:
	case Prepare:
		return Step{Action: Prepare, Algorithm: p.Algorithm}
	default:
		return Step{Action: action, KeyID: r.Keys[i].ID}
	}
	switch action, i := p.macs().next(now, macs); action {
	case Wait:
	case Prepare:
		return Step{Action: Prepare, MAC: true}
	default:
		return Step{Action: action, MAC: true, MACID: r.MACs[i].ID}
	}
	return Step{Action: Wait}
}

// phase is where one key stands, be it for signing or for MACs.
type phase struct {
	state   State
	since   time.Time
	keepFor time.Duration
	fits    bool // of the algorithm that is wanted now
}

func (p Policy) phases(r Ring) []phase {
	phases := make([]phase, len(r.Keys))
	for i, k := range r.Keys {
		phases[i] = phase{state: k.State, since: k.Since, keepFor: k.KeepFor, fits: k.Algorithm == p.Algorithm}
	}
	return phases
}

func phasesOfMACs(r Ring) []phase {
	phases := make([]phase, len(r.MACs))
	for i, k := range r.MACs {
		phases[i] = phase{state: k.State, since: k.Since, keepFor: k.KeepFor, fits: true}
	}
	return phases
}

// unconfirmed tells whether a stamp is missing, or lies so far ahead that the clock which wrote it was wrong: such a key
// would not age for as long. A stamp taken now is always right, as the state it describes was read back before. The
// stamp of a revoked key is not a matter of time but of the revocation set's answer; see [Rotator].
//
// A key that signs, or will, also has to be noted down for as long as this policy's tokens need it.
func (p Policy) unconfirmed(now time.Time, phases []phase, keepFor time.Duration) bool {
	for _, k := range phases {
		if k.state != Revoked && p.wantsStamp(now, k.since) || k.state.signs() && k.keepFor < keepFor {
			return true
		}
	}
	return false
}

func (p Policy) wantsStamp(now, since time.Time) bool {
	return since.IsZero() || since.Sub(now) > p.Skew
}

// cycle is one life cycle: of the signing keys or of the MAC keys.
type cycle struct {
	publishAhead time.Duration
	rotateEvery  time.Duration
	retiredFor   time.Duration
	revokedFor   time.Duration
}

// next returns the transition that is due and, for Activate and Drop, the index of its key. All phases are confirmed.
func (c cycle) next(now time.Time, phases []phase) (Action, int) {
	standby := standbyOf(phases)
	if standby < 0 {
		return Prepare, -1
	}
	active := slices.IndexFunc(phases, func(k phase) bool { return k.state == Active })
	if active < 0 { // no legal write leaves a ring like this; mended all the same
		return Activate, standby
	}
	// Keys that are over go before the next one comes, so that the ring does not grow when a leader is slow.
	if i := slices.IndexFunc(phases, func(k phase) bool { return c.over(now, k) }); i >= 0 {
		return Drop, i
	}
	if !c.mature(now, phases[standby]) {
		return Wait, -1
	}
	if now.Sub(phases[active].since) >= c.rotateEvery || !phases[active].fits {
		return Activate, standby
	}
	for i, k := range phases {
		if k.state == Prepared && i != standby { // never signed; kept only until its replacement was ready
			return Drop, i
		}
	}
	return Wait, -1
}

// over tells whether nobody needs the key any more.
func (c cycle) over(now time.Time, k phase) bool {
	age := now.Sub(k.since)
	return k.state == Retired && age > max(c.retiredFor, k.keepFor) ||
		k.state == Revoked && !k.since.IsZero() && age > c.revokedFor
}

// standbyOf returns the index of the prepared key that is next to sign, the oldest one that fits; -1 when there is none.
func standbyOf(phases []phase) int {
	for i, k := range phases {
		if k.state == Prepared && k.fits {
			return i
		}
	}
	return -1
}

// mature tells whether a confirmed standby has been published for long enough to sign.
func (c cycle) mature(now time.Time, k phase) bool { return now.Sub(k.since) >= c.publishAhead }

// nextChange returns when the JWKS of this ring is next due to change: by a rotation, whose successor brings a new
// standby, or by a drop. Zero when nothing is due in the future.
func (p Policy) nextChange(now time.Time, r Ring) time.Time {
	var next time.Time
	for _, k := range r.Keys {
		if k.Since.IsZero() {
			continue
		}
		var at time.Time
		switch k.State {
		case Active:
			at = k.Since.Add(p.RotateEvery)
		case Retired:
			at = k.Since.Add(p.keepFor(k))
		}
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// keepFor is what the age of k must exceed, once retired, before it leaves the ring.
func (p Policy) keepFor(k Key) time.Duration { return max(p.RetiredFor(), k.KeepFor) }
