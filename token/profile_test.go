package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// profileKeys is a ring of one key.
type profileKeys struct{ key *ecdsa.PrivateKey }

func newProfileKeys(t *testing.T) profileKeys {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return profileKeys{key}
}

func (k profileKeys) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return "k1", "ES256", k.key, nil
}

func (k profileKeys) VerificationKey(_ context.Context, kid, alg string) (key crypto.PublicKey, known bool, err error) {
	return k.key.Public(), kid == "k1" && alg == "ES256", nil
}

// anything is a revocation set without entries.
type anything struct{}

func (anything) Check(context.Context, revocation.Claims) error { return nil }

// An access token and a JWT of another profile, with the same key and the same claims, never pass for each other.
func TestProfilesAreToldApart(t *testing.T) {
	keys := newProfileKeys(t)
	profile, err := token.NewProfile("other+jwt", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := token.NewIssuer(token.IssuerConfig{Issuer: "i", Audience: []string{"a"}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: "i", Audience: []string{"a"}, Keys: keys, Revocations: anything{}})
	if err != nil {
		t.Fatal(err)
	}
	access, claims, err := issuer.Issue(t.Context(), token.Claims{Subject: "s", ClientID: "c"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := profile.Sign(t.Context(), keys, claims)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), access); err != nil {
		t.Errorf("the access token: %v", err)
	}
	if got, err := profile.Open(t.Context(), keys, other); err != nil || string(got["sub"]) != `"s"` {
		t.Errorf("the other: %v, %v", got, err)
	}
	for range 2 { // the second time whatever was remembered would count
		if _, err := verifier.Verify(t.Context(), other); !errors.Is(err, token.ErrMalformed) {
			t.Errorf("the other as an access token: %v", err)
		}
	}
	if _, err := profile.Open(t.Context(), keys, access); !errors.Is(err, token.ErrMalformed) {
		t.Errorf("the access token as the other: %v", err)
	}
}

func TestNoProfileLooksLikeAnother(t *testing.T) {
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "jwt", "JWT", "", "+", "other"} {
		if _, err := token.NewProfile(typ, 1000); err == nil {
			t.Errorf("typ %q was accepted", typ)
		}
	}
	if _, err := token.NewProfile("other+jwt", 0); err == nil {
		t.Error("size 0 was accepted")
	}
}

func TestProfileRefuses(t *testing.T) {
	keys := newProfileKeys(t)
	profile, err := token.NewProfile("other+jwt", 1000)
	if err != nil {
		t.Fatal(err)
	}
	good, err := profile.Sign(t.Context(), keys, map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	stranger := newProfileKeys(t)
	foreign, err := profile.Sign(t.Context(), stranger, map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		raw  string
		want error
	}{
		"claims changed":   {parts[0] + "." + encode([]byte(`{"n":2}`)) + "." + parts[2], token.ErrSignature},
		"another's key":    {foreign, token.ErrSignature},
		"none":             {encode([]byte(`{"alg":"none","kid":"k1","typ":"other+jwt"}`)) + "." + parts[1] + ".", token.ErrSignature},
		"MAC":              {encode([]byte(`{"alg":"HS256","kid":"k1","typ":"other+jwt"}`)) + "." + parts[1] + "." + parts[2], token.ErrSignature},
		"no such key":      {encode([]byte(`{"alg":"ES256","kid":"k2","typ":"other+jwt"}`)) + "." + parts[1] + "." + parts[2], token.ErrUnknownKey},
		"no typ":           {encode([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + parts[1] + "." + parts[2], token.ErrMalformed},
		"crit":             {encode([]byte(`{"alg":"ES256","kid":"k1","typ":"other+jwt","crit":["exp"]}`)) + "." + parts[1] + "." + parts[2], token.ErrMalformed},
		"padding":          {good + "=", token.ErrMalformed},
		"line break":       {parts[0] + ".\n" + parts[1] + "." + parts[2], token.ErrMalformed},
		"two parts":        {parts[0] + "." + parts[1], token.ErrMalformed},
		"larger than said": {good + strings.Repeat("A", 1000), token.ErrMalformed},
	} {
		if _, err := profile.Open(t.Context(), keys, test.raw); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for _, claims := range []any{[]int{1}, "text", strings.Repeat("x", 1000)} {
		raw, err := profile.Sign(t.Context(), keys, claims)
		if err != nil {
			continue // too long
		}
		if _, err := profile.Open(t.Context(), keys, raw); !errors.Is(err, token.ErrMalformed) {
			t.Errorf("claims %v: %v", claims, err)
		}
	}
}
