package token_test

import (
	"errors"
	"testing"

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
				if got.ID != issued.ID || got.KeyID != k.kid || !got.ExpiresAt.Equal(issued.ExpiresAt) {
					t.Errorf("%s: verified %+v, issued %+v", how, *got, issued)
				}
			}
			_, err = verifier.VerifyWith(t.Context(), raw, checker{revocation.ErrRevoked})
			if !errors.Is(err, token.ErrRevoked) {
				t.Errorf("revoked: %v", err)
			}
		})
	}
}
