package keys

import (
	"context"
	"fmt"
	"time"
)

// RevokedKeys is the revocation set, as far as this process has heard. It is how an emergency that was declared
// elsewhere reaches the leader: whoever puts the kid of a key into the set has the key replaced. A request lasts for as
// long as its entry; should nobody lead for all of RevokedFor, it lapses, and ring and set agree again.
type RevokedKeys interface {
	// Revoked tells whether the set is known to hold the kid. It answers from memory and is asked several times a
	// second. false may mean that the news has not come yet; the leader goes on with its timetable meanwhile.
	Revoked(kid string) bool
}

// emergency says what the leader does before [Policy.Next]: it takes the keys whose kids are revoked out of service, one
// a write. The one that signs comes last, so that its successor is none of them; without a standby one is made first, as
// no ring is ever written that has no key to sign with. Wait when there is nothing to do.
func (p Policy) emergency(r Ring, revoked func(kid string) bool) Step {
	signing := ""
	for _, k := range r.Keys {
		switch {
		case k.State == Revoked || !revoked(k.ID):
		case k.State == Active:
			signing = k.ID
		default:
			return Step{Action: Revoke, KeyID: k.ID}
		}
	}
	if signing == "" {
		return Step{Action: Wait}
	}
	if _, ok := r.successor(); !ok {
		return Step{Action: Prepare, Algorithm: p.Algorithm}
	}
	return Step{Action: Revoke, KeyID: signing}
}

// lookEvery is how often the leader asks the revocation set, in memory, for the kids of its ring.
const lookEvery = 250 * time.Millisecond

// looks ticks when it is time to ask the revocation set, if there is one to ask.
func (l *leadership) looks() (<-chan time.Time, func()) {
	if l.r.cfg.Revoked == nil {
		return nil, func() {}
	}
	ticker := time.NewTicker(lookEvery)
	return ticker.C, ticker.Stop
}

// due is the step that the leader performs next: what the revocation set demands, or else what the timetable does.
func (l *leadership) due(now time.Time, ring Ring) Step {
	l.published = l.published[:0]
	for _, k := range ring.Keys {
		if k.published() {
			l.published = append(l.published, k.ID)
		}
	}
	p, set := l.r.cfg.Policy, l.r.cfg.Revoked
	if set == nil {
		return p.Next(now, ring)
	}
	step := p.emergency(ring, set.Revoked)
	if step.Action == Wait {
		return p.Next(now, ring)
	}
	if res, err := p.blastRadius(now, ring, step.KeyID); err == nil { // else the successor is still to be made
		l.log.Warn("taking a key out of service that the revocation set holds",
			"kid", res.KeyID, "was", res.State, "signing", res.Successor, "unknown_for", res.UnknownFor)
	}
	return step
}

// request puts a kid into the revocation set, where a leader finds it. It asks neither for a leader nor, if there is a
// view, for the ring's store.
func (r *Rotator) request(ctx context.Context, kid string) (RevokeResult, error) {
	if r.cfg.Revoked == nil {
		return RevokeResult{}, ErrNotLeader // nobody would listen
	}
	res, err := r.blastRadius(ctx, kid)
	if err != nil {
		return RevokeResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	until := r.cfg.Now().UTC().Add(r.cfg.Policy.RevokedFor + 2*r.cfg.Policy.Skew)
	if err := r.cfg.Revocations.RevokeKey(ctx, kid, until); err != nil {
		return RevokeResult{}, fmt.Errorf("%w: the kid is not in the revocation set yet: %w", ErrUnavailable, err)
	}
	res.Pending = res.State != Revoked
	return res, nil
}
