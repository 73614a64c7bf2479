package keys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// A key stands as the ring says, until the moment at which the timetable moves it on.
func TestStanding(t *testing.T) {
	p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
	store := keystest.NewMemory()
	v := newView(t, store, p)
	if _, err := v.Standing("kid"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("before the first load: %v", err)
	}
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := turn(t, p, begin, keys.Ring{})
	r = turn(t, p, begin.Add(p.RotateEvery), r) // one retired, one active, one prepared
	put(t, store, r)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := v.Standing("kid"); !errors.Is(err, keys.ErrNotFound) || s.AsOf.IsZero() {
		t.Errorf("an unknown key: %+v, %v", s, err)
	}
	stateAt := func(kid string, at time.Time) keys.State {
		for _, k := range turn(t, p, at, r).Keys {
			if k.ID == kid {
				return k.State
			}
		}
		return ""
	}
	for _, state := range []keys.State{keys.Prepared, keys.Active, keys.Retired} {
		kid := inState(r, state)
		s, err := v.Standing(kid)
		if err != nil || s.Key.ID != kid || s.Key.State != state || s.Key.Private != nil || s.AsOf.IsZero() {
			t.Errorf("%s: %+v, %v", state, s, err)
		}
		if before := stateAt(kid, s.Until.Add(-time.Second)); before != state {
			t.Errorf("%s until %v, but %q before", state, s.Until, before)
		}
		if after := stateAt(kid, s.Until.Add(time.Second)); after == state {
			t.Errorf("%s until %v, and after", state, s.Until)
		}
	}
}

// Of a key whose state was not confirmed yet nobody knows until when.
func TestStandingUnconfirmed(t *testing.T) {
	p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
	store := keystest.NewMemory()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := turn(t, p, now, keys.Ring{})
	kid := inState(r, keys.Active)
	for i := range r.Keys {
		r.Keys[i].Since = time.Time{}
	}
	put(t, store, r)
	v := newView(t, store, p)
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := v.Standing(kid); err != nil || s.Key.State != keys.Active || !s.Until.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
}
