package session_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	revocationstore "github.com/authd-project/authd/revocation/boltstore"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/boltstore"
	"github.com/authd-project/authd/token"
)

// A client whose answer was lost asks again and gets the same generation; one that comes with an old token is a thief,
// or was robbed.
func ExampleDecide() {
	limits := session.Limits{}.WithDefaults()
	login := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	chain := session.Chain{Generation: 1, Since: login}

	for _, step := range []struct {
		presented uint64
		after     time.Duration
	}{
		{1, 10 * time.Minute},
		{1, 10*time.Minute + 5*time.Second}, // the answer got lost
		{2, 20 * time.Minute},
		{1, 25 * time.Minute}, // who still has that one?
	} {
		var outcome session.Outcome
		chain, outcome = session.Decide(chain, step.presented, login.Add(step.after), limits)
		fmt.Printf("after %v: presented %d: %v, current %d\n", step.after, step.presented, outcome, chain.Generation)
	}
	// Output:
	// after 10m0s: presented 1: rotated, current 2
	// after 10m5s: presented 1: replayed, current 2
	// after 20m0s: presented 2: rotated, current 3
	// after 25m0s: presented 1: reused, current 3
}

// The life of a session on the embedded store.
func ExampleService() {
	folder, err := os.MkdirTemp("", "authd")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	file, err := boltfile.Open(filepath.Join(folder, "authd.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	service, err := newExampleService(file)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	g, err := service.Login(ctx, session.LoginRequest{
		Username: "ada", Password: "correct horse battery staple", UserAgent: "example/1", Address: "192.0.2.1",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("logged in as", g.Claims.Subject)

	_, err = service.Refresh(ctx, g.RefreshToken, session.Use{UserAgent: "example/1", Address: "192.0.2.1"})
	fmt.Println("refresh:", err)

	list, err := service.List(ctx, g.Claims.Subject)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range list {
		fmt.Println("session of", s.Username, "on", s.UserAgent, "from", s.Address)
	}

	err = service.Logout(ctx, g.Claims.Subject, g.Session.ID, session.LogoutAll)
	fmt.Println("logout:", err)

	_, err = service.Refresh(ctx, g.RefreshToken, session.Use{UserAgent: "example/1", Address: "192.0.2.1"})
	fmt.Println("refused:", errors.Is(err, session.ErrInvalidGrant))
	// Output:
	// logged in as 0yVhGkH3RkqC1FGsvbGtLw
	// refresh: <nil>
	// session of ada on example/1 from 192.0.2.1
	// logout: <nil>
	// refused: true
}

// newExampleService puts a service together from the embedded stores, one user, and keys made on the spot.
func newExampleService(file *boltfile.File) (*session.Service, error) {
	store, err := boltstore.Open(file, boltstore.Options{})
	if err != nil {
		return nil, err
	}
	revocations, err := revocationstore.Open(file, revocationstore.Options{})
	if err != nil {
		return nil, err
	}
	mirror := revocation.NewMirror(revocation.MirrorConfig{})
	if err := fill(context.Background(), mirror, revocations); err != nil { // a program has its Run keep it current
		return nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tokens, err := token.NewIssuer(token.IssuerConfig{
		Issuer: "https://login.example", Audience: []string{"orders"}, Keys: signingKey{private},
	})
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	ada := identity.Account{Subject: "0yVhGkH3RkqC1FGsvbGtLw", Username: "ada"}
	return session.NewService(session.ServiceConfig{
		Store:       store,
		Accounts:    &accounts{byName: map[string]identity.Account{"ada": ada}},
		Tokens:      tokens,
		MACKeys:     &macKeys{current: 1, keys: map[uint32][]byte{1: secret}},
		Revocations: revocations,
		Mirror:      mirror,
	})
}
