package token_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

const (
	thumbprint      = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	otherThumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
)

func issueBound(t *testing.T, k oneKey) string {
	t.Helper()
	claims := userClaims()
	claims.KeyThumbprint = thumbprint
	raw, issued, err := newIssuer(t, k).Issue(t.Context(), claims)
	if err != nil || issued.KeyThumbprint != thumbprint {
		t.Fatalf("issued for key %q, %v", issued.KeyThumbprint, err)
	}
	return raw
}

// RFC 9449 section 6: a bound token is no bearer token, seen before or not, and good with a proof of its own key only.
func TestBoundTokens(t *testing.T) {
	k := newKey(t, "ES256")
	bound, bearer := issueBound(t, k), issue(t, k)
	v := newVerifier(t, k)
	for range 2 {
		if _, err := v.Verify(t.Context(), bound); !errors.Is(err, token.ErrBound) || !errors.Is(err, token.ErrInvalid) {
			t.Errorf("bound, as a bearer token: %v", err)
		}
		if _, err := v.VerifyWith(t.Context(), bound, checker{}); !errors.Is(err, token.ErrBound) {
			t.Errorf("bound, as a bearer token, with another checker: %v", err)
		}
		for _, other := range []string{otherThumbprint, "", thumbprint + "A", strings.ToLower(thumbprint)} {
			if _, err := v.VerifyBound(t.Context(), bound, other, checker{}); !errors.Is(err, token.ErrOtherKey) || !errors.Is(err, token.ErrInvalid) {
				t.Errorf("with a proof of %q: %v", other, err)
			}
		}
		for _, other := range []string{thumbprint, ""} {
			if _, err := v.VerifyBound(t.Context(), bearer, other, checker{}); !errors.Is(err, token.ErrNotBound) || !errors.Is(err, token.ErrInvalid) {
				t.Errorf("a bearer token with a proof of %q: %v", other, err)
			}
		}
		c, err := v.VerifyBound(t.Context(), bound, thumbprint, checker{})
		if err != nil || c.KeyThumbprint != thumbprint {
			t.Errorf("with a proof: %+v, %v", c, err)
		}
		if _, err := v.VerifyBound(t.Context(), bound, thumbprint, checker{revocation.ErrRevoked}); !errors.Is(err, token.ErrRevoked) {
			t.Errorf("revoked: %v", err)
		}
		for _, raw := range []string{bound, bearer} {
			if _, err := v.VerifyUnproved(t.Context(), raw, checker{}); err != nil {
				t.Errorf("unproved: %v", err)
			}
			if _, err := v.VerifyUnproved(t.Context(), raw, checker{revocation.ErrRevoked}); !errors.Is(err, token.ErrRevoked) {
				t.Errorf("unproved and revoked: %v", err)
			}
		}
	}
}

// Whoever is bound by other means, or by more than a key, is refused altogether: nobody would check it.
func TestOtherConfirmationsAreRefused(t *testing.T) {
	jkt := `"jkt":"` + thumbprint + `"`
	for _, cnf := range []string{
		`{}`, `null`, `"` + thumbprint + `"`, `[]`, `{"jkt":""}`, `{"jkt":null}`, `{"jkt":1}`, `{"JKT":"` + thumbprint + `"}`,
		`{"jkt":"` + thumbprint + `A"}`, `{"jkt":"` + thumbprint[:42] + `"}`, `{"jkt":"` + thumbprint[:42] + `J"}`,
		`{` + jkt + `,` + jkt + `}`, `{` + jkt + `,"kid":"a"}`, `{"x5t#S256":"` + thumbprint + `",` + jkt + `}`, `{"jwk":{}}`,
	} {
		k := newKey(t, "EdDSA")
		raw := k.sign(t, goodHeader(k), goodClaims().and("cnf", cnf))
		v := newVerifier(t, k)
		if _, err := v.VerifyUnproved(t.Context(), raw, checker{}); !errors.Is(err, token.ErrMalformed) {
			t.Errorf("cnf %s: %v", cnf, err)
		}
	}
	claims := userClaims()
	claims.KeyThumbprint = "abc"
	if _, _, err := newIssuer(t, newKey(t, "EdDSA")).Issue(t.Context(), claims); !errors.Is(err, token.ErrClaims) {
		t.Errorf("issued with a thumbprint that is none: %v", err)
	}
	if text, err := json.Marshal(token.Claims{KeyThumbprint: thumbprint}); err != nil || string(text) != `{"cnf":{`+jkt+`}}` {
		t.Errorf("encoded as %s, %v", text, err)
	}
}
