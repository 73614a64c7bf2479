package session_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	revocationstore "github.com/authd-project/authd/revocation/boltstore"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/boltstore"
	"github.com/authd-project/authd/token"
)

// S3 over a slow network: six clients share one refresh token as the tabs of a browser do. Requests and answers overtake
// each other, answers get lost and are asked for again, and whoever finishes last overwrites the shared token. Between
// bursts all rest for longer than the grace.
//
// Nobody is logged out as long as a client that has read the shared token has stored the answer, retries included, within
// a third of the grace: then generation n is shared a third after it began, the last presentation of n-1 has come and
// gone after two thirds, and n+1 does not begin before the third has passed.
func TestHonestClientsStayLoggedIn(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			refused, rotations := simulate(t, seed, 10*time.Second)
			if refused > 0 {
				t.Errorf("honest clients were refused %d times", refused)
			}
			if rotations < 15 {
				t.Errorf("only %d rotations: the simulation does not try the rule", rotations)
			}
		})
	}
}

// The simulation is worth something only if it can fail: with delays beyond the grace it does.
func TestSlowClientsAreTakenForThieves(t *testing.T) {
	if refused, _ := simulate(t, 1, 3*time.Minute); refused == 0 {
		t.Error("nobody was refused")
	}
}

// simulate lets six tabs work and rest. most is the longest time from reading the shared token to storing the answer.
func simulate(t *testing.T, seed uint64, most time.Duration) (refused, rotations int) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t)
		defer b.file.Close() // inside the bubble, for its goroutine
		var tabs sync.WaitGroup
		for tab := range 6 {
			rng := rand.New(rand.NewPCG(seed, uint64(tab)))
			tabs.Go(func() { b.work(t, rng, most) })
		}
		tabs.Wait()
		refused, rotations = b.refused, b.rotations
	})
	return refused, rotations
}

// browser is a refresh token that several tabs share.
type browser struct {
	file    *boltfile.File
	service *session.Service
	mirror  *revocation.Mirror

	mu                 sync.Mutex
	token              string
	refused, rotations int
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b := &browser{mirror: revocation.NewMirror(revocation.MirrorConfig{})}
	var err error
	b.file, err = boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	must(err)
	store, err := boltstore.Open(b.file, boltstore.Options{})
	must(err)
	revocations, err := revocationstore.Open(b.file, revocationstore.Options{})
	must(err)
	must(fill(t.Context(), b.mirror, revocations))
	key := newSigningKey(t)
	signer, err := token.NewIssuer(token.IssuerConfig{Issuer: issuer, Audience: []string{audience}, Keys: key})
	must(err)
	b.service, err = session.NewService(session.ServiceConfig{
		Store: store, Tokens: signer, Revocations: revocations,
		Accounts: &accounts{byName: map[string]identity.Account{"alice": {Subject: "sub-alice", Username: "alice"}}},
		MACKeys:  &macKeys{current: 1, keys: map[uint32][]byte{1: bytes.Repeat([]byte{1}, 32)}},
		Mirror:   &patientMirror{b.mirror, forever},
		Limits:   session.Limits{MaxReplays: 1000}, // six tabs that refresh several times in 30 s
	})
	must(err)
	g, err := b.service.Login(t.Context(), session.LoginRequest{Username: "alice", Password: password})
	must(err)
	b.token = g.RefreshToken
	return b
}

// work is what one tab does: bursts of refreshes, each followed by a rest that all tabs take.
func (b *browser) work(t *testing.T, rng *rand.Rand, most time.Duration) {
	const tries = 3
	rests := rand.New(rand.NewPCG(7, 7)) // the same for all
	for range 8 {
		for range 3 {
			pause(rng, 40*time.Second)
			if !b.refresh(t, tries, func() bool {
				pause(rng, most/tries/2)
				return rng.IntN(5) > 0
			}) {
				return
			}
		}
		pause(rests, 30*time.Minute)
	}
}

// refresh presents the shared token until the answer arrives, and shares the answer. travel takes the time of one way
// and tells whether the message arrived; the last try's does in any case.
func (b *browser) refresh(t *testing.T, tries int, travel func() bool) bool {
	b.mu.Lock()
	presented := b.token
	b.mu.Unlock()
	for try := range tries {
		last := try == tries-1
		if !travel() && !last {
			continue // the request is lost
		}
		g, err := b.service.Refresh(t.Context(), presented, desktop)
		arrived := travel() || last

		b.mu.Lock()
		switch {
		case err != nil:
			b.refused++
		case g.Outcome == session.Rotated:
			b.rotations++
		}
		if err == nil && arrived && g.RefreshToken != presented { // the token that was presented is no news
			b.token = g.RefreshToken
		}
		b.mu.Unlock()
		if err != nil || arrived {
			return err == nil
		}
	}
	return false
}

// pause sleeps for a random time below most.
func pause(rng *rand.Rand, most time.Duration) { time.Sleep(time.Duration(rng.Int64N(int64(most)))) }
