package tokentest_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
	"github.com/authd-project/authd/token/tokentest"
)

const issuerURL = "https://auth.example.com"

// start is the moment at which the tests play.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ring is one key.
type ring struct {
	kid, alg string
	key      crypto.Signer
}

func (r ring) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return r.kid, r.alg, r.key, nil
}

func (r ring) VerificationKey(_ context.Context, kid, alg string) (crypto.PublicKey, bool, error) {
	return r.key.Public(), kid == r.kid && alg == r.alg, nil
}

// newRing makes the same keys each time.
func newRing(t testing.TB, alg string) ring {
	t.Helper()
	r := ring{kid: "abcdefgh-5pK3dVqPzXcR0aTbYnMwLg", alg: alg}
	seed := []byte("the real issuer's key, of tests!")
	var err error
	switch alg {
	case "ES256":
		r.key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	case "EdDSA":
		r.key = ed25519.NewKeyFromSeed(seed)
	case "RS256":
		r.key = rsaKey(t)
	}
	must(t, err)
	return r
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	text, err := os.ReadFile("testdata/issuer.pem")
	must(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	return key.(*rsa.PrivateKey)
}

func good(t testing.TB, r ring) string {
	t.Helper()
	raw, err := issue(r)
	must(t, err)
	return raw
}

// issue makes a token with every claim, at start. The random bytes of its jti are always the same.
func issue(r ring) (string, error) {
	issuer, err := token.NewIssuer(token.IssuerConfig{
		Issuer: issuerURL, Audience: []string{"orders"}, Keys: r, Now: func() time.Time { return start },
		Rand: strings.NewReader(strings.Repeat("no chance", 10)),
	})
	if err != nil {
		return "", err
	}
	raw, _, err := issuer.Issue(context.Background(), token.Claims{
		Subject: "8d0f9a1c-4f56-4ab5-9f39-6c1f2a4b7e55", SessionID: "Yk7xCu3nWUmCk0dmWBE0qQ", ClientID: "web", Scope: "orders:read orders:write",
		AuthTime: start, AMR: []string{"pwd"}, Roles: []string{"buyer"},
	})
	return raw, err
}

func newVerifier(t testing.TB, r ring) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier(token.VerifierConfig{
		Issuer: issuerURL, Audience: []string{"orders"}, Keys: r, Revocations: nothingRevoked{}, Now: func() time.Time { return start },
	})
	must(t, err)
	return v
}

type nothingRevoked struct{}

func (nothingRevoked) Check(context.Context, revocation.Claims) error { return nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cases(t testing.TB, target tokentest.Target) []tokentest.Case {
	t.Helper()
	list, err := tokentest.Cases(target)
	must(t, err)
	return list
}

// Every case has a name and bytes of its own, and says where its rule is written.
func TestCasesAreDistinct(t *testing.T) {
	for _, alg := range token.Algorithms() {
		r := newRing(t, alg)
		target := tokentest.Target{Good: good(t, r), Key: r.key, Cookie: "__Host-authd_access"}
		list := cases(t, target)
		names, bytes := map[string]bool{}, map[string]string{target.Good: "good"}
		groups := map[string]int{}
		for _, c := range list {
			text := fmt.Sprintf("%q", c.Request)
			if names[c.Name] {
				t.Errorf("%s: the name %q is there twice", alg, c.Name)
			}
			if other, have := bytes[text]; have {
				t.Errorf("%s: %s is the same as %s", alg, c.Name, other)
			}
			names[c.Name], bytes[text] = true, c.Name
			if c.RFC == "" || (c.Token != "") && c.Want == nil {
				t.Errorf("%s: %s cites %q, wants %v", alg, c.Name, c.RFC, c.Want)
			}
			group, _, _ := strings.Cut(c.Name, "/")
			groups[group]++
		}
		if len(list) < 1500 || len(groups) < 35 {
			t.Errorf("%s: %d cases in %d groups", alg, len(list), len(groups))
		}
		t.Logf("%s: %d cases: %v", alg, len(list), groups)
	}
}

// The same target gives the same cases, and another seed another forger. (RSA, which is slow, signs alike anyway.)
func TestCasesAreDeterministic(t *testing.T) {
	for _, alg := range []string{"ES256", "EdDSA"} {
		r := newRing(t, alg)
		target := tokentest.Target{Good: good(t, r), Key: r.key}
		list := cases(t, target)
		if !reflect.DeepEqual(list, cases(t, target)) {
			t.Errorf("%s: the second time other cases came", alg)
		}
		target.Seed = 1
		other := cases(t, target)
		if len(other) != len(list) || reflect.DeepEqual(list, other) {
			t.Errorf("%s: seed 1 gives %d cases, seed 0 %d", alg, len(other), len(list))
		}
	}
}

// Each token is refused for the reason that it is named after: with the error of that kind.
func TestVerifierRefusesForTheReason(t *testing.T) {
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			r := newRing(t, alg)
			verifier := newVerifier(t, r)
			asked := tokentest.Try(t, tokentest.Target{Good: good(t, r), Key: r.key}, func(c tokentest.Case) tokentest.Answer {
				if c.Token == "" && c.Want == nil {
					return tokentest.Skipped // a request
				}
				claims, err := verifier.Verify(t.Context(), c.Token)
				if err == nil {
					return tokentest.Accepted
				}
				if claims != nil || !errors.Is(err, token.ErrInvalid) {
					return tokentest.Broken
				}
				if !errors.Is(err, c.Want) {
					t.Errorf("%s: %v, want %v", c.Name, err, c.Want)
				}
				return tokentest.Refused
			})
			if asked < 1000 {
				t.Errorf("asked about %d", asked)
			}
		})
	}
}

func TestTargetsAreChecked(t *testing.T) {
	r, other := newRing(t, "ES256"), newRing(t, "EdDSA")
	raw := good(t, r)
	parts := strings.Split(raw, ".")
	for name, target := range map[string]tokentest.Target{
		"no key":           {Good: raw},
		"no token":         {Key: r.key},
		"two parts":        {Good: parts[0] + "." + parts[1], Key: r.key},
		"no header":        {Good: "." + parts[1] + "." + parts[2], Key: r.key},
		"no claims":        {Good: parts[0] + ".e30." + parts[2], Key: r.key},
		"a bad signature":  {Good: raw + "!", Key: r.key},
		"another key":      {Good: raw, Key: other.key},
		"claims in a list": {Good: parts[0] + ".W10." + parts[2], Key: r.key},
	} {
		if list, err := tokentest.Cases(target); err == nil {
			t.Errorf("%s: %d cases", name, len(list))
		}
		if _, err := tokentest.NewCanary(target); err == nil {
			t.Errorf("%s: a canary", name)
		}
	}
}

// What is not refused is reported, by name.
func TestTryReports(t *testing.T) {
	r := newRing(t, "EdDSA")
	verifier := newVerifier(t, r)
	target := tokentest.Target{Good: good(t, r), Key: r.key}
	for name, lax := range map[string]tokentest.Answer{"typ/missing": tokentest.Accepted, "crit/unknown": tokentest.Broken} {
		var seen recorder
		tokentest.Try(&seen, target, func(c tokentest.Case) tokentest.Answer {
			if c.Name == name {
				return lax
			}
			if _, err := verifier.Verify(t.Context(), c.Token); err != nil {
				return tokentest.Refused
			}
			return tokentest.Accepted
		})
		if len(seen.errors) != 1 || !strings.HasPrefix(seen.errors[0], name+" is "+lax.String()) {
			t.Errorf("%s: reported %q", name, seen.errors)
		}
	}
}

// recorder keeps what a test would report.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// What HTTP itself makes the good token of is not hostile there, and nothing else is left out.
func TestWhatHTTPMakesGood(t *testing.T) {
	r := newRing(t, "ES256")
	var header, cookie []string
	for _, c := range cases(t, tokentest.Target{Good: good(t, r), Key: r.key}) {
		if !c.InHeader() {
			header = append(header, c.Name)
		}
		if _, ok := c.InCookie("c"); !ok && c.Want != nil {
			cookie = append(cookie, c.Name)
		}
	}
	if want := []string{"alphabet/after/space", "alphabet/after/tab", "alphabet/before/space"}; !slices.Equal(header, want) {
		t.Errorf("not asked in a header: %q", header)
	}
	want := []string{"alphabet/after/semicolon", "alphabet/after/space", "alphabet/after/tab", "alphabet/whole/quoted"}
	for _, br := range []string{"CR", "CRLF", "LF", "fold"} {
		want = append(want, "line-break/"+br+"/end", "line-break/"+br+"/hundred-at-the-end")
	}
	if !slices.Equal(cookie, want) {
		t.Errorf("not asked in a cookie: %q", cookie)
	}
}
