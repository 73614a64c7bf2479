package token_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// answers are all that a verifier may say.
func answers() []error {
	return []error{
		token.ErrInvalid, token.ErrMalformed, token.ErrSignature, token.ErrUnknownKey, token.ErrExpired, token.ErrNotYetValid,
		token.ErrIssuer, token.ErrAudience, token.ErrBound, token.ErrRevoked, token.ErrUnavailable, revocation.ErrUnavailable,
	}
}

// sameVerdict wants v to explain what it, or one like it, has answered about a token that it had not seen.
func sameVerdict(t interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
}, v *token.Verifier, raw string, answered error) {
	t.Helper()
	verdict := v.Explain(t.Context(), raw).Verdict()
	same := fmt.Sprint(verdict) == fmt.Sprint(answered)
	for _, is := range answers() {
		same = same && errors.Is(verdict, is) == errors.Is(answered, is)
	}
	if !same {
		t.Errorf("Verify answered %v, which is explained as %v", answered, verdict)
	}
}

// outcomes lists which checks did not pass, each with a sign: - failed, ? unavailable, . not reached.
func outcomes(e token.Explanation) string {
	var list []string
	for _, f := range e.Findings {
		switch {
		case !f.Reached:
			list = append(list, "."+string(f.Check))
		case f.Err == nil:
		case errors.Is(f.Err, token.ErrInvalid):
			list = append(list, "-"+string(f.Check))
		default:
			list = append(list, "?"+string(f.Check))
		}
	}
	return strings.Join(list, " ")
}

// noKeys cannot tell.
type noKeys struct{}

func (noKeys) VerificationKey(context.Context, string, string) (crypto.PublicKey, bool, error) {
	return nil, false, errors.New("no answer")
}

// Every check fails in some case, and what can be said beyond it is said.
func TestExplain(t *testing.T) {
	k := newKey(t, "ES256")
	header, claims := goodHeader(k), goodClaims()
	good := k.sign(t, header, claims)
	cut := strings.LastIndexByte(good, '.') + 1
	const behindForm = ".header .algorithm .key .signature .claims .expiry .start .issuer .audience .life .binding .revocation"
	revoked := func(c *token.VerifierConfig) { c.Revocations = checker{revocation.ErrRevoked} }
	for name, tt := range map[string]struct {
		raw    string
		change func(*token.VerifierConfig)
		want   string
	}{
		"good":           {good, nil, ""},
		"size":           {good + strings.Repeat("a", 8<<10), nil, "-size .form " + behindForm},
		"garbage":        {"garbage", nil, "-form " + behindForm},
		"empty":          {"", nil, "-form " + behindForm},
		"line break":     {good + "\n", nil, "-form " + behindForm},
		"four parts":     {good + ".AAAA", nil, "-form " + behindForm},
		"typ":            {k.sign(t, header.with("typ", `"JWT"`), claims), nil, "-header"},
		"header encoded": {"{}." + good[strings.IndexByte(good, '.')+1:], nil, "-header .algorithm .key .signature"},
		"algorithm":      {k.sign(t, header.with("alg", `"none"`), claims), nil, "-algorithm .key .signature"},
		"not listed": {good, func(c *token.VerifierConfig) { c.Algorithms = []string{"RS256"} },
			"-algorithm .key .signature"},
		"key":          {k.sign(t, header.with("kid", `"k2"`), claims), nil, "-key .signature"},
		"no keys":      {good, func(c *token.VerifierConfig) { c.Keys = noKeys{} }, "?key .signature"},
		"signature":    {good[:cut+8] + "AAAA" + good[cut+12:], nil, "-signature"},
		"no signature": {good[:cut], nil, "-signature"},
		"claims":       {k.sign(t, header, claims.without("jti")), nil, "-claims .binding"},
		"no dates":     {k.sign(t, header, claims.without("exp").without("iat")), nil, "-claims .expiry .start .life .binding .revocation"},
		"no object":    {k.sign(t, header, text(`[]`)), nil, "-claims .expiry .start .issuer .audience .life .binding .revocation"},
		"expiry":       {k.sign(t, header, claims.with("iat", seconds(-time.Hour)).with("exp", seconds(-31*time.Second))), nil, "-expiry"},
		"iat":          {k.sign(t, header, claims.with("iat", seconds(31*time.Second))), nil, "-start"},
		"nbf":          {k.sign(t, header, claims.with("nbf", seconds(31*time.Second))), nil, "-start"},
		"issuer":       {k.sign(t, header, claims.with("iss", `"https://evil.example"`)), nil, "-issuer"},
		"audience":     {k.sign(t, header, claims.with("aud", `["billing"]`)), nil, "-audience"},
		"life":         {k.sign(t, header, claims.with("exp", seconds(25*time.Hour))), nil, "-life"},
		"no life":      {k.sign(t, header, claims.with("exp", seconds(0))), nil, "-life"},
		"binding":      {k.sign(t, header, claims.and("cnf", `{"jkt":"`+strings.Repeat("A", 43)+`"}`)), nil, "-binding"},
		"revoked":      {good, revoked, "-revocation"},
		"no mirror": {good, func(c *token.VerifierConfig) { c.Revocations = checker{revocation.ErrUnavailable} },
			"?revocation"},
		"expired and revoked": {k.sign(t, header, claims.with("iat", seconds(-time.Hour)).with("exp", seconds(-time.Minute))),
			revoked, "-expiry -revocation"},
		"another issuer's": {k.sign(t, header.with("typ", `"JWT"`).with("kid", `"google-1"`),
			claims.with("iss", `"https://accounts.google.com"`).with("aud", `"their-client"`).without("client_id")), nil,
			"-header -key .signature -claims -issuer -audience .binding"},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*token.VerifierConfig)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			v := newVerifier(t, k, change...)
			e := v.Explain(t.Context(), tt.raw)
			if have := outcomes(e); have != tt.want {
				t.Errorf("have %q, want %q", have, tt.want)
			}
			if e.Authentic == strings.Contains(tt.want, "signature") {
				t.Errorf("authentic: %v", e.Authentic)
			}
			_, err := v.Verify(t.Context(), tt.raw)
			sameVerdict(t, v, tt.raw, err)
			if !e.At.Equal(start) || e.Size != len(tt.raw) || len(e.Findings) != len(token.Checks()) {
				t.Errorf("at %v, %d bytes, %d findings", e.At, e.Size, len(e.Findings))
			}
		})
	}
}

// What an explanation holds may be shown to anybody who may know what a token says, but cannot be used as one.
func TestExplanationHoldsNoToken(t *testing.T) {
	k := newKey(t, "ES256")
	raw := issue(t, k)
	e := newVerifier(t, k).Explain(t.Context(), raw)
	printed := fmt.Sprintf("%+v %+v", e, *e.Claims)
	for _, part := range strings.Split(raw, ".") {
		if strings.Contains(printed, part) {
			t.Errorf("the explanation holds a part of the token: %s", printed)
		}
	}
	if e.KeyID != k.kid || e.Algorithm != k.alg || e.Claims.Subject != userClaims().Subject || e.Claims.KeyID != k.kid {
		t.Errorf("explained as %s", printed)
	}
	want := revocation.IDOf(revocation.Session, e.Claims.SessionID)
	if e.RevocationIDs.Session != want || e.RevocationIDs.Key != revocation.IDOf(revocation.Key, k.kid) {
		t.Errorf("revoked by %+v", e.RevocationIDs)
	}
}

// Whatever is wrong with a token, or several things at once: what is explained is what Verify answers, as both make the
// same checks.
func TestExplainAgreesWithVerify(t *testing.T) {
	k := newKey(t, "EdDSA")
	changes := map[string][]string{ // a value of "" leaves the member out
		"alg": {`"none"`, `"ES256"`, `"HS256"`, `7`, ""}, "kid": {`"k2"`, `""`, `"a b"`, ""}, "typ": {`"JWT"`, `"AT+JWT"`, `null`, ""},
		"crit": {`["exp"]`}, "jku": {`"https://evil.example"`},
		"iss": {`"https://evil.example"`, `[]`, ""}, "aud": {`[]`, `["billing"]`, `["billing","orders"]`, `1`, ""},
		"exp": {seconds(-time.Hour), seconds(-30 * time.Second), seconds(48 * time.Hour), `-1`, `"x"`, ""},
		"iat": {seconds(time.Hour), seconds(-time.Hour), seconds(10 * time.Minute), `1e99`, ""},
		"nbf": {seconds(time.Hour), seconds(30 * time.Second), `null`}, "sub": {`"\u0000"`, `""`, ""}, "jti": {`1`, ""},
		"cnf": {`{"jkt":"` + strings.Repeat("A", 43) + `"}`, `{"jkt":"x"}`, `{}`},
		"sid": {`"s"`}, "client_id": {""}, "Exp": {`1`}, "x": {`[[[]]]`},
	}
	var names []string
	for name := range changes {
		names = append(names, name)
	}
	slices.Sort(names)
	headers := []string{"alg", "kid", "typ", "crit", "jku"}
	rapid.Check(t, func(rt *rapid.T) {
		header, claims := goodHeader(k), goodClaims()
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(rt, "members") {
			part := &claims
			if slices.Contains(headers, name) {
				part = &header
			}
			if value := rapid.SampledFrom(changes[name]).Draw(rt, name); value == "" {
				*part = part.without(name)
			} else {
				*part = part.with(name, value)
			}
		}
		raw := k.sign(t, header, claims)
		if rapid.IntRange(0, 3).Draw(rt, "spoilt") == 0 {
			i := rapid.IntRange(0, len(raw)-1).Draw(rt, "at")
			raw = raw[:i] + string(rapid.SampledFrom([]rune("Aw-_.=+/ \n\x00é")).Draw(rt, "by")) + raw[i+1:]
		}
		answer := rapid.SampledFrom([]error{nil, revocation.ErrRevoked, revocation.ErrUnavailable}).Draw(rt, "revocations")
		v := newVerifier(t, k, func(c *token.VerifierConfig) { c.Revocations = checker{answer} })
		_, err := v.Verify(rt.Context(), raw)
		sameVerdict(rt, v, raw, err)
		if _, again := v.Verify(rt.Context(), raw); (again == nil) != (err == nil) {
			rt.Errorf("explaining changed the answer from %v to %v", err, again)
		}
	})
}

// A claims set that says nothing wrong is explained in full, custom claims too.
func TestExplainShowsWhatVerifyReturns(t *testing.T) {
	k := newKey(t, "ES256")
	raw := k.sign(t, goodHeader(k), goodClaims().and("plan", `{"seats":3}`))
	v := newVerifier(t, k)
	claims, err := v.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	want, err1 := json.Marshal(claims)
	have, err2 := json.Marshal(v.Explain(t.Context(), raw).Claims)
	if err := errors.Join(err1, err2); err != nil || string(have) != string(want) {
		t.Errorf("have %s, want %s, %v", have, want, err)
	}
}
