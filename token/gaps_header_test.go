package token_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// The tests named TestG… close what golang-jwt leaves open when all its options are set. Each hostile token has a good
// signature, and each test shows that golang-jwt accepts it.

// RFC 7515 section 4.1.11: a recipient that does not understand an extension in crit must refuse the token. RFC 7797
// section 6: b64 must be in crit.
func TestG01CritIsRefused(t *testing.T) {
	k := newKey(t, "ES256")
	for name, header := range map[string]object{
		"unknown extension":  goodHeader(k).and("crit", `["x-bound"]`).and("x-bound", `true`),
		"registered name":    goodHeader(k).and("crit", `["alg"]`),
		"extension not sent": goodHeader(k).and("crit", `["x-bound"]`),
		"empty":              goodHeader(k).and("crit", `[]`),
		"not a list":         goodHeader(k).and("crit", `"exp"`),
		"null":               goodHeader(k).and("crit", `null`),
		"unencoded payload":  goodHeader(k).and("crit", `["b64"]`).and("b64", `false`),
		"b64 alone":          goodHeader(k).and("b64", `true`),
	} {
		t.Run(name, func(t *testing.T) {
			raw := k.sign(t, header, goodClaims())
			refuse(t, k, raw, token.ErrMalformed)
			peerAccepts(t, k, raw, jwt.MapClaims{})
		})
	}
}

// RFC 7515 sections 2 and 5.2: base64url without line breaks, white space or other characters.
func TestG02OnlyTheAlphabet(t *testing.T) {
	k := newKey(t, "ES256")
	raw := k.sign(t, goodHeader(k), goodClaims())
	cut := strings.LastIndexByte(raw, '.') + 1
	for name, hostile := range map[string]string{
		"LF in the signature":      raw[:cut+9] + "\n" + raw[cut+9:],
		"CR in the signature":      raw[:cut+9] + "\r" + raw[cut+9:],
		"before the signature":     raw[:cut] + "\r\n" + raw[cut:],
		"after the signature":      raw + "\n",
		"many after the signature": raw + strings.Repeat("\r\n", 100),
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, k, hostile, token.ErrMalformed)
			peerAccepts(t, k, hostile, jwt.MapClaims{})
		})
	}
	for name, hostile := range map[string]string{
		"LF in the header":  raw[:9] + "\n" + raw[9:],
		"space":             " " + raw,
		"padding":           raw + "==",
		"standard alphabet": raw[:cut] + "+/" + raw[cut+2:],
		"NUL":               raw + "\x00",
		"four parts":        raw + ".",
		"two parts":         raw[:cut-1],
		"one part":          strings.ReplaceAll(raw, ".", ""),
		"empty":             "",
		"JSON form":         `{"payload":"","signatures":[]}`,
		"spare bits set":    raw[:len(raw)-1] + string(nextLetter(raw[len(raw)-1])),
	} {
		t.Run(name, func(t *testing.T) { refuse(t, k, hostile, token.ErrMalformed) })
	}
}

// nextLetter is the letter whose value is one more. The last one of a 64-byte signature has four spare bits, all zero.
func nextLetter(c byte) byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return letters[strings.IndexByte(letters, c)+1]
}

// RFC 9068 section 4 and RFC 8725 section 3.11: typ keeps other kinds of JWT from standing in for an access token.
func TestG08TypIsCompared(t *testing.T) {
	k := newKey(t, "ES256")
	for name, header := range map[string]object{
		"absent":          goodHeader(k).without("typ"),
		"JWT":             goodHeader(k).with("typ", `"JWT"`),
		"refresh token":   goodHeader(k).with("typ", `"refresh+jwt"`),
		"logout token":    goodHeader(k).with("typ", `"logout+jwt"`),
		"suffix":          goodHeader(k).with("typ", `"at+jwt2"`),
		"other top level": goodHeader(k).with("typ", `"text/at+jwt"`),
		"not a string":    goodHeader(k).with("typ", `["at+jwt"]`),
	} {
		t.Run(name, func(t *testing.T) {
			raw := k.sign(t, header, goodClaims())
			refuse(t, k, raw, token.ErrMalformed)
			peerAccepts(t, k, raw, jwt.MapClaims{})
		})
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"} {
		t.Run(typ, func(t *testing.T) {
			raw := k.sign(t, goodHeader(k).with("typ", quote(typ)), goodClaims())
			if _, err := newVerifier(t, k).Verify(t.Context(), raw); err != nil {
				t.Errorf("RFC 7515 section 4.1.9: %v", err)
			}
		})
	}
}

// RFC 7516 section 9 and RFC 7519 section 5.2: these belong to encrypted and nested tokens.
func TestG12EncryptionAndNestingAreRefused(t *testing.T) {
	k := newKey(t, "ES256")
	for name, header := range map[string]object{
		"enc": goodHeader(k).and("enc", `"A256GCM"`),
		"zip": goodHeader(k).and("zip", `"DEF"`),
		"cty": goodHeader(k).and("cty", `"JWT"`),
	} {
		t.Run(name, func(t *testing.T) {
			raw := k.sign(t, header, goodClaims())
			refuse(t, k, raw, token.ErrMalformed)
			peerAccepts(t, k, raw, jwt.MapClaims{})
		})
	}
}

// An ECDSA signature has a twin, (r, n-s). No RFC forbids it, so revocation must not go by a token's text.
func TestG14SignatureTwinIsRevokedToo(t *testing.T) {
	k := newKey(t, "ES256")
	raw := issue(t, k)
	twin := twinOf(t, raw)
	if twin == raw {
		t.Fatal("the twin is the same token")
	}
	peerAccepts(t, k, twin, jwt.MapClaims{})

	claims, err := newVerifier(t, k).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	id := revocation.IDOf(revocation.Token, claims.ID)
	verifier := newVerifier(t, k, func(c *token.VerifierConfig) { c.Revocations = revokedToken(id) })
	for _, spelling := range []string{raw, twin, raw, twin} { // new, then seen
		if _, err := verifier.Verify(t.Context(), spelling); !errors.Is(err, token.ErrRevoked) {
			t.Errorf("want revoked, have %v", err)
		}
	}
}

func twinOf(t *testing.T, raw string) string {
	t.Helper()
	cut := strings.LastIndexByte(raw, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(raw[cut:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return raw[:cut] + base64.RawURLEncoding.EncodeToString(signature)
}

// RFC 7518 section 3.5 fixes the salt length of PS256, which golang-jwt does not check: PSS is not accepted at all.
func TestG15PSSIsRefused(t *testing.T) {
	k := newKey(t, "RS256")
	shortSalt := &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256},
	}
	raw := k.signAs(t, shortSalt, goodHeader(k).with("alg", `"PS256"`), goodClaims())
	refuse(t, k, raw, token.ErrSignature)
	k.alg = "PS256"
	peerAccepts(t, k, raw, jwt.MapClaims{})

	_, err := token.NewVerifier(token.VerifierConfig{Algorithms: []string{"ES256", "PS256"}})
	if err == nil || !strings.Contains(err.Error(), `"PS256" is not one of`) {
		t.Errorf("PS256 in the allow-list: %v", err)
	}
}

// RFC 8725 section 3.1: one key for one algorithm, found by kid; no key is tried that the token does not name.
func TestG18OneKeyByKidAndAlg(t *testing.T) {
	k := newKey(t, "ES256")
	anyKey := func(*jwt.Token) (any, error) {
		return jwt.VerificationKeySet{Keys: []jwt.VerificationKey{newKey(t, "ES256").public, k.public}}, nil
	}
	for name, c := range map[string]struct {
		header object
		want   error
	}{
		"unknown kid":    {goodHeader(k).with("kid", `"k2"`), token.ErrUnknownKey},
		"no kid":         {goodHeader(k).without("kid"), token.ErrMalformed},
		"kid is number":  {goodHeader(k).with("kid", `1`), token.ErrMalformed},
		"kid with LF":    {goodHeader(k).with("kid", `"k1\n"`), token.ErrMalformed},
		"kid with space": {goodHeader(k).with("kid", `"k 1"`), token.ErrMalformed},
		"long kid":       {goodHeader(k).with("kid", quote(strings.Repeat("k", 200))), token.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			raw := k.sign(t, c.header, goodClaims())
			refuse(t, k, raw, c.want)
			if _, err := jwt.Parse(raw, anyKey); err != nil && !errors.Is(err, jwt.ErrTokenExpired) {
				t.Errorf("golang-jwt refuses it too, so the case proves nothing: %v", err)
			}
		})
	}
	t.Run("key of another algorithm", func(t *testing.T) {
		wrong := k
		wrong.public = newKey(t, "EdDSA").public // a key source that does not look at alg
		refuse(t, wrong, k.sign(t, goodHeader(k), goodClaims()), token.ErrUnknownKey)
	})
	t.Run("key of another curve", func(t *testing.T) {
		wrong, other := k, ecdsaKey(t, elliptic.P384())
		wrong.public = other.Public()
		refuse(t, wrong, k.sign(t, goodHeader(k), goodClaims()), token.ErrUnknownKey)
	})
	t.Run("RSA key that is too short", func(t *testing.T) {
		short := shortRSAKey(t)
		refuse(t, short, short.sign(t, goodHeader(short), goodClaims()), token.ErrUnknownKey)
	})
	t.Run("the key that the token brings along", func(t *testing.T) {
		other := newKey(t, "ES256") // its signature would be good by any of these
		header := goodHeader(k).and("jwk", `{"kty":"EC"}`).and("jku", `"https://evil.example/jwks"`).
			and("x5u", `"https://evil.example/cert"`).and("x5c", `["MIIB"]`)
		refuse(t, k, other.sign(t, header, goodClaims()), token.ErrSignature)
		if _, err := newVerifier(t, k).Verify(t.Context(), k.sign(t, header, goodClaims())); err != nil {
			t.Errorf("they are ignored, not refused: %v", err)
		}
	})
}
