package token_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/authd-project/authd/token"
)

// TestAllocations holds the budgets of allocations: none for a token seen before, and for a new one at most 15 more
// than the signature check takes.
func TestAllocations(t *testing.T) {
	const most = 15
	for _, alg := range token.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := newKey(t, alg)
			raw := issue(t, k)
			verify := func(v *token.Verifier) float64 {
				return testing.AllocsPerRun(20, func() {
					if _, err := v.Verify(t.Context(), raw); err != nil {
						t.Fatal(err)
					}
				})
			}
			if n := verify(newVerifier(t, k)); n != 0 {
				t.Errorf("a token seen before: %v allocations", n)
			}

			cut := strings.LastIndexByte(raw, '.')
			signature, err := base64.RawURLEncoding.DecodeString(raw[cut+1:])
			if err != nil {
				t.Fatal(err)
			}
			check := testing.AllocsPerRun(20, func() {
				if err := jwt.GetSigningMethod(alg).Verify(raw[:cut], signature, k.public); err != nil {
					t.Fatal(err)
				}
			})
			noCache := newVerifier(t, k, func(c *token.VerifierConfig) { c.CacheBytes = -1 })
			if n := verify(noCache) - check; n > most {
				t.Errorf("a new token: %v allocations beyond the check, more than %d", n, most)
			}
		})
	}
}
