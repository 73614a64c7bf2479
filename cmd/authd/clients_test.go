package main_test

import (
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/authd-project/authd/internal/testenv"
)

// Clients that share no code with authd verify its tokens by discovery alone, whatever the algorithm.
func TestIndependentClients(t *testing.T) {
	t.Parallel()
	jose := testenv.Jose(t)
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			s := serve(t, t.TempDir(), "--demo", "--algorithm", alg)
			good := s.login(t, demoUser, demoPassword).AccessToken
			forged := good[:len(good)-8] + "AAAAAAAA"
			subject := claimsOf(t, good).Subject

			provider, err := oidc.NewProvider(t.Context(), s.URL)
			if err != nil {
				t.Fatal(err)
			}
			verifier := provider.Verifier(&oidc.Config{ClientID: "authd"})
			if token, err := verifier.Verify(t.Context(), good); err != nil || token.Subject != subject {
				t.Errorf("go-oidc: %v", err)
			}
			if _, err := verifier.Verify(t.Context(), forged); err == nil {
				t.Error("go-oidc accepts a forged token: the test proves nothing")
			}

			if claims, err := jose.Verify(s.URL, "authd", good); err != nil || claims["sub"] != subject {
				t.Errorf("jose: %v", err)
			}
			if _, err := jose.Verify(s.URL, "authd", forged); err == nil {
				t.Error("jose accepts a forged token: the test proves nothing")
			}
		})
	}
}
