package keys

import (
	"strings"
	"time"
)

// This file is the arithmetic of [Policy.PublishAheadLeast]. Of M + P + S, only M can be saved: when every replica has
// loaded the ring with the standby, which takes P, any JWKS that is fetched anywhere has the new key, for good. So what a
// verifier fetched from then on proves that it holds the key and will not lose it, and once all have said so nothing is
// left to wait for.

// reportDelay is how old a verifier's knowledge may be when its report is handled: it fetched the JWKS, or had it
// confirmed, at most 5 s before it sent the report ([Remote.Confirm]), and gives a request up that is not answered
// within 5 s.
const reportDelay = 10 * time.Second

// ReportEvery is how often verifiers report what they hold: at least every 5 min, and oftener where a JWKS is cached for
// less than that. Whole seconds.
func (p Policy) ReportEvery() time.Duration {
	return min(max(p.cachedFor(), time.Second), 5*time.Minute).Truncate(time.Second)
}

// ReportLife is how long a verifier may follow the feed on one report; then its stream is ended. It is twice what
// verifiers are told, so that those which come in time never notice.
func (p Policy) ReportLife() time.Duration { return 2 * p.ReportEvery() }

// ReportedFor is how long a report counts that no other has followed. Its verifier has lost the feed meanwhile, a JWKS
// that it fetched before then is dead (M), and to come into service again it must report. S lies between the clocks.
func (p Policy) ReportedFor() time.Duration { return p.ReportLife() + p.cachedFor() + p.Skew }

// settledFor is what the age of a standby must exceed when a report is made that proves anything.
func (p Policy) settledFor() time.Duration { return p.ViewAge + p.Skew + reportDelay }

// hastened is p with a timetable for keys that every verifier holds.
func (p Policy) hastened() Policy {
	p.PublishAhead = p.PublishAheadLeast
	return p
}

// early says what may be done ahead of the timetable, when [Policy.Next] says Wait, if every verifier holds the standby:
// Activate, or Wait. MAC keys keep to the timetable, as no verifier has them.
func (p Policy) early(now time.Time, r Ring) Step {
	if p.PublishAheadLeast == 0 {
		return Step{Action: Wait}
	}
	step := p.hastened().Next(now, r)
	if step.Action != Activate || step.MAC {
		return Step{Action: Wait}
	}
	return step
}

// question asks whether every verifier holds a standby. etag is that of a JWKS with it.
func (p Policy) question(now time.Time, etag string, standby Key) Question {
	return Question{
		Held:    strings.Trim(etag, `"`),
		Settled: standby.Since.Add(p.settledFor()),
		After:   now.Add(-p.ReportedFor()),
	}
}

// proven tells whether a census says that every verifier holds what it was asked about: the reports must have been kept
// for so long that whoever is not among them is out of service. That does not depend on who has led meanwhile.
func (q Question) proven(c Census) bool {
	return c.Missing == 0 && !c.Since.IsZero() && !c.Since.After(q.After)
}
