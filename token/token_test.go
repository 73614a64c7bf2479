package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

const (
	issuerURL = "https://auth.example.com"
	audience  = "orders"
)

// start is the moment at which the tests play.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// oneKey is a ring of a single key.
type oneKey struct {
	kid, alg string
	private  crypto.Signer
	public   crypto.PublicKey // held as an interface, as a ring does: converting a slice each time would allocate
}

// rsaKey makes the one RSA key of all tests, since that takes long.
var rsaKey = sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKey(tb testing.TB, alg string) oneKey {
	tb.Helper()
	var (
		private crypto.Signer
		err     error
	)
	switch alg {
	case "ES256":
		private = ecdsaKey(tb, elliptic.P256())
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256":
		private, err = rsaKey()
	default:
		tb.Fatalf("no keys for %q", alg)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return oneKey{kid: "k1-" + alg, alg: alg, private: private, public: private.Public()}
}

func ecdsaKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return private
}

// shortRSAKey is one that RFC 7518 section 3.3 forbids.
func shortRSAKey(tb testing.TB) oneKey {
	tb.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		tb.Fatal(err)
	}
	return oneKey{kid: "short", alg: "RS256", private: private, public: private.Public()}
}

func (k oneKey) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return k.kid, k.alg, k.private, nil
}

func (k oneKey) VerificationKey(_ context.Context, kid, alg string) (crypto.PublicKey, bool, error) {
	if kid != k.kid || alg != k.alg {
		return nil, false, nil
	}
	return k.public, true, nil
}

// checker answers with its own error to every check.
type checker struct{ err error }

func (c checker) Check(context.Context, revocation.Claims) error { return c.err }

// userClaims are what a login asks the issuer for.
func userClaims() token.Claims {
	return token.Claims{
		Subject: "8d0f9a1c-4f56-4ab5-9f39-6c1f2a4b7e55", SessionID: "Yk7xCu3nWUmCk0dmWBE0qQ", ClientID: "web",
		Scope: "orders:read orders:write", AuthTime: start, AMR: []string{"pwd"}, Roles: []string{"buyer", "admin"},
	}
}

func newIssuer(tb testing.TB, keys token.SigningKeys) *token.Issuer {
	tb.Helper()
	issuer, err := token.NewIssuer(token.IssuerConfig{
		Issuer: issuerURL, Audience: []string{audience}, Keys: keys, Now: func() time.Time { return start },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return issuer
}

// newVerifier returns a verifier at start that finds nothing revoked; change adapts its configuration.
func newVerifier(tb testing.TB, keys token.VerificationKeys, change ...func(*token.VerifierConfig)) *token.Verifier {
	tb.Helper()
	config := token.VerifierConfig{
		Issuer: issuerURL, Audience: []string{audience}, Keys: keys, Revocations: checker{},
		Now: func() time.Time { return start },
	}
	for _, f := range change {
		f(&config)
	}
	verifier, err := token.NewVerifier(config)
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

func issue(tb testing.TB, keys token.SigningKeys) string {
	tb.Helper()
	raw, _, err := newIssuer(tb, keys).Issue(tb.Context(), userClaims())
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}
