package keys

import (
	"fmt"
	"time"
)

// Standing is where a key of the ring stands, for people.
type Standing struct {
	Key Key // without its private key
	// Until is when its state is next due to change by the timetable: from when on a prepared key may sign, how long the
	// active one does, until when a retired one is published and a revoked one is kept. Zero while that is not known, as
	// the state has not been confirmed.
	Until time.Time
	AsOf  time.Time // of the view
}

// Standing returns where the key with this kid stands, as last seen; it does not mind the view's age. It is [ErrNotFound]
// when the ring has no such key (any more), and [ErrUnavailable] when no ring was seen yet.
func (v *View) Standing(kid string) (Standing, error) {
	ring, asOf, err := v.Ring()
	if err != nil {
		return Standing{}, err
	}
	k, ok := ring.key(kid)
	if !ok {
		return Standing{AsOf: asOf}, fmt.Errorf("%w: %q", ErrNotFound, kid)
	}
	return Standing{Key: k, Until: v.cfg.Policy.until(ring, k), AsOf: asOf}, nil
}

// until returns when the state of a key is due to change.
func (p Policy) until(r Ring, k Key) time.Time {
	if k.Since.IsZero() {
		return time.Time{}
	}
	switch k.State {
	case Prepared:
		from := k.Since.Add(p.PublishAhead)
		if signing, ok := r.active(); ok && signing.Algorithm == p.Algorithm && signing.Since.Add(p.RotateEvery).After(from) {
			from = signing.Since.Add(p.RotateEvery)
		}
		return from
	case Active:
		return k.Since.Add(p.RotateEvery)
	case Retired:
		return k.Since.Add(p.keepFor(k))
	case Revoked:
		return k.Since.Add(p.RevokedFor)
	}
	return time.Time{}
}
