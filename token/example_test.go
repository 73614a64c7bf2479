package token_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// ring is the simplest source of keys: one, for both sides.
type ring struct {
	public  crypto.PublicKey
	private ed25519.PrivateKey
}

func (r ring) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return "2026-03", "EdDSA", r.private, nil
}

func (r ring) VerificationKey(_ context.Context, kid, alg string) (crypto.PublicKey, bool, error) {
	return r.public, kid == "2026-03" && alg == "EdDSA", nil
}

// loggedOut is a set of ended sessions; a service has a revocation.Mirror instead.
type loggedOut map[revocation.ID]bool

func (l loggedOut) Check(_ context.Context, c revocation.Claims) error {
	if l[c.Session] {
		return revocation.ErrRevoked
	}
	return nil
}

func Example() {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	keys, ended := ring{public, private}, loggedOut{}
	issuer, err := token.NewIssuer(token.IssuerConfig{
		Issuer: "https://auth.example.com", Audience: []string{"orders"}, Keys: keys,
	})
	if err != nil {
		panic(err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Issuer: "https://auth.example.com", Audience: []string{"orders"}, Keys: keys, Revocations: ended,
	})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	raw, _, err := issuer.Issue(ctx, token.Claims{
		Subject: "alice", ClientID: "web", SessionID: "Yk7xCu3nWUmCk0dmWBE0qQ", Scope: "orders:read",
	})
	if err != nil {
		panic(err)
	}
	claims, err := verifier.Verify(ctx, raw)
	if err != nil {
		panic(err)
	}
	fmt.Println(claims.Subject, claims.Scope)

	ended[revocation.IDOf(revocation.Session, claims.SessionID)] = true
	_, err = verifier.Verify(ctx, raw)
	fmt.Println(errors.Is(err, token.ErrRevoked), err)
	// Output:
	// alice orders:read
	// true invalid token: revoked: revoked
}

func ExampleInspectUnverified() {
	const raw = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbGljZSJ9."
	seen, err := token.InspectUnverified(raw)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n%s\n%v\n", seen.Header, seen.Claims, seen.Defect)
	// Output:
	// {"alg":"ES256","kid":"k1","typ":"JWT"}
	// {"sub":"alice"}
	// invalid token: malformed: header: typ: not at+jwt
}
