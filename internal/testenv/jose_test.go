package testenv_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

func TestJose(t *testing.T) {
	jose := testenv.Jose(t)
	issuer, other := middlewaretest.NewIssuer("orders"), middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	defer other.Close()
	verify := func(raw string) string {
		claims, err := jose.Verify(issuer.URL, "orders", raw)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(claims["sub"])
	}

	good := issuer.Mint(token.Claims{Subject: "alice"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if have := verify(good); have != "alice" {
				t.Errorf("a good token: %s", have)
			}
		})
	}
	wg.Wait()
	for want, raw := range map[string]string{
		"ERR_JWT_CLAIM_VALIDATION_FAILED": issuer.Mint(token.Claims{Audience: []string{"billing"}}),
		"ERR_JWKS_NO_MATCHING_KEY":        other.Mint(token.Claims{}),
		"ERR_JWT_EXPIRED":                 issuer.MintAt(time.Now().Add(-time.Hour), token.Claims{}),
		"ERR_JWS_INVALID":                 "garbage",
	} {
		if have := verify(raw); have != want {
			t.Errorf("have %s, want %s", have, want)
		}
	}
}
