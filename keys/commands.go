package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// TooYoungError refuses a rotation: verifiers may not know the standby yet.
type TooYoungError struct {
	KeyID string        // the standby; empty while none is prepared
	Wait  time.Duration // until it may sign, as far as can be told
}

// Error implements error.
func (e *TooYoungError) Error() string {
	if e.KeyID == "" {
		return "no standby key is prepared yet"
	}
	return fmt.Sprintf("the standby key %s has not been published for long enough; wait %v", e.KeyID,
		e.Wait.Round(time.Second/10))
}

// Rotate lets the standby sign from now on and retires the key that did; it returns the new key's kid. A standby that
// verifiers might not know yet, by the timetable and by what they report, is refused with a [*TooYoungError]. It fails
// with [ErrNotLeader] in a process that does not lead. After any other error the rotation may have taken place.
func (r *Rotator) Rotate(ctx context.Context) (kid string, err error) {
	err = r.command(ctx, func(ctx context.Context, l *leadership) error {
		return l.change(ctx, func(now time.Time, ring *Ring) (bool, error) {
			if k, ok := ring.active(); ok && k.ID == kid {
				return false, nil // an earlier attempt, whose answer was lost
			}
			standby, err := l.readyStandby(ctx, now, *ring)
			if err != nil {
				return false, err
			}
			kid = standby.ID
			return true, ring.activate(kid)
		})
	})
	if err != nil {
		return "", fmt.Errorf("rotating the signing key: %w", err)
	}
	r.cfg.Log.Info("signing key rotated by command", "kid", kid)
	return kid, nil
}

// readyStandby returns the standby if it may sign.
func (p Policy) readyStandby(now time.Time, r Ring) (Key, error) {
	i := standbyOf(p.phases(r))
	if i < 0 {
		return Key{}, &TooYoungError{Wait: p.PublishAhead}
	}
	k := r.Keys[i]
	switch {
	case p.wantsStamp(now, k.Since):
		return Key{}, &TooYoungError{KeyID: k.ID, Wait: p.PublishAhead}
	case now.Sub(k.Since) < p.PublishAhead:
		return Key{}, &TooYoungError{KeyID: k.ID, Wait: p.PublishAhead - now.Sub(k.Since)}
	}
	return k, nil
}

// RevokeResult is what an emergency revocation does, or would do.
type RevokeResult struct {
	KeyID string
	State State // of the key before; Revoked when it was already
	// Successor is the kid that signs afterwards: the standby when the key was active.
	Successor string
	// UnknownFor is the price of haste: for so long verifiers that cache the JWKS may not know the successor and refuse
	// its tokens. Zero when it has been published for long enough.
	UnknownFor time.Duration
	// TokensUntil is when the last honest token of the key would have expired. Until then its holders have to refresh
	// before their time; zero for a key that has signed nothing.
	TokensUntil time.Time
	// RevokedUntil is how long the revocation set keeps the kid.
	RevokedUntil time.Time
	// Pending means that every verifier with a fresh mirror refuses the key's tokens already, and that the ring is still
	// to be changed, by whoever leads: until then the JWKS has the key, and nobody gets tokens if it is the active one.
	Pending bool
}

// glanceTimeout bounds a look at the ring's store where there is a view to fall back on: an emergency does not wait.
const glanceTimeout = time.Second

// BlastRadius tells what [Rotator.Revoke] would do now, and changes nothing. It works in any process.
func (r *Rotator) BlastRadius(ctx context.Context, kid string) (RevokeResult, error) {
	res, err := r.blastRadius(ctx, kid)
	if err != nil {
		return RevokeResult{}, fmt.Errorf("estimating the revocation of the key %q: %w", kid, err)
	}
	return res, nil
}

func (r *Rotator) blastRadius(ctx context.Context, kid string) (RevokeResult, error) {
	patience := storeTimeout
	if r.cfg.View != nil {
		patience = glanceTimeout
	}
	glance, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ring, _, err := r.cfg.Store.Load(glance)
	if errors.Is(err, ErrUnavailable) && ctx.Err() == nil && r.cfg.View != nil {
		ring, _, err = r.cfg.View.Ring() // states and times are all that counts
	}
	if err != nil {
		return RevokeResult{}, err
	}
	return r.cfg.Policy.blastRadius(r.cfg.Now().UTC(), ring, kid)
}

func (p Policy) blastRadius(now time.Time, r Ring, kid string) (RevokeResult, error) {
	k, ok := r.key(kid)
	if !ok {
		return RevokeResult{}, ErrNotFound
	}
	res := RevokeResult{KeyID: kid, State: k.State, RevokedUntil: now.Add(p.RevokedFor)}
	if signing, ok := r.active(); ok {
		res.Successor = signing.ID
	}
	switch k.State {
	case Active:
		res.TokensUntil = now.Add(p.keepFor(k))
		successor, ok := r.successor()
		res.Successor, res.UnknownFor = successor.ID, p.spreadFor()
		if ok && !p.wantsStamp(now, successor.Since) {
			res.UnknownFor = max(0, p.spreadFor()-now.Sub(successor.Since))
		}
	case Retired:
		since := k.Since
		if p.wantsStamp(now, since) {
			since = now
		}
		res.TokensUntil = since.Add(p.keepFor(k))
	case Revoked:
		if !k.Since.IsZero() {
			res.RevokedUntil = k.Since.Add(p.RevokedFor)
		}
	}
	return res, nil
}

// successor returns the prepared key that has been published longest: in an emergency it matters more that verifiers
// know it than that it has the algorithm wanted now.
func (r Ring) successor() (Key, bool) {
	for _, k := range r.Keys {
		if k.State == Prepared {
			return k, true
		}
	}
	return Key{}, false
}

// Revoke takes a key out of service in an emergency, from any process. Its kid enters the revocation set, so that every
// verifier refuses its tokens, forged ones too; only then does Revoke return nil. It leaves the JWKS, and if it was the
// one that signs, the standby signs instead, even if verifiers may not know it yet (see UnknownFor): at once in the
// process that leads, and otherwise, with Pending set, as soon as a leader hears of it from the revocation set.
//
// An error that wraps [ErrUnavailable] means "not confirmed": what was begun is completed by whoever leads, and Revoke
// may be repeated. Unknown kids fail with [ErrNotFound]. With no RotatorConfig.Revoked, a process that does not lead
// fails with [ErrNotLeader].
func (r *Rotator) Revoke(ctx context.Context, kid string) (RevokeResult, error) {
	res, err := r.revoke(ctx, kid)
	if err != nil {
		return res, fmt.Errorf("revoking the key %q: %w", kid, err)
	}
	r.cfg.Log.Warn("signing key revoked by command", "kid", kid, "was", res.State, "signing", res.Successor, "pending", res.Pending)
	return res, nil
}

// revoke puts the kid into the revocation set before it changes the ring: that is what protects, and the ring, or a
// leader, may not be at hand.
func (r *Rotator) revoke(ctx context.Context, kid string) (RevokeResult, error) {
	requested, requestErr := r.request(ctx, kid)
	if errors.Is(requestErr, ErrNotFound) {
		return RevokeResult{}, requestErr
	}
	res := requested // kept if the leader's loop is faster than the command
	res.Pending = false
	err := r.command(ctx, func(ctx context.Context, l *leadership) error { return l.revoke(ctx, kid, &res) })
	switch {
	case err == nil:
		return res, nil
	case requestErr == nil && (errors.Is(err, ErrNotLeader) || errors.Is(err, ErrUnavailable)):
		return requested, nil
	case errors.Is(err, ErrNotLeader) && r.cfg.Revoked != nil:
		return RevokeResult{}, requestErr
	}
	return res, err
}

// revoke does the leader's part of [Rotator.Revoke]. res is kept from one attempt to the next.
func (l *leadership) revoke(ctx context.Context, kid string, res *RevokeResult) error {
	if err := l.prepareSuccessor(ctx, kid); err != nil {
		return err
	}
	err := l.change(ctx, func(now time.Time, ring *Ring) (bool, error) {
		planned, err := l.r.cfg.Policy.blastRadius(now, *ring, kid)
		if err != nil {
			return false, err
		}
		if planned.State != Revoked || res.KeyID == "" { // else by an earlier attempt, whose answer was lost
			*res = planned
		}
		if planned.State == Revoked {
			return false, nil
		}
		return true, ring.revoke(kid, planned.Successor)
	})
	if err != nil {
		return err
	}
	return l.announceByCommand(ctx, kid)
}

// prepareSuccessor makes sure that the active key can be revoked: that there is another which can sign, so that no ring
// is ever written without an active key.
func (l *leadership) prepareSuccessor(ctx context.Context, kid string) error {
	return l.change(ctx, func(now time.Time, r *Ring) (bool, error) {
		k, _ := r.key(kid)
		if _, ok := r.successor(); ok || k.State != Active {
			return false, nil
		}
		return true, r.prepare(now, l.r.cfg.Policy.Algorithm, l.r.generate)
	})
}

// announceByCommand hands one revoked key to the revocation set. Should that fail, the loop goes on trying.
func (l *leadership) announceByCommand(ctx context.Context, kid string) error {
	ring, _, _, err := l.load(ctx)
	if err != nil {
		return err
	}
	if k, ok := ring.key(kid); ok && !l.announced[kid] {
		return l.announceKey(ctx, k)
	}
	return nil
}
