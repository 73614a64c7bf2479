package token

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/authd-project/authd/revocation"
)

const (
	fuzzHeader = `{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}`
	fuzzClaims = `{"iss":"https://auth.example.com","sub":"alice","aud":["orders","billing"],"exp":1772367000,` +
		`"iat":1772366400,"nbf":1772366400,"auth_time":1772366400.5,"jti":"3q2-7wAAAAAAAAAAAAAAAA",` +
		`"sid":"Yk7xCu3nWUmCk0dmWBE0qQ","client_id":"web","scope":"a b","amr":["pwd"],"acr":"1","roles":["x"],` +
		`"plan":{"seats":[3,null,true,"\u00e9\ud83d\ude00"]}}`
)

// fuzzKeys is one Ed25519 key, always the same, so that a corpus of signed tokens keeps its meaning.
func fuzzKeys() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("authd fuzz key, known to anybody"))
}

// VerificationKey knows one key for every name, so that the fuzzer need not guess.
func (k fixedKeys) VerificationKey(_ context.Context, _, alg string) (crypto.PublicKey, bool, error) {
	return k.public, alg == "EdDSA", nil
}

type fixedKeys struct{ public crypto.PublicKey }

// nothingRevoked accepts what has come so far.
type nothingRevoked struct{}

func (nothingRevoked) Check(context.Context, revocation.Claims) error { return nil }

// FuzzVerify: whatever comes in, nothing breaks, every refusal is typed, and what is accepted go-jose verifies with
// the same key.
func FuzzVerify(f *testing.F) {
	private := fuzzKeys()
	signed := func(header, claims string) string {
		signing := base64url.EncodeToString([]byte(header)) + "." + base64url.EncodeToString([]byte(claims))
		return signing + "." + base64url.EncodeToString(ed25519.Sign(private, []byte(signing)))
	}
	good := signed(fuzzHeader, fuzzClaims)
	f.Add(good)
	f.Add(signed(fuzzHeader, `{}`))
	f.Add(signed(`{"alg":"none"}`, fuzzClaims))
	f.Add(good[:strings.LastIndexByte(good, '.')+1])
	f.Add("..")
	verifier, err := NewVerifier(VerifierConfig{
		Issuer: "https://auth.example.com", Audience: []string{"orders"}, Keys: fixedKeys{private.Public()},
		Revocations: nothingRevoked{}, Now: func() time.Time { return time.Unix(1772366400, 0) },
	})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := verifier.Verify(f.Context(), good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := verifier.Verify(t.Context(), raw)
		if err != nil {
			if !errors.Is(err, ErrInvalid) || claims != nil {
				t.Fatalf("refused with %v and claims %v", err, claims)
			}
			return
		}
		peer, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.EdDSA})
		if err != nil {
			t.Fatalf("accepted what go-jose cannot parse: %v", err)
		}
		if _, err := peer.Verify(private.Public()); err != nil {
			t.Fatalf("accepted what nobody signed: %v", err)
		}
	})
}

// laxPeer are the reasons for which a token is refused here that go-jose reads. All others must be errors there too.
var laxPeer = []reason{
	badUnicode,    // go-jose replaces what is no Unicode by U+FFFD
	tooDeep,       // its bound is 10,000
	duplicate,     // it refuses them only where it decodes into a struct or a map
	lookAlike,     // it ignores them
	wrongType,     // it takes null for everything, and knows no types of claims it was not asked for
	outOfRange,    // it takes every date, and every number it was not asked for
	empty,         // the profile
	tooLong,       // the profile
	controlChar,   // the profile
	missing,       // the profile
	unsupported,   // it looks at crit when it verifies
	wrongTyp,      // the profile
	badKeyID,      // the profile
	badThumbprint, // the profile
}

// joseClaims are the same claims as go-jose reads them.
type joseClaims struct {
	Issuer    string               `json:"iss"`
	Subject   string               `json:"sub"`
	Audience  josejwt.Audience     `json:"aud"`
	ExpiresAt *josejwt.NumericDate `json:"exp"`
	IssuedAt  *josejwt.NumericDate `json:"iat"`
	NotBefore *josejwt.NumericDate `json:"nbf"`
	AuthTime  *josejwt.NumericDate `json:"auth_time"`
	ID        string               `json:"jti"`
	SessionID string               `json:"sid"`
	ClientID  string               `json:"client_id"`
	Scope     string               `json:"scope"`
	AMR       []string             `json:"amr"`
	ACR       string               `json:"acr"`
	Roles     []string             `json:"roles"`
}

// FuzzDecode compares both decoders with go-jose's: what is accepted here reads the same there, and what is refused
// here but not there is refused for a reason of laxPeer.
func FuzzDecode(f *testing.F) {
	f.Add(fuzzHeader, fuzzClaims)
	f.Fuzz(func(t *testing.T, headerText, claimsText string) {
		compareHeader(t, headerText)
		compareClaims(t, claimsText)
	})
}

// hasParsedByPeer tells whether a header has a parameter that is ignored here whatever it holds, as RFC 7515 section 4
// has a reader do with what it does not understand, and of which go-jose refuses malformed values.
func hasParsedByPeer(headerText string) bool {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(headerText), &all) != nil {
		return false
	}
	return all["jwk"] != nil || all["x5c"] != nil || all["nonce"] != nil
}

func compareHeader(t *testing.T, headerText string) {
	t.Helper()
	mine, err := decodeHeader(headerText)
	algs := []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256, jose.SignatureAlgorithm(mine.alg)}
	raw := base64url.EncodeToString([]byte(headerText)) + "." + base64url.EncodeToString([]byte(`{}`)) + ".AAAA"
	peer, peerErr := jose.ParseSignedCompact(raw, algs)
	if err == nil && peerErr != nil && hasParsedByPeer(headerText) {
		return
	}
	if !bothAccept(t, err, peerErr, headerText) {
		return
	}
	theirs := peer.Signatures[0].Protected
	typ, _ := theirs.ExtraHeaders[jose.HeaderType].(string)
	if mine.alg != theirs.Algorithm || mine.kid != theirs.KeyID || !isAccessTokenType(typ) {
		t.Fatalf("header %q\nhere  %+v\nthere %+v", headerText, mine, theirs)
	}
}

func compareClaims(t *testing.T, claimsText string) {
	t.Helper()
	var (
		mine   Claims
		theirs joseClaims
		all    map[string]any
	)
	err := decodeClaims(claimsText, &mine, nil)
	peerErr := errors.Join(josejson.Unmarshal([]byte(claimsText), &theirs), josejson.Unmarshal([]byte(claimsText), &all))
	if !bothAccept(t, err, peerErr, claimsText) {
		return
	}
	read := Claims{
		Issuer: theirs.Issuer, Subject: theirs.Subject, Audience: theirs.Audience,
		ExpiresAt: joseTime(theirs.ExpiresAt), IssuedAt: joseTime(theirs.IssuedAt),
		NotBefore: joseTime(theirs.NotBefore), AuthTime: joseTime(theirs.AuthTime),
		ID: theirs.ID, SessionID: theirs.SessionID, ClientID: theirs.ClientID, Scope: theirs.Scope,
		AMR: theirs.AMR, ACR: theirs.ACR, Roles: theirs.Roles, Custom: mine.Custom,
	}
	if !reflect.DeepEqual(mine, read) {
		t.Fatalf("claims %q\nhere  %+v\nthere %+v", claimsText, mine, read)
	}
	for name, value := range mine.Custom {
		var custom any
		if err := json.Unmarshal(value, &custom); err != nil || !reflect.DeepEqual(custom, all[name]) {
			t.Fatalf("claim %q\nhere  %v, %v\nthere %v", name, custom, err, all[name])
		}
	}
}

// bothAccept tells whether both sides accept. It fails t when one side refuses what the other may not accept.
func bothAccept(t *testing.T, err, peerErr error, text string) bool {
	t.Helper()
	var d *defect
	switch {
	case err == nil && peerErr != nil:
		t.Fatalf("accepted %q, which go-jose refuses: %v", text, peerErr)
	case err != nil && !errors.As(err, &d):
		t.Fatalf("refused %q without a reason: %v", text, err)
	case err != nil && peerErr == nil && !slices.Contains(laxPeer, d.why) && strings.TrimSpace(text) != "null":
		t.Fatalf("go-jose reads %q, refused here: %v", text, err)
	}
	return err == nil
}

func joseTime(d *josejwt.NumericDate) time.Time {
	if d == nil {
		return time.Time{}
	}
	return time.Unix(int64(*d), 0).UTC()
}
