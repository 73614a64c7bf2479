package token_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/token"
)

// TestTokenFollowsRFC9068 reads a token with nothing but encoding/json.
func TestTokenFollowsRFC9068(t *testing.T) {
	k := newKey(t, "ES256")
	claims := userClaims()
	claims.Custom = map[string]json.RawMessage{"tenant": []byte(`"acme"`), "plan": []byte(`{"seats":3}`)}
	raw, _, err := newIssuer(t, k).Issue(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(raw, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || string(header) != `{"alg":"ES256","kid":"k1-ES256","typ":"at+jwt"}` {
		t.Errorf("header %s, %v", header, err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var have map[string]any
	if err := json.Unmarshal(payload, &have); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"iss": issuerURL, "sub": claims.Subject, "aud": audience, "client_id": "web", "sid": claims.SessionID,
		"iat": float64(start.Unix()), "auth_time": float64(start.Unix()), "scope": claims.Scope, "tenant": "acme",
	} {
		if have[name] != want {
			t.Errorf("%s: have %v, want %v", name, have[name], want)
		}
	}
	if id, err := base64.RawURLEncoding.DecodeString(have["jti"].(string)); err != nil || len(id) != 16 {
		t.Errorf("jti %v: not 128 bits of base64url", have["jti"])
	}
	if _, there := have["nbf"]; there || len(have) != 14 {
		t.Errorf("claims %s", payload)
	}
}

func TestExpiryIsJitteredDownwards(t *testing.T) {
	k := newKey(t, "EdDSA")
	issue := func(random []byte, claims token.Claims) (token.Claims, error) {
		issuer, err := token.NewIssuer(token.IssuerConfig{
			Issuer: issuerURL, Audience: []string{audience}, TTL: 1000 * time.Second, Keys: k,
			Now:  func() time.Time { return start.Add(900 * time.Millisecond) },
			Rand: bytes.NewReader(random),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, issued, err := issuer.Issue(t.Context(), claims)
		return issued, err
	}
	none := make([]byte, 24)
	most := append(make([]byte, 16), 0, 0, 0, 11, 0xa4, 0x3b, 0x74, 0) // 50 s in nanoseconds
	for _, c := range []struct {
		random []byte
		want   time.Duration
	}{{none, 1000 * time.Second}, {most, 950 * time.Second}} {
		issued, err := issue(c.random, userClaims())
		if err != nil {
			t.Fatal(err)
		}
		if life := issued.ExpiresAt.Sub(issued.IssuedAt); life != c.want || !issued.IssuedAt.Equal(start) {
			t.Errorf("lives %v from %v, want %v", life, issued.IssuedAt, c.want)
		}
	}

	early := userClaims()
	early.ExpiresAt = start.Add(time.Minute) // the session ends before the token would
	if issued, err := issue(none, early); err != nil || !issued.ExpiresAt.Equal(early.ExpiresAt) {
		t.Errorf("an earlier end: %v, %v", issued.ExpiresAt, err)
	}
	early.ExpiresAt = start
	if _, err := issue(none, early); !errors.Is(err, token.ErrClaims) {
		t.Errorf("an end in the past: %v", err)
	}
	if _, err := issue(none[:20], userClaims()); err == nil {
		t.Error("a token without enough randomness")
	}
}

// TestIssuedAtStaysBehindCutoff: a cut-off is rounded up, so a token made in its second must be stamped after it.
func TestIssuedAtStaysBehindCutoff(t *testing.T) {
	claims := userClaims()
	for _, c := range []struct{ given, want time.Duration }{
		{-time.Hour, 0}, {0, 0}, {time.Second, time.Second}, {20 * time.Second, 20 * time.Second},
	} {
		claims.IssuedAt = start.Add(c.given)
		_, issued, err := newIssuer(t, newKey(t, "EdDSA")).Issue(t.Context(), claims)
		if err != nil || !issued.IssuedAt.Equal(start.Add(c.want)) {
			t.Errorf("%v: iat %v, %v", c.given, issued.IssuedAt, err)
		}
	}
	claims.IssuedAt = start.Add(time.Hour)
	if _, _, err := newIssuer(t, newKey(t, "EdDSA")).Issue(t.Context(), claims); !errors.Is(err, token.ErrClaims) {
		t.Errorf("a cut-off beyond the token's life: %v", err)
	}
}

// TestIssuerRefusesWhatNoVerifierAccepts: the mistake shows where it was made.
func TestIssuerRefusesWhatNoVerifierAccepts(t *testing.T) {
	custom := func(name, value string) func(*token.Claims) {
		return func(c *token.Claims) { c.Custom = map[string]json.RawMessage{name: []byte(value)} }
	}
	for name, change := range map[string]func(*token.Claims){
		"no subject":        func(c *token.Claims) { c.Subject = "" },
		"no client":         func(c *token.Claims) { c.ClientID = "" },
		"long subject":      func(c *token.Claims) { c.Subject = strings.Repeat("a", 256) },
		"line break":        func(c *token.Claims) { c.Subject = "alice\r\nX-Auth-Roles: admin" },
		"empty role":        func(c *token.Claims) { c.Roles = []string{""} },
		"year 10000":        func(c *token.Claims) { c.AuthTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"registered custom": custom("exp", `99999999999`),
		"look-alike":        custom("Exp", `99999999999`),
		"confirmation":      custom("cnf", `{}`),
		"broken custom":     custom("plan", `{`),
		"twice in custom":   custom("plan", `{"a":1,"a":2}`),
		"too large":         custom("plan", `"`+strings.Repeat("a", 8000)+`"`),
	} {
		t.Run(name, func(t *testing.T) {
			claims := userClaims()
			change(&claims)
			raw, _, err := newIssuer(t, newKey(t, "EdDSA")).Issue(t.Context(), claims)
			if !errors.Is(err, token.ErrClaims) || errors.Is(err, token.ErrInvalid) || raw != "" {
				t.Errorf("have %q, %v", raw, err)
			}
		})
	}
}

// brokenSigner answers SigningKey with what the test wants.
type brokenSigner struct {
	oneKey
	err error
}

func (s brokenSigner) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return s.kid, s.alg, s.private, s.err
}

func TestIssuerNeedsAFittingKey(t *testing.T) {
	stale := errors.New("the view of the ring is too old")
	_, _, err := newIssuer(t, brokenSigner{newKey(t, "ES256"), stale}).Issue(t.Context(), userClaims())
	if !errors.Is(err, token.ErrUnavailable) || !errors.Is(err, stale) {
		t.Errorf("no key may sign: %v", err)
	}
	for name, change := range map[string]func(*oneKey){
		"key of another algorithm":  func(k *oneKey) { k.alg = "EdDSA" },
		"RSA key that is too short": func(k *oneKey) { *k = shortRSAKey(t) },
		"unknown algorithm":         func(k *oneKey) { k.alg = "HS256" },
		"kid that nobody accepts":   func(k *oneKey) { k.kid = "k\n1" },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKey(t, "ES256")
			change(&k)
			if _, _, err := newIssuer(t, k).Issue(t.Context(), userClaims()); err == nil || errors.Is(err, token.ErrInvalid) {
				t.Errorf("have %v", err)
			}
		})
	}
}

func TestIssuerConfigNamesEverySetting(t *testing.T) {
	_, err := token.NewIssuer(token.IssuerConfig{TTL: 1500 * time.Millisecond})
	for _, setting := range []string{"issuer:", "ttl 1.5s:", "keys:"} {
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%q is not named in: %v", setting, err)
		}
	}
}

func TestClaimsJSONRoundTrip(t *testing.T) {
	k := newKey(t, "EdDSA")
	claims := userClaims()
	claims.Audience = []string{"orders", "billing"}
	claims.Custom = map[string]json.RawMessage{"plan": []byte(`{"seats":3}`)}
	_, issued, err := newIssuer(t, k).Issue(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(issued)
	if err != nil {
		t.Fatal(err)
	}
	read := token.Claims{KeyID: k.kid}
	if err := json.Unmarshal(encoded, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(read)
	if err != nil || !bytes.Equal(again, encoded) || read.KeyID != k.kid {
		t.Errorf("wrote %s\nread  %s, %v", encoded, again, err)
	}
	err = json.Unmarshal([]byte(`{"sub":"alice"}`), &read)
	if !errors.Is(err, token.ErrMalformed) || read.Subject == "alice" {
		t.Errorf("incomplete claims: %v, %v", err, read)
	}
	only, err := json.Marshal(token.Claims{Custom: claims.Custom})
	if _, err := json.Marshal(token.Claims{Custom: map[string]json.RawMessage{"Exp": []byte(`1`)}}); err == nil {
		t.Error("a custom claim that looks like exp was written")
	}
	if err != nil || string(only) != `{"plan":{"seats":3}}` {
		t.Errorf("custom claims alone: %s, %v", only, err)
	}
}
