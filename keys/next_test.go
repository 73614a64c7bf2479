package keys_test

import (
	"crypto/rsa"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
)

var epochStart = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant in all but syntax

// before returns a stamp: the given time before the start.
func before(d time.Duration) time.Time { return epochStart.Add(-d) }

func ring(signing ...keys.Key) keys.Ring {
	return keys.Ring{Epoch: "abcd2345", Keys: signing, MACs: []keys.MACKey{
		{ID: 1, State: keys.Active, Since: epochStart, KeepFor: 30 * 24 * time.Hour},
		{ID: 2, State: keys.Prepared, Since: epochStart, KeepFor: 30 * 24 * time.Hour},
	}}
}

func signingKey(id string, state keys.State, since time.Time) keys.Key {
	keepFor := keys.Policy{}.WithDefaults().RetiredFor()
	return keys.Key{ID: id, Algorithm: "ES256", State: state, Since: since, KeepFor: keepFor}
}

func TestNext(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	day := 24 * time.Hour
	old := signingKey("old", keys.Active, before(p.RotateEvery))
	young := signingKey("young", keys.Active, before(p.RotateEvery-1))
	standby := signingKey("standby", keys.Prepared, before(p.PublishAhead))
	eddsa := func(k keys.Key) keys.Key { k.Algorithm = "EdDSA"; return k }
	keep := func(k keys.Key, d time.Duration) keys.Key { k.KeepFor = d; return k }

	for name, test := range map[string]struct {
		ring keys.Ring
		want keys.Step
	}{
		"an empty ring begins": {keys.Ring{}, keys.Step{Action: keys.Begin, Algorithm: "ES256"}},
		"a new key is confirmed first": {
			ring(old, standby, signingKey("k", keys.Retired, time.Time{})), keys.Step{Action: keys.Confirm},
		},
		"a stamp from a clock far ahead is taken anew": {
			ring(young, signingKey("standby", keys.Prepared, epochStart.Add(p.Skew+1))), keys.Step{Action: keys.Confirm},
		},
		"a stamp from a clock slightly ahead stands": {
			ring(young, signingKey("standby", keys.Prepared, epochStart.Add(p.Skew))), keys.Step{Action: keys.Wait},
		},
		"the revocation set's answer is not the policy's to give": {
			ring(young, standby, signingKey("bad", keys.Revoked, time.Time{})), keys.Step{Action: keys.Wait},
		},
		"a standby is always there":             {ring(young), keys.Step{Action: keys.Prepare, Algorithm: "ES256"}},
		"nothing is due":                        {ring(young, standby), keys.Step{Action: keys.Wait}},
		"the active key has signed long enough": {ring(old, standby), keys.Step{Action: keys.Activate, KeyID: "standby"}},
		"but the standby is too young": {
			ring(old, signingKey("standby", keys.Prepared, before(p.PublishAhead-1))), keys.Step{Action: keys.Wait},
		},
		"a clock set back makes nothing due": {
			ring(signingKey("k", keys.Active, epochStart.Add(p.Skew)), standby), keys.Step{Action: keys.Wait},
		},
		"a retired key stays to the last moment": {
			ring(young, standby, signingKey("k", keys.Retired, before(p.RetiredFor()))), keys.Step{Action: keys.Wait},
		},
		"and then goes": {
			ring(young, standby, signingKey("k", keys.Retired, before(p.RetiredFor()+1))), keys.Step{Action: keys.Drop, KeyID: "k"},
		},
		"a retired key whose tokens lived longer stays for those": {
			ring(young, standby, keep(signingKey("k", keys.Retired, before(day)), day)), keys.Step{Action: keys.Wait},
		},
		"a retired key whose tokens lived shorter is of no concern": {
			ring(young, standby, keep(signingKey("k", keys.Retired, before(1)), time.Second)), keys.Step{Action: keys.Wait},
		},
		"that tokens live longer now is noted first": {
			ring(keep(old, p.RetiredFor()-1), standby), keys.Step{Action: keys.Confirm},
		},
		"that they live shorter now is not": {
			ring(keep(young, day), keep(standby, day)), keys.Step{Action: keys.Wait},
		},
		"a revoked key stays as long as its kid in the revocation set": {
			ring(young, standby, signingKey("k", keys.Revoked, before(p.RevokedFor))), keys.Step{Action: keys.Wait},
		},
		"and then goes too": {
			ring(young, standby, signingKey("k", keys.Revoked, before(p.RevokedFor+1))), keys.Step{Action: keys.Drop, KeyID: "k"},
		},
		"a key that is over goes before the next one comes": {
			ring(old, standby, signingKey("k", keys.Retired, before(day))), keys.Step{Action: keys.Drop, KeyID: "k"},
		},
		"a ring without an active key is mended at once": {
			ring(signingKey("standby", keys.Prepared, epochStart)), keys.Step{Action: keys.Activate, KeyID: "standby"},
		},
		"after a change of algorithm a fitting standby is prepared": {
			ring(eddsa(young), eddsa(standby)), keys.Step{Action: keys.Prepare, Algorithm: "ES256"},
		},
		"which waits like any other": {
			ring(eddsa(young), eddsa(standby), signingKey("new", keys.Prepared, before(p.PublishAhead-1))), keys.Step{Action: keys.Wait},
		},
		"and then signs at once": {
			ring(eddsa(young), eddsa(standby), signingKey("new", keys.Prepared, before(p.PublishAhead))),
			keys.Step{Action: keys.Activate, KeyID: "new"},
		},
		"the misfit standby goes once another is ready": {
			ring(young, eddsa(standby), signingKey("new", keys.Prepared, before(p.PublishAhead))),
			keys.Step{Action: keys.Drop, KeyID: "standby"},
		},
		"and not before, for it may be needed in an emergency": {
			ring(young, eddsa(standby), signingKey("new", keys.Prepared, before(p.PublishAhead-1))), keys.Step{Action: keys.Wait},
		},
	} {
		if got := p.Next(epochStart, test.ring); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

// The MAC keys follow the same life, but each one is kept for as long as a refresh token may lie unused, and they do not
// pile up when the signing keys turn quickly.
func TestNextOfMACKeys(t *testing.T) {
	p := keys.Policy{RotateEvery: 2 * time.Second, TokenLife: 20 * time.Second}.WithDefaults()
	every := p.SessionIdle / 8
	keep := p.SessionIdle + p.ViewAge + 2*p.Skew
	mac := func(id uint32, state keys.State, since time.Time) keys.MACKey {
		return keys.MACKey{ID: id, State: state, Since: since, KeepFor: keep}
	}
	active, standby := mac(1, keys.Active, epochStart), mac(2, keys.Prepared, before(time.Hour))
	for name, test := range map[string]struct {
		macs []keys.MACKey
		want keys.Step
	}{
		"unconfirmed":  {[]keys.MACKey{mac(1, keys.Active, time.Time{})}, keys.Step{Action: keys.Confirm}},
		"to be noted":  {[]keys.MACKey{{ID: 1, State: keys.Active, Since: epochStart, KeepFor: keep - 1}}, keys.Step{Action: keys.Confirm}},
		"no standby":   {[]keys.MACKey{active}, keys.Step{Action: keys.Prepare, MAC: true}},
		"nothing due":  {[]keys.MACKey{mac(1, keys.Active, before(every-1)), standby}, keys.Step{Action: keys.Wait}},
		"rotation due": {[]keys.MACKey{mac(1, keys.Active, before(every)), standby}, keys.Step{Action: keys.Activate, MAC: true, MACID: 2}},
		"still needed": {[]keys.MACKey{mac(3, keys.Retired, before(keep)), active, standby}, keys.Step{Action: keys.Wait}},
		"not needed":   {[]keys.MACKey{mac(3, keys.Retired, before(keep+1)), active, standby}, keys.Step{Action: keys.Drop, MAC: true, MACID: 3}},
	} {
		r := ring(signingKey("k", keys.Active, epochStart), signingKey("s", keys.Prepared, epochStart))
		r.MACs = test.macs
		if got := p.Next(epochStart, r); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

// A step that was decided for another ring is refused, and the ring it is applied to never changes.
func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	r := ring(signingKey("active", keys.Active, epochStart), signingKey("standby", keys.Prepared, epochStart))
	for _, step := range []keys.Step{
		{Action: keys.Begin, Algorithm: "ES256"},
		{Action: keys.Prepare, Algorithm: "none"},
		{Action: keys.Activate, KeyID: "active"},
		{Action: keys.Activate, KeyID: "gone"},
		{Action: keys.Drop, KeyID: "active"},
		{Action: keys.Activate, MAC: true, MACID: 1},
		{Action: keys.Drop, MAC: true, MACID: 2},
		{Action: "explode"},
	} {
		if got, err := p.Apply(epochStart, r, step); err == nil {
			t.Errorf("%+v gave %v", step, got)
		}
	}
	next, err := p.Apply(epochStart, r, keys.Step{Action: keys.Activate, KeyID: "standby"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Keys[0].State != keys.Active || r.Keys[1].State != keys.Prepared {
		t.Errorf("the ring was changed in place: %v", r)
	}
	if next.Keys[0].State != keys.Retired || next.Keys[1].State != keys.Active || !next.Keys[0].Since.IsZero() || !next.Keys[1].Since.IsZero() {
		t.Errorf("after the activation: %v", next)
	}
}

// Confirming stamps what has no stamp or one from the future, and nothing else. What signs is kept for as long as any
// policy has wanted.
func TestConfirm(t *testing.T) {
	p := keys.Policy{TokenLife: time.Hour}.WithDefaults()
	long, short, past := 24*time.Hour, keys.Policy{}.WithDefaults().RetiredFor(), before(time.Hour)
	r := ring(signingKey("new", keys.Active, time.Time{}), signingKey("ahead", keys.Prepared, epochStart.Add(time.Hour)),
		signingKey("old", keys.Retired, past), signingKey("bad", keys.Revoked, time.Time{}))
	r.Keys[1].KeepFor = long
	r.MACs[0].Since, r.MACs[1].Since = time.Time{}, past
	got, err := p.Apply(epochStart, r, keys.Step{Action: keys.Confirm})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Time{epochStart, epochStart, past, {}} {
		if !got.Keys[i].Since.Equal(want) {
			t.Errorf("%v: stamped %v, want %v", got.Keys[i], got.Keys[i].Since, want)
		}
	}
	for i, want := range []time.Duration{p.RetiredFor(), long, short, short} {
		if got.Keys[i].KeepFor != want {
			t.Errorf("%v: to be kept for %v, want %v", got.Keys[i], got.Keys[i].KeepFor, want)
		}
	}
	for i, want := range []time.Time{epochStart, past} {
		if !got.MACs[i].Since.Equal(want) {
			t.Errorf("%v: stamped %v, want %v", got.MACs[i], got.MACs[i].Since, want)
		}
	}
}

// Every algorithm on offer gives a key that can sign, of a strength to match.
func TestBeginWithEachAlgorithm(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		r, err := keys.Policy{}.WithDefaults().Apply(epochStart, keys.Ring{}, keys.Step{Action: keys.Begin, Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Keys) != 1 || r.Keys[0].Algorithm != alg || r.Keys[0].State != keys.Active || r.Keys[0].Private == nil {
			t.Errorf("%s: got %v", alg, r)
		}
		if epoch, ok := keys.ParseKeyID(r.Keys[0].ID); !ok || epoch != r.Epoch {
			t.Errorf("%s: kid %q in the ring %q", alg, r.Keys[0].ID, r.Epoch)
		}
		if k, ok := r.Keys[0].Private.Public().(*rsa.PublicKey); ok && k.N.BitLen() < 3072 {
			t.Errorf("an RSA key of %d bits", k.N.BitLen())
		}
	}
}
