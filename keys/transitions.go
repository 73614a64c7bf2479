package keys

import (
	"fmt"
	"slices"
	"time"
)

// The transitions below change a ring whose slices the caller has cloned. Each one clears the stamps of the keys that it
// moves; the stamp comes with a later write.

// begin makes the first keys of a ring, which are active at once.
func (r *Ring) begin(now time.Time, alg string, generate generator) error {
	r.Epoch = newEpoch()
	if err := r.prepare(now, alg, generate); err != nil {
		return err
	}
	r.prepareMAC(now)
	r.Keys[0].State, r.MACs[0].State = Active, Active
	return nil
}

// prepare publishes a new standby.
func (r *Ring) prepare(now time.Time, alg string, generate generator) error {
	private, err := generate(alg)
	if err != nil {
		return err
	}
	kid, err := KeyID(r.Epoch, private.Public())
	if err != nil {
		return err
	}
	if _, known := r.key(kid); known {
		return fmt.Errorf("the new key has the kid %s of one in the ring", kid)
	}
	r.Keys = append(r.Keys, Key{ID: kid, Algorithm: alg, Private: private, State: Prepared, CreatedAt: now})
	return nil
}

// activate makes a standby the key that signs, and retires the one that did: at most one key is active in a ring,
// whatever its algorithm, so that which key signs is never a matter of choice.
func (r *Ring) activate(kid string) error {
	next := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == kid && k.State == Prepared })
	if next < 0 {
		return fmt.Errorf("%s is not prepared", kid)
	}
	for i := range r.Keys {
		if r.Keys[i].State == Active {
			r.Keys[i].State, r.Keys[i].Since = Retired, time.Time{}
		}
	}
	r.Keys[next].State, r.Keys[next].Since = Active, time.Time{}
	return nil
}

// drop removes a key that has served: any but the one that signs.
func (r *Ring) drop(kid string) error {
	i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == kid && k.State != Active })
	if i < 0 {
		return fmt.Errorf("%s is active or gone", kid)
	}
	r.Keys = slices.Delete(r.Keys, i, i+1)
	return nil
}

// revoke takes a key out of service for good and forgets its private part. When it was the active one, successor signs.
func (r *Ring) revoke(kid, successor string) error {
	i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == kid && k.State != Revoked })
	if i < 0 {
		return fmt.Errorf("%s is revoked or gone", kid)
	}
	if r.Keys[i].State == Active {
		if err := r.activate(successor); err != nil {
			return err
		}
	}
	r.Keys[i].State, r.Keys[i].Since, r.Keys[i].Private = Revoked, time.Time{}, nil
	return nil
}

// acknowledge stamps a revoked key whose kid the revocation set has confirmed.
func (r *Ring) acknowledge(kid string, now time.Time) error {
	i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == kid && k.State == Revoked })
	if i < 0 {
		return fmt.Errorf("%s is not revoked", kid)
	}
	r.Keys[i].Since = now
	return nil
}

// confirm stamps what has no stamp yet, or one from a clock that ran ahead, and notes how long the keys that sign, or
// will, have to be kept.
func (r *Ring) confirm(now time.Time, keepFor, keepMACFor time.Duration) {
	for i := range r.Keys {
		k := &r.Keys[i]
		if k.State != Revoked && (k.Since.IsZero() || k.Since.After(now)) {
			k.Since = now
		}
		if k.State.signs() {
			k.KeepFor = max(k.KeepFor, keepFor)
		}
	}
	for i := range r.MACs {
		k := &r.MACs[i]
		if k.Since.IsZero() || k.Since.After(now) {
			k.Since = now
		}
		if k.State.signs() {
			k.KeepFor = max(k.KeepFor, keepMACFor)
		}
	}
}

func (r *Ring) prepareMAC(now time.Time) {
	id := uint32(1)
	for _, k := range r.MACs {
		id = max(id, k.ID+1) // the newest key is never dropped, so no number is used twice
	}
	r.MACs = append(r.MACs, MACKey{ID: id, Secret: newSecret(), State: Prepared, CreatedAt: now})
}

func (r *Ring) activateMAC(id uint32) error {
	next := slices.IndexFunc(r.MACs, func(k MACKey) bool { return k.ID == id && k.State == Prepared })
	if next < 0 {
		return fmt.Errorf("mac key %d is not prepared", id)
	}
	for i := range r.MACs {
		if r.MACs[i].State == Active {
			r.MACs[i].State, r.MACs[i].Since = Retired, time.Time{}
		}
	}
	r.MACs[next].State, r.MACs[next].Since = Active, time.Time{}
	return nil
}

func (r *Ring) dropMAC(id uint32) error {
	i := slices.IndexFunc(r.MACs, func(k MACKey) bool { return k.ID == id && k.State == Retired })
	if i < 0 {
		return fmt.Errorf("mac key %d is not retired", id)
	}
	r.MACs = slices.Delete(r.MACs, i, i+1)
	return nil
}
