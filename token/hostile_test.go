package token_test

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/authd-project/authd/token"
)

// object is a JSON object that keeps the order of its members, and duplicates. Values are JSON texts.
type object []struct{ name, value string }

// String writes names and values as they are.
func (o object) String() string {
	members := make([]string, len(o))
	for i, m := range o {
		members[i] = `"` + m.name + `":` + m.value
	}
	return "{" + strings.Join(members, ",") + "}"
}

// with sets a member, at the end if it is new.
func (o object) with(name, value string) object {
	for i, m := range o {
		if m.name == name {
			changed := append(object{}, o...)
			changed[i].value = value
			return changed
		}
	}
	return o.and(name, value)
}

// and appends a member even when there is one of that name.
func (o object) and(name, value string) object {
	return append(append(object{}, o...), struct{ name, value string }{name, value})
}

func (o object) without(name string) object {
	var rest object
	for _, m := range o {
		if m.name != name {
			rest = append(rest, m)
		}
	}
	return rest
}

// rename gives a member another name.
func (o object) rename(from, to string) object {
	changed := append(object{}, o...)
	for i := range changed {
		if changed[i].name == from {
			changed[i].name = to
		}
	}
	return changed
}

func goodHeader(k oneKey) object {
	return object{}.and("alg", quote(k.alg)).and("kid", quote(k.kid)).and("typ", `"at+jwt"`)
}

// goodClaims are those of a token issued at start, as short as they may be.
func goodClaims() object {
	return object{}.and("iss", quote(issuerURL)).and("sub", `"alice"`).and("aud", quote(audience)).
		and("exp", seconds(10*time.Minute)).and("iat", seconds(0)).and("jti", `"3q2-7wAAAAAAAAAAAAAAAA"`).
		and("client_id", `"web"`)
}

func quote(s string) string { return `"` + s + `"` }

// seconds is a NumericDate relative to start.
func seconds(after time.Duration) string { return fmt.Sprint(start.Add(after).Unix()) }

// encode is base64url without padding.
func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign makes a token of any two texts with a good signature: hostile tokens must fail for what they say.
func (k oneKey) sign(tb testing.TB, header, claims fmt.Stringer) string {
	tb.Helper()
	return k.signAs(tb, jwt.GetSigningMethod(k.alg), header, claims)
}

func (k oneKey) signAs(tb testing.TB, method jwt.SigningMethod, header, claims fmt.Stringer) string {
	tb.Helper()
	signing := encode(header.String()) + "." + encode(claims.String())
	signature, err := method.Sign(signing, k.private)
	if err != nil {
		tb.Fatal(err)
	}
	return signing + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// text is any text where a JSON object is expected.
type text string

func (t text) String() string { return string(t) }

// refuse wants raw refused with exactly one of the package's errors.
func refuse(t *testing.T, k oneKey, raw string, want error) {
	t.Helper()
	claims, err := newVerifier(t, k).Verify(t.Context(), raw)
	if !errors.Is(err, want) || !errors.Is(err, token.ErrInvalid) {
		t.Errorf("want %q, have %v", want, err)
	}
	if claims != nil {
		t.Error("refused, but with claims")
	}
	sameVerdict(t, newVerifier(t, k), raw, err)
	for _, part := range strings.Split(raw, ".") {
		if err != nil && len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("the error quotes the token: %v", err)
		}
	}
}

// peerAccepts proves that a hostile token bites: golang-jwt takes it with every option set that it has, and a key
// function that wants the known kid and the key's own alg.
func peerAccepts(t *testing.T, k oneKey, raw string, into jwt.Claims, more ...jwt.ParserOption) {
	t.Helper()
	options := append([]jwt.ParserOption{
		jwt.WithValidMethods([]string{k.alg}), jwt.WithIssuer(issuerURL), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
		jwt.WithLeeway(30 * time.Second), jwt.WithTimeFunc(func() time.Time { return start }),
	}, more...)
	_, err := jwt.ParseWithClaims(raw, into, k.peerKey, options...)
	if err != nil {
		t.Errorf("golang-jwt refuses it too, so the case proves nothing: %v", err)
	}
}

func (k oneKey) peerKey(t *jwt.Token) (any, error) {
	if t.Header["kid"] != k.kid || t.Method.Alg() != k.alg {
		return nil, errors.New("unknown key")
	}
	return crypto.PublicKey(k.public), nil
}
