package token_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/token"
)

func TestActors(t *testing.T) {
	key := newKey(t, "ES256")
	claims := userClaims()
	claims.Actor = &token.Actor{Subject: "stock", Before: &token.Actor{Subject: "orders"}}
	raw, issued, err := newIssuer(t, key).Issue(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newVerifier(t, key).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*token.Actor{issued.Actor, c.Actor} {
		if a.Subject != "stock" || a.Before == nil || a.Before.Subject != "orders" || a.Before.Before != nil || a.Depth() != 2 {
			t.Errorf("actor %+v", a)
		}
	}
	if (*token.Actor)(nil).Depth() != 0 {
		t.Error("nobody is somebody")
	}
}

// chain is a claim act of so many actors.
func chain(n int) string {
	return strings.Repeat(`{"sub":"a","act":`, n-1) + `{"sub":"a"}` + strings.Repeat("}", n-1)
}

func TestActorsThatAreMalformed(t *testing.T) {
	read := func(act string) error {
		var c token.Claims
		return c.UnmarshalJSON(fmt.Appendf(nil, `{"iss":"i","sub":"s","aud":"a","exp":2,"iat":1,"jti":"j","client_id":"c","act":%s}`, act))
	}
	for _, good := range []string{`{"sub":"a"}`, `{"act":{"sub":"a"},"sub":"b"}`, chain(8)} {
		if err := read(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		`{}`, `"a"`, `["a"]`, `null`, `{"sub":""}`, `{"sub":1}`, `{"sub":"a","sub":"b"}`, `{"sub":"a","act":{}}`, `{"sub":"a","act":"b"}`,
		`{"sub":"a","iss":"x"}`, `{"act":{"sub":"a"}}`, `{"sub":"a","act":{"sub":"a"},"act":{"sub":"b"}}`, chain(9), chain(400),
	} {
		if err := read(bad); !errors.Is(err, token.ErrMalformed) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

// An ID token, a logout token and an access token with the same key never pass for each other, also with the claims of an
// access token.
func TestIDTokensAreNoAccessTokens(t *testing.T) {
	key := newKey(t, "ES256")
	access, claims, err := newIssuer(t, key).Issue(t.Context(), userClaims())
	if err != nil {
		t.Fatal(err)
	}
	profiles := []token.Profile{token.IDTokens(), token.LogoutTokens()}
	var made []string
	for i, p := range profiles {
		raw, err := p.SignFor(t.Context(), key, func(alg string) any {
			if alg != "ES256" {
				t.Errorf("signed for %s", alg)
			}
			return claims
		})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, raw)
		if _, err := newVerifier(t, key).Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("profile %d as an access token: %v", i, err)
		}
	}
	for i, p := range profiles {
		for j, raw := range slices.Concat(made, []string{access}) {
			_, err := p.Open(t.Context(), key, raw)
			if (err == nil) != (i == j) {
				t.Errorf("token %d opened by profile %d: %v", j, i, err)
			}
		}
	}
}
