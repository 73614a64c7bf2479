package keys_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// published returns the JWKS of a ring, as a view serves it at the given time.
func published(t *testing.T, p keys.Policy, r keys.Ring, now time.Time) keys.JWKS {
	t.Helper()
	store := keystest.NewMemory()
	put(t, store, r)
	v, err := keys.NewView(keys.ViewConfig{Store: store, Policy: p, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	set, err := v.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The members are those of RFC 7517 section 4 and RFC 7518 section 6, RFC 8037 section 2, and nothing private.
func TestJWKSMembers(t *testing.T) {
	for alg, want := range map[string][]string{
		"ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"},
		"EdDSA": {"alg", "crv", "kid", "kty", "use", "x"},
		"RS256": {"alg", "e", "kid", "kty", "n", "use"},
	} {
		p := keys.Policy{Algorithm: alg}.WithDefaults()
		r := richRing(t, alg)
		r.Keys = r.Keys[1:] // the first one is revoked
		set := published(t, p, r, epochStart)

		var doc struct{ Keys []map[string]string }
		if err := json.Unmarshal(set.Body, &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Keys) != 2 {
			t.Fatalf("%s: %d keys, want the active one and the standby", alg, len(doc.Keys))
		}
		for i, jwk := range doc.Keys {
			if got := slices.Sorted(maps.Keys(jwk)); !slices.Equal(got, want) {
				t.Errorf("%s: members %v, want %v", alg, got, want)
			}
			if jwk["kid"] != r.Keys[i].ID || jwk["alg"] != alg || jwk["use"] != "sig" {
				t.Errorf("%s: got %v", alg, jwk)
			}
		}

		var theirs jose.JSONWebKeySet // an independent reader
		if err := json.Unmarshal(set.Body, &theirs); err != nil {
			t.Fatal(err)
		}
		for i, jwk := range theirs.Keys {
			public := r.Keys[i].Private.Public().(interface{ Equal(crypto.PublicKey) bool })
			if !jwk.Valid() || !jwk.IsPublic() || !public.Equal(jwk.Key) {
				t.Errorf("%s: go-jose reads another key", alg)
			}
		}
	}
}

// An activation changes nothing for verifiers, so it changes neither the document nor its ETag; a new key does.
func TestJWKSChangesWithTheSetOfKeys(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	r := turn(t, p, epochStart, keys.Ring{})
	now := epochStart.Add(p.RotateEvery)
	activated, err := p.Apply(now, r, p.Next(now, r))
	if err != nil || inState(activated, keys.Retired) == "" {
		t.Fatalf("no activation: %v, %v", activated, err)
	}
	before, after := published(t, p, r, epochStart), published(t, p, activated, now)
	if before.ETag != after.ETag || !bytes.Equal(before.Body, after.Body) {
		t.Error("the activation changed the document")
	}
	next := published(t, p, turn(t, p, now, activated), now)
	if next.ETag == before.ETag {
		t.Error("a new standby did not change the ETag")
	}
	if etag := before.ETag; len(etag) < 20 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		t.Errorf("not a strong ETag: %s", etag)
	}
}

func TestJWKSLeavesRevokedKeysOut(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	r := turn(t, p, epochStart, keys.Ring{})
	bad := r.Keys[1].ID
	r.Keys[1].State, r.Keys[1].Private = keys.Revoked, nil
	if set := published(t, p, r, epochStart); bytes.Contains(set.Body, []byte(bad)) {
		t.Errorf("published: %s", set.Body)
	}
}

// max-age counts down to the next change that is due: at most JWKSMaxAge, at least 1 s, in whole seconds.
func TestJWKSMaxAge(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	r := turn(t, p, epochStart, keys.Ring{})
	rotation := epochStart.Add(p.RotateEvery)
	rotated := turn(t, p, rotation, r)
	drop := rotation.Add(p.RetiredFor())
	for name, test := range map[string]struct {
		ring keys.Ring
		now  time.Time
		want time.Duration
	}{
		"far from any change":          {r, epochStart, p.JWKSMaxAge},
		"a rotation comes":             {r, rotation.Add(-90 * time.Second), 90 * time.Second},
		"in whole seconds, downwards":  {r, rotation.Add(-90*time.Second + 1), 89 * time.Second},
		"at least a second":            {r, rotation.Add(-1), time.Second},
		"an overdue rotation":          {r, rotation.Add(time.Hour), p.JWKSMaxAge},
		"a retired key is about to go": {rotated, drop.Add(-7 * time.Second), 7 * time.Second},
	} {
		if got := published(t, p, test.ring, test.now).MaxAge; got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func BenchmarkViewJWKS(b *testing.B) {
	p := keys.Policy{}.WithDefaults()
	store := keystest.NewMemory()
	put(b, store, turn(b, p, time.Now(), keys.Ring{}))
	v := newView(b, store, p)
	if err := v.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.JWKS(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
