package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/token"
)

var (
	// identifiers are any text without control characters, up to what a claim may hold.
	identifiers = rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_.:@/-]{1,40}`),
		rapid.StringOfN(rapid.RuneFrom([]rune(`aZ0 "\/<>&é߿€😀ſK`+"\u00a0\u2028\ufffd")), 1, 60, 255),
	)
	dates = rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(1, 253402300799).Draw(t, "date"), 0).UTC()
	})
	customValues = rapid.SampledFrom([]string{
		`null`, `true`, `-1.5e3`, `"a\u0000\n\ud83d\ude00"`, `[]`, `[[1],{"a":{}}]`, `{"a":[1,2],"A":"x"}`, `""`,
	})
	claimsSets = rapid.Custom(func(t *rapid.T) token.Claims {
		c := token.Claims{
			Subject:  identifiers.Draw(t, "sub"),
			ClientID: identifiers.Draw(t, "client_id"),
			Audience: rapid.SliceOfN(identifiers, 0, 3).Draw(t, "aud"),
			Scope:    rapid.StringMatching(`([a-z:]{1,10}( [a-z:]{1,10}){0,3})?`).Draw(t, "scope"),
			AMR:      rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,5}`), 0, 3).Draw(t, "amr"),
			Roles:    rapid.SliceOfN(identifiers, 0, 5).Draw(t, "roles"),
		}
		if rapid.Bool().Draw(t, "all") {
			c.SessionID = identifiers.Draw(t, "sid")
			c.ACR = identifiers.Draw(t, "acr")
			c.AuthTime = dates.Draw(t, "auth_time")
			c.NotBefore = start.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(t, "nbf")) * time.Second)
		}
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`x[a-zé"\\/]{0,12}`), 0, 3, rapid.ID)
		for _, name := range names.Draw(t, "names") {
			if c.Custom == nil {
				c.Custom = map[string]json.RawMessage{}
			}
			c.Custom[name] = json.RawMessage(customValues.Draw(t, name))
		}
		return c
	})
)

// TestEveryIssuedTokenVerifies: whatever an issuer signs, a verifier reads back as it was meant.
func TestEveryIssuedTokenVerifies(t *testing.T) {
	k := newKey(t, "EdDSA")
	issuer := newIssuer(t, k)
	rapid.Check(t, func(rt *rapid.T) {
		claims := claimsSets.Draw(rt, "claims")
		raw, issued, err := issuer.Issue(t.Context(), claims)
		if err != nil {
			rt.Fatalf("issuing: %v", err)
		}
		want := claims
		want.Issuer, want.ID, want.KeyID = issuerURL, issued.ID, k.kid
		want.IssuedAt, want.ExpiresAt = start, issued.ExpiresAt
		if len(want.Audience) == 0 {
			want.Audience = []string{audience}
		}
		verifier := newVerifier(t, k, func(c *token.VerifierConfig) { c.Audience = want.Audience[:1] })
		for _, how := range []string{"new", "seen"} {
			got, err := verifier.Verify(t.Context(), raw)
			if err != nil {
				rt.Fatalf("%s: %v", how, err)
			}
			if have, want := describe(*got), describe(want); have != want {
				rt.Fatalf("%s:\nhave %s\nwant %s", how, have, want)
			}
		}
	})
}

// describe prints claims so that equal ones print equally: JSON for what goes over the wire, and the rest.
func describe(c token.Claims) string {
	encoded, err := json.Marshal(c)
	return fmt.Sprintf("%s %s %q %v %v", encoded, c.KeyID, c.Subject, c.ExpiresAt, err)
}

// TestEveryByteCounts: a token with any one byte changed is another token, and nobody signed it. The verifier has seen
// the original, so its cache must tell them apart as well.
func TestEveryByteCounts(t *testing.T) {
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := newKey(t, alg)
			raw, verifier := issue(t, k), newVerifier(t, k)
			if _, err := verifier.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(rt *rapid.T) {
				hostile := []byte(raw)
				i := rapid.IntRange(0, len(raw)-1).Draw(rt, "at")
				hostile[i] = rapid.OneOf(
					rapid.SampledFrom([]byte("AQgwabc019-_.=+/ \n")), rapid.Byte(),
				).Filter(func(c byte) bool { return c != raw[i] }).Draw(rt, "byte")
				if _, err := verifier.Verify(t.Context(), string(hostile)); !errors.Is(err, token.ErrInvalid) {
					rt.Fatalf("have %v", err)
				}
			})
			for _, hostile := range []string{raw[1:], raw[:len(raw)-1], raw + "A", raw + raw, strings.ToUpper(raw)} {
				if _, err := verifier.Verify(t.Context(), hostile); !errors.Is(err, token.ErrInvalid) {
					t.Errorf("cut, grown or folded: %v", err)
				}
			}
		})
	}
}
