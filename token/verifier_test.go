package token_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func TestIssuedTokenVerifies(t *testing.T) {
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := newKey(t, alg)
			raw, issued, err := newIssuer(t, k).Issue(t.Context(), userClaims())
			if err != nil {
				t.Fatal(err)
			}
			verifier := newVerifier(t, k)
			for _, how := range []string{"new", "seen"} {
				got, err := verifier.Verify(t.Context(), raw)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if have, want := fmt.Sprint(*got), fmt.Sprint(issued); have != want {
					t.Errorf("%s:\nverified %s\nissued   %s", how, have, want)
				}
			}
		})
	}
}

// TestVerifierConfigNamesEverySetting wants all mistakes at once.
func TestVerifierConfigNamesEverySetting(t *testing.T) {
	_, err := token.NewVerifier(token.VerifierConfig{
		Audience: []string{""}, Algorithms: []string{"none"}, Leeway: time.Minute, MaxLife: -1,
	})
	for _, setting := range []string{
		"issuer:", "audience:", "algorithms:", "keys:", "revocations:", "leeway", "max life",
	} {
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%q is not named in: %v", setting, err)
		}
	}
	_, err = token.NewVerifier(token.VerifierConfig{})
	if err == nil || !strings.Contains(err.Error(), "audience: required") {
		t.Errorf("no audience: %v", err)
	}
}

func TestAlgorithmsAreAnAllowList(t *testing.T) {
	k := newKey(t, "ES256")
	onlyEdDSA := func(c *token.VerifierConfig) { c.Algorithms = []string{"EdDSA"} }
	if _, err := newVerifier(t, k, onlyEdDSA).Verify(t.Context(), issue(t, k)); !errors.Is(err, token.ErrSignature) {
		t.Errorf("ES256 where only EdDSA is allowed: %v", err)
	}
	for _, alg := range []string{"none", "None", "HS256", "ES384", "ES256K", "RS512", "PS256", "Ed25519", "es256"} {
		raw := k.sign(t, goodHeader(k).with("alg", quote(alg)), goodClaims())
		refuse(t, k, raw, token.ErrSignature)
		refuse(t, k, raw[:strings.LastIndexByte(raw, '.')+1], token.ErrSignature) // without any signature
	}
}

func TestSignatureMustMatch(t *testing.T) {
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := newKey(t, alg)
			raw := k.sign(t, goodHeader(k), goodClaims())
			cut := strings.LastIndexByte(raw, '.') + 1
			other := k.sign(t, goodHeader(k), goodClaims().with("sub", `"bob"`))
			refuse(t, k, raw[:cut]+other[strings.LastIndexByte(other, '.')+1:], token.ErrSignature)
			refuse(t, k, raw[:cut], token.ErrSignature)
			refuse(t, k, raw[:cut]+raw[cut+4:], token.ErrSignature)
			refuse(t, k, raw+"AAAA", token.ErrSignature)
			zeros := strings.Repeat("A", len(raw)-cut)
			refuse(t, k, raw[:cut]+zeros, token.ErrSignature)
		})
	}
}

func TestIssuerAndAudience(t *testing.T) {
	k := newKey(t, "ES256")
	for name, c := range map[string]struct {
		claims object
		want   error
	}{
		"other issuer":      {goodClaims().with("iss", `"https://auth.example.org"`), token.ErrIssuer},
		"trailing slash":    {goodClaims().with("iss", quote(issuerURL+"/")), token.ErrIssuer},
		"other audience":    {goodClaims().with("aud", `"billing"`), token.ErrAudience},
		"other audiences":   {goodClaims().with("aud", `["billing","orders2"]`), token.ErrAudience},
		"audience by case":  {goodClaims().with("aud", `"Orders"`), token.ErrAudience},
		"one of several":    {goodClaims().with("aud", `["billing","orders"]`), nil},
		"list of one":       {goodClaims().with("aud", `["orders"]`), nil},
		"second of ours":    {goodClaims().with("aud", `"orders-v2"`), nil},
		"audience repeated": {goodClaims().with("aud", `["orders","orders"]`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			verifier := newVerifier(t, k, func(c *token.VerifierConfig) { c.Audience = []string{audience, "orders-v2"} })
			_, err := verifier.Verify(t.Context(), k.sign(t, goodHeader(k), c.claims))
			if !errors.Is(err, c.want) {
				t.Errorf("want %v, have %v", c.want, err)
			}
		})
	}
}

// TestTimes tries both sides of every boundary, for a new token and for one seen before.
func TestTimes(t *testing.T) {
	k := newKey(t, "ES256")
	var now time.Time
	config := func(c *token.VerifierConfig) {
		c.Leeway = 10 * time.Second
		c.Now = func() time.Time { return now }
	}
	raw := k.sign(t, goodHeader(k), goodClaims().and("nbf", seconds(time.Minute)))
	justIat := k.sign(t, goodHeader(k), goodClaims())
	for _, c := range []struct {
		raw   string
		after time.Duration
		want  error
	}{
		{justIat, -10*time.Second - time.Nanosecond, token.ErrNotYetValid},
		{justIat, -10 * time.Second, nil},
		{raw, 50*time.Second - time.Nanosecond, token.ErrNotYetValid},
		{raw, 50 * time.Second, nil},
		{raw, 10*time.Minute + 10*time.Second - time.Nanosecond, nil},
		{raw, 10*time.Minute + 10*time.Second, token.ErrExpired},
	} {
		t.Run(c.after.String(), func(t *testing.T) {
			fresh, seen := newVerifier(t, k, config), newVerifier(t, k, config)
			now = start.Add(2 * time.Minute)
			if _, err := seen.Verify(t.Context(), c.raw); err != nil {
				t.Fatal(err)
			}
			now = start.Add(c.after)
			if _, err := fresh.Verify(t.Context(), c.raw); !errors.Is(err, c.want) {
				t.Errorf("new: want %v, have %v", c.want, err)
			}
			if _, err := seen.Verify(t.Context(), c.raw); !errors.Is(err, c.want) {
				t.Errorf("seen: want %v, have %v", c.want, err)
			}
		})
	}
}

// changingKeys is a key source whose answer the test sets.
type changingKeys struct {
	key   crypto.PublicKey
	known bool
	err   error
}

func (k *changingKeys) VerificationKey(context.Context, string, string) (crypto.PublicKey, bool, error) {
	return k.key, k.known, k.err
}

// TestSeenTokenFollowsItsKey: a cached verdict lives no longer than the key that it rests on.
func TestSeenTokenFollowsItsKey(t *testing.T) {
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := newKey(t, alg)
			keys := &changingKeys{key: k.public, known: true}
			verifier, raw := newVerifier(t, keys), issue(t, k)
			want := func(step string, want error) {
				t.Helper()
				if _, err := verifier.Verify(t.Context(), raw); !errors.Is(err, want) {
					t.Errorf("%s: want %v, have %v", step, want, err)
				}
			}
			want("new", nil)
			want("seen", nil)

			lost := errors.New("connection refused")
			*keys = changingKeys{err: lost}
			want("keys out of reach", token.ErrUnavailable)
			want("the cause", lost)
			*keys = changingKeys{key: k.public} // a source that still has it, but knows it no more
			want("key dropped", token.ErrUnknownKey)
			*keys = changingKeys{key: k.public, known: true}
			want("key back", nil)

			if alg != "RS256" { // there is only one RSA key
				keys.key = newKey(t, alg).public
				want("another key of that name", token.ErrUnknownKey)
				want("and judged anew", token.ErrSignature)
			}
		})
	}
}

func TestRevocationDecidesLast(t *testing.T) {
	k := newKey(t, "ES256")
	good := issue(t, k)
	forged := k.sign(t, goodHeader(k), goodClaims().with("aud", `"billing"`))
	for _, c := range []struct {
		name   string
		answer error
		want   error
	}{
		{"revoked", fmt.Errorf("session: %w", revocation.ErrRevoked), token.ErrRevoked},
		{"stale", fmt.Errorf("%w: 7s old", revocation.ErrUnavailable), token.ErrUnavailable},
		{"unclear", errors.New("broken"), token.ErrUnavailable},
		{"cancelled", context.Canceled, token.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			verifier := newVerifier(t, k, func(v *token.VerifierConfig) { v.Revocations = checker{c.answer} })
			for _, how := range []string{"new", "seen"} {
				claims, err := verifier.Verify(t.Context(), good)
				if !errors.Is(err, c.want) || !errors.Is(err, c.answer) || claims != nil {
					t.Errorf("%s: want %v, have %v, %v", how, c.want, claims, err)
				}
				if errors.Is(err, token.ErrInvalid) != errors.Is(err, token.ErrRevoked) {
					t.Errorf("%s: %v mixes up invalid and unavailable", how, err)
				}
			}
			if _, err := verifier.VerifyWith(t.Context(), good, checker{}); err != nil {
				t.Errorf("a route with its own judge: %v", err)
			}
			if _, err := verifier.Verify(t.Context(), forged); !errors.Is(err, token.ErrAudience) {
				t.Errorf("a token that is not good anyway: %v", err)
			}
		})
	}
}

// TestListsStayApart: they share memory, which nobody must notice who appends to one.
func TestListsStayApart(t *testing.T) {
	k := newKey(t, "ES256")
	lists := goodClaims().without("aud").and("aud", quote(audience)).and("amr", `["pwd","otp"]`).and("roles", `["buyer"]`)
	claims, err := newVerifier(t, k).Verify(t.Context(), k.sign(t, goodHeader(k), lists))
	if err != nil {
		t.Fatal(err)
	}
	grown := append(append(claims.Audience, "mallory"), append(claims.AMR, "mallory")...)
	if have := fmt.Sprint(claims.Audience, claims.AMR, claims.Roles, grown); have !=
		"[orders] [pwd otp] [buyer] [orders mallory pwd otp mallory]" {
		t.Errorf("have %s", have)
	}
}

// recordingChecker keeps what it was asked.
type recordingChecker struct{ asked []revocation.Claims }

func (r *recordingChecker) Check(_ context.Context, c revocation.Claims) error {
	r.asked = append(r.asked, c)
	return nil
}

// TestAllAxesAreChecked: what a token is revoked by, for a new token and one seen before.
func TestAllAxesAreChecked(t *testing.T) {
	k := newKey(t, "ES256")
	asked := &recordingChecker{}
	verifier := newVerifier(t, k, func(c *token.VerifierConfig) { c.Revocations = asked })
	with := k.sign(t, goodHeader(k), goodClaims().and("sid", `"Yk7xCu3nWUmCk0dmWBE0qQ"`))
	for range 2 {
		if _, err := verifier.Verify(t.Context(), with); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := verifier.Verify(t.Context(), k.sign(t, goodHeader(k), goodClaims())); err != nil {
		t.Fatal(err)
	}
	want := revocation.Claims{
		Token:    revocation.IDOf(revocation.Token, "3q2-7wAAAAAAAAAAAAAAAA"),
		Session:  revocation.IDOf(revocation.Session, "Yk7xCu3nWUmCk0dmWBE0qQ"),
		Subject:  revocation.IDOf(revocation.Subject, "alice"),
		Client:   revocation.IDOf(revocation.Client, "web"),
		Key:      revocation.IDOf(revocation.Key, k.kid),
		IssuedAt: start.Unix(),
	}
	if len(asked.asked) != 3 || asked.asked[0] != want || asked.asked[1] != want {
		t.Fatalf("asked %+v, want twice %+v", asked.asked, want)
	}
	if session := asked.asked[2].Session; session == (revocation.ID{}) || session == want.Session {
		t.Errorf("a token without a session asks for session %v, which may exist", session)
	}
}
