package dpop_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/dpop"
)

func newVerifier(t *testing.T, c *clock, change ...func(*dpop.VerifierConfig)) *dpop.Verifier {
	t.Helper()
	config := dpop.VerifierConfig{Replays: dpop.NewMemory(0, c.Now), Now: c.Now}
	for _, f := range change {
		f(&config)
	}
	v, err := dpop.NewVerifier(config)
	must(t, err)
	return v
}

// A proof can be used once for as long as it is good, whatever the client's clock.
func TestAProofIsGoodOnce(t *testing.T) {
	for _, ahead := range []time.Duration{-90 * time.Second, 0, 30 * time.Second} {
		c := newClock()
		v := newVerifier(t, c)
		f := newForger(t)
		raw := f.proof(f.header(), claims().with("ath", ath(), "iat", now.Add(ahead).Unix()))
		use := func() error {
			p, err := v.Check(t.Context(), raw, request)
			if err != nil {
				return err
			}
			return v.Spend(t.Context(), p)
		}
		must(t, use())
		for {
			err := use()
			if !errors.Is(err, dpop.ErrInvalid) {
				t.Fatalf("clock ahead by %v: used again after %v: %v", ahead, c.Now().Sub(now), err)
			}
			if !errors.Is(err, dpop.ErrReplayed) {
				break // too old
			}
			c.Advance(time.Second / 4)
		}
	}
}

// The jti of one key says nothing about that of another.
func TestTwoKeysMayHaveTheSameID(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c)
	for range 2 {
		f := newForger(t)
		p, err := v.Check(t.Context(), f.proof(f.header(), claims().with("ath", ath())), request)
		must(t, err)
		must(t, v.Spend(t.Context(), p))
	}
}

func TestNonces(t *testing.T) {
	c := newClock()
	nonces := dpop.NewNonces(dpop.OwnNonceKey(), time.Minute)
	v := newVerifier(t, c, func(c *dpop.VerifierConfig) { c.Nonces = nonces })
	f := newForger(t)
	check := func(nonce any) error {
		_, err := v.Check(t.Context(), f.proof(f.header(), claims().with("ath", ath(), "nonce", nonce, "iat", c.Now().Unix())), request)
		return err
	}
	nonce, err := v.Nonce(t.Context())
	must(t, err)
	must(t, check(nonce))
	for what, bad := range map[string]any{"none": nil, "garbage": "abc", "changed": "B" + nonce[1:], "longer": nonce + "AA"} {
		if err := check(bad); !errors.Is(err, dpop.ErrNonce) || errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 20 { // whoever uses the nonce of the answer before never meets an old one
		must(t, check(nonce))
		nonce, err = v.Nonce(t.Context())
		must(t, err)
		c.Advance(29 * time.Second)
	}
	c.Advance(2 * time.Minute)
	if err := check(nonce); !errors.Is(err, dpop.ErrNonce) {
		t.Errorf("an old one: %v", err)
	}
	another := newVerifier(t, c, func(c *dpop.VerifierConfig) { c.Nonces = dpop.NewNonces(dpop.OwnNonceKey(), time.Minute) })
	if nonce, err = another.Nonce(t.Context()); err != nil || !errors.Is(check(nonce), dpop.ErrNonce) {
		t.Errorf("another server's: %v", err)
	}
}

type noKeys struct{}

func (noKeys) MACKey(context.Context) (uint32, []byte, error) { return 0, nil, errors.New("no ring") }

func (noKeys) MACKeyByID(context.Context, uint32) ([]byte, bool, error) {
	return nil, false, errors.New("no ring")
}

func TestNoncesWithoutKeys(t *testing.T) {
	c := newClock()
	nonce, err := newVerifier(t, c, func(c *dpop.VerifierConfig) { c.Nonces = dpop.NewNonces(dpop.OwnNonceKey(), 0) }).Nonce(t.Context())
	must(t, err)
	v := newVerifier(t, c, func(c *dpop.VerifierConfig) { c.Nonces = dpop.NewNonces(noKeys{}, 0) })
	if _, err := v.Nonce(t.Context()); !errors.Is(err, dpop.ErrUnavailable) {
		t.Errorf("making one: %v", err)
	}
	f := newForger(t)
	raw := f.proof(f.header(), claims().with("ath", ath(), "nonce", nonce))
	if _, err := v.Check(t.Context(), raw, request); !errors.Is(err, dpop.ErrUnavailable) {
		t.Errorf("checking one: %v", err)
	}
}

func TestSettings(t *testing.T) {
	for what, c := range map[string]dpop.VerifierConfig{
		"no replays": {},
		"none":       {Replays: dpop.NewMemory(0, nil), Policy: dpop.Policy{Algorithms: []string{"none"}}},
		"max age":    {Replays: dpop.NewMemory(0, nil), Policy: dpop.Policy{MaxAge: 2 * time.Hour}},
		"leeway":     {Replays: dpop.NewMemory(0, nil), Policy: dpop.Policy{Leeway: -1}},
	} {
		if _, err := dpop.NewVerifier(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
