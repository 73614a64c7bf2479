package token_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/token"
)

func TestInspectUnverified(t *testing.T) {
	k := newKey(t, "ES256")
	header, claims := goodHeader(k), goodClaims().with("exp", `0`)
	raw := k.sign(t, header, claims)
	cut := strings.LastIndexByte(raw, '.') + 1
	for name, given := range map[string]string{
		"good signature": raw, "bad signature": raw[:cut+8] + "AAAA" + raw[cut+12:], "no signature": raw[:cut],
		"pasted": " " + raw + "\n",
	} {
		seen, err := token.InspectUnverified(given)
		if err != nil || seen.Defect != nil {
			t.Errorf("%s: defect %v, %v", name, seen.Defect, err)
		}
		if string(seen.Header) != header.String() || string(seen.Claims) != claims.String() {
			t.Errorf("%s: shows %s %s", name, seen.Header, seen.Claims)
		}
	}
	for name, c := range map[string]struct {
		header, claims object
		want           error
	}{
		"typ":    {header.with("typ", `"JWT"`), claims, token.ErrMalformed},
		"alg":    {header.with("alg", `"none"`), claims, token.ErrSignature},
		"claims": {header, claims.without("jti"), token.ErrMalformed},
	} {
		seen, err := token.InspectUnverified(k.sign(t, c.header, c.claims))
		if err != nil || !errors.Is(seen.Defect, c.want) || string(seen.Claims) != c.claims.String() {
			t.Errorf("%s: %s, defect %v, %v", name, seen.Claims, seen.Defect, err)
		}
	}
	for _, given := range []string{
		"", "authd_rt_AAAA", raw[:20], raw + ".AAAA", strings.Repeat("a", 9000), encode(`{}`) + "." + encode(`[]`) + ".",
		encode(`{`) + "." + encode(`{}`) + ".", encode(`"{"`) + "." + encode(`{}`) + ".",
	} {
		if seen, err := token.InspectUnverified(given); !errors.Is(err, token.ErrMalformed) || seen.Header != nil {
			t.Errorf("%.20q: %s, %v", given, seen.Header, err)
		}
	}
}
