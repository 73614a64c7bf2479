package keys

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"
)

// generator makes the private key for an algorithm; tests use a cheap one.
type generator func(alg string) (crypto.Signer, error)

// Apply returns the ring after the step. now is the reading of the clock that [Policy.Next] had. It fails when the step
// does not fit the ring, which means that it was decided for another one. For Wait it returns r.
func (p Policy) Apply(now time.Time, r Ring, s Step) (Ring, error) {
	return p.apply(now, r, s, generatePrivate)
}

func (p Policy) apply(now time.Time, r Ring, s Step, generate generator) (Ring, error) {
	r.Keys, r.MACs = slices.Clone(r.Keys), slices.Clone(r.MACs)
	now = now.UTC().Round(0) // what is stored has no monotonic reading
	var err error
	switch {
	case s.Action == Begin && r.Epoch == "":
		err = r.begin(now, s.Algorithm, generate)
	case s.Action == Confirm:
		r.confirm(now, p.RetiredFor(), p.macRetiredFor())
	case s.Action == Prepare && s.MAC:
		r.prepareMAC(now)
	case s.Action == Prepare:
		err = r.prepare(now, s.Algorithm, generate)
	case s.Action == Activate && s.MAC:
		err = r.activateMAC(s.MACID)
	case s.Action == Activate:
		err = r.activate(s.KeyID)
	case s.Action == Drop && s.MAC:
		err = r.dropMAC(s.MACID)
	case s.Action == Drop:
		err = r.drop(s.KeyID)
	case s.Action == Revoke:
		successor, _ := r.successor()
		err = r.revoke(s.KeyID, successor.ID)
	case s.Action != Wait:
		err = errors.New("it does not fit")
	}
	if err != nil {
		return Ring{}, fmt.Errorf("applying %q to the key ring: %w", s, err)
	}
	return r, nil
}
