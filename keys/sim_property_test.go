package keys

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simLaw is a world whose inequalities hold by as little as they may.
func simLaw() Policy {
	p := Policy{
		Algorithm:    "EdDSA",
		RotateEvery:  6 * time.Hour,
		JWKSMaxAge:   10 * time.Minute,
		JWKSOverstay: 5 * time.Minute,
		ViewAge:      10 * time.Minute,
		Skew:         30 * time.Second,
		TokenLife:    10 * time.Minute,
		Leeway:       30 * time.Second,
		SessionIdle:  24 * time.Hour,
		RevokedFor:   48 * time.Hour,
	}
	p.PublishAhead = p.spreadFor() + time.Nanosecond
	return p
}

const simActions = 150

// Whatever happens to the leaders over some weeks, every ring they write keeps K1 to K4, and in peace the last leader
// completes what the others left undone (K5).
func TestInvariantsHoldOverWeeks(t *testing.T) {
	law := simLaw()
	if err := law.Validate(); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		choose := func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) }
		s := newSim(choose, law, variant{policy: law})
		if err := s.run(simActions); err != nil {
			t.Fatalf("after %v: %v", s.now.Sub(simStart), err)
		}
	})
}

// The court can convict: each way to break the rules is found in the same world by chance alone.
func TestBrokenVariantsAreFound(t *testing.T) {
	law := simLaw()
	with := func(change func(*Policy)) variant {
		p := law
		change(&p)
		return variant{policy: p}
	}
	for name, v := range map[string]variant{
		"stamp taken before the commit":  {policy: law, stampEarly: true},
		"neither fence nor version":      {policy: law, unfenced: true},
		"a new key signs at once":        {policy: law, hasty: true},
		"publish-ahead without M":        with(func(p *Policy) { p.PublishAhead -= law.cachedFor() }),
		"publish-ahead without P":        with(func(p *Policy) { p.PublishAhead -= law.ViewAge }),
		"publish-ahead without S":        with(func(p *Policy) { p.PublishAhead -= law.Skew }),
		"an earlier policy is forgotten": {policy: law, forgetful: true},
		"retired-for without A":          with(func(p *Policy) { p.TokenLife = 0 }),
		"retired-for without L":          with(func(p *Policy) { p.Leeway = 0 }),
		"retired-for without P":          with(func(p *Policy) { p.TokenLife -= law.ViewAge }),
		"retired-for with one S":         with(func(p *Policy) { p.TokenLife -= law.Skew }),
		"MAC keys kept too short":        with(func(p *Policy) { p.SessionIdle -= law.Skew }),
		"nobody hears of an emergency":   {policy: law, deaf: true},
		"the price of haste understated": with(func(p *Policy) { p.JWKSOverstay = 0 }),
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 300
			for seed := range uint64(runs) {
				rng := rand.New(rand.NewPCG(seed, 1))
				s := newSim(func(_ string, n int) int { return rng.IntN(n) }, law, v)
				if err := s.run(simActions); err != nil {
					t.Logf("run %d, after %v: %v", seed, s.now.Sub(simStart), err)
					return
				}
			}
			t.Errorf("not found in %d runs", runs)
		})
	}
}
