package keys

import (
	"fmt"
	"time"
)

// court knows the real time of everything that happened to every key, and holds each new ring against the invariants.
//
// It assumes the worst replica and the worst verifier that the law allows. A replica may act on any ring that was in
// force during the last P, so a key that is active from a to d signs from a to d+P. Its tokens live for A, plus L at the
// verifier, plus S between the clocks of the two. A verifier may use a JWKS for M, from a replica whose view may be P old
// when it serves it. So every ring in force from a-M-P to d+P+A+L+S must hold the key. The same goes for MAC keys, which
// only replicas use (M is zero) and whose tokens live for as long as a session may be idle.
type court struct {
	law  Policy
	life time.Duration // of a token now; the law says how long it was at first
	keys map[string]*fate
}

// fate is what happened to one key, in real time.
type fate struct {
	mac       bool
	published time.Time
	activated time.Time     // the first time
	retired   time.Time     // the last time; zero while it signs
	life      time.Duration // of its longest token, with the leeway
	revoked   bool
	announced bool // the revocation set had confirmed the kid
}

// sighting is one key in a ring that was just written.
type sighting struct {
	id      string
	state   State
	stamped bool
	mac     bool
	first   bool // there was no key of its sort before
}

func newCourt(law Policy) *court {
	return &court{law: law, life: law.TokenLife, keys: make(map[string]*fate)}
}

// reconfigure makes tokens live for a multiple of what they did at first, and returns the difference to what they do now.
func (c *court) reconfigure(times time.Duration) (change time.Duration) {
	change = times*c.law.TokenLife - c.life
	c.life += change
	for _, f := range c.keys {
		f.sign(c)
	}
	return change
}

// sign notes that a key which is active now makes tokens of the present life.
func (f *fate) sign(c *court) {
	switch {
	case f.activated.IsZero() || !f.retired.IsZero():
	case f.mac:
		f.life = c.law.SessionIdle
	default:
		f.life = max(f.life, c.life+c.law.Leeway)
	}
}

func (c *court) violation(format string, args ...any) error { return fmt.Errorf(format, args...) }

// judge is called with every ring at the moment when it is written.
func (c *court) judge(now time.Time, old, next Ring, w simWrite) error {
	if next.Term < old.Term {
		return c.violation("K4: term %d was written after %d", next.Term, old.Term)
	}
	present := make(map[string]bool)
	active := 0
	for _, k := range next.Keys {
		present[k.ID] = true
		if k.State == Active {
			active++
		}
		if err := c.see(now, sighting{k.ID, k.State, !k.Since.IsZero(), false, len(old.Keys) == 0}, w); err != nil {
			return err
		}
	}
	activeMACs := 0
	for _, k := range next.MACs {
		id := fmt.Sprint("mac-", k.ID)
		present[id] = true
		if k.State == Active {
			activeMACs++
		}
		if err := c.see(now, sighting{id, k.State, !k.Since.IsZero(), true, len(old.MACs) == 0}, w); err != nil {
			return err
		}
	}
	if next.Epoch != "" && (active != 1 || activeMACs != 1) {
		return c.violation("K3: %d active keys and %d active MAC keys in %v", active, activeMACs, next)
	}
	return c.mourn(now, present)
}

// see notes the state of one key and checks that a key which begins to sign is known to everybody.
func (c *court) see(now time.Time, k sighting, w simWrite) error {
	f, known := c.keys[k.id]
	if !known {
		f = &fate{mac: k.mac, published: now}
		c.keys[k.id] = f
	}
	if f.revoked && k.state != Revoked {
		return c.violation("K5: %s was revoked and came back", k.id)
	}
	f.revoked = k.state == Revoked
	f.announced = f.revoked && k.stamped
	if k.state != Active {
		if !f.activated.IsZero() && f.retired.IsZero() {
			f.retired = now
		}
		return nil
	}
	f.retired = time.Time{}
	if !f.activated.IsZero() {
		f.sign(c)
		return nil
	}
	f.activated = now
	f.sign(c)
	spread := c.law.ViewAge
	if !k.mac {
		spread += c.law.cachedFor()
	}
	switch missing := f.published.Add(spread).Sub(now); {
	case k.first:
		return nil // nothing was served before
	case w.emergency:
		if missing > w.unknownFor {
			return c.violation("the emergency costs %v, the operator was told %v", missing, w.unknownFor)
		}
	case missing > 0:
		return c.violation("K2: %s signs %v before everybody knows it", k.id, missing)
	}
	return nil
}

// mourn checks that no key is gone which a live token may still need.
func (c *court) mourn(now time.Time, present map[string]bool) error {
	for id, f := range c.keys {
		if present[id] {
			continue
		}
		if f.revoked && !f.announced {
			return c.violation("K5: %s was revoked and forgotten before the revocation set had it", id)
		}
		if f.revoked || f.activated.IsZero() {
			continue
		}
		until := f.retired.Add(c.law.ViewAge + f.life + c.law.Skew)
		if f.retired.IsZero() || !now.After(until) {
			return c.violation("K1: %s is gone while its tokens live", id)
		}
	}
	return nil
}

// settled checks that nothing is left undone, nor any key in service that the revocation set holds.
func (c *court) settled(now time.Time, r Ring, set map[string]bool) error {
	count := make(map[State]int)
	for _, k := range r.Keys {
		count[k.State]++
		if set[k.ID] && k.State != Revoked {
			return c.violation("K5: %v is in the revocation set and in the ring", k)
		}
		if k.Since.IsZero() {
			return c.violation("K5: %v was never confirmed", k)
		}
		if k.State == Retired && now.Sub(k.Since) > k.KeepFor+c.law.RotateEvery {
			return c.violation("K5: %v was never dropped", k)
		}
	}
	if count[Active] != 1 || count[Prepared] != 1 {
		return c.violation("K5: want one active key and one standby: %v", r)
	}
	return nil
}
