package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Public keys of the RFCs, without kid.
const (
	// RFC 7517 appendix A.1
	rfcEC  = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
	rfcRSA = `"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"`
	// RFC 8037 appendix A.2
	rfcOKP = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
)

func TestRemoteJWKOfTheRFCs(t *testing.T) {
	doc := fmt.Sprintf(`{"keys":[{"kid":"ec",%s,"alg":"ES256","use":"sig"},{"kid":"rsa",%s,"alg":"RS256","key_ops":["verify"]},`+
		`{"kid":"okp",%s,"alg":"EdDSA","x5c":["ignored"]}],"other":{"members":["are","ignored"]}}`, rfcEC, rfcRSA, rfcOKP)
	keys, refused, err := parseRemoteJWKS([]byte(doc))
	if err != nil || len(refused) != 0 || len(keys) != 3 {
		t.Fatalf("have %v, refused %v, %v", keys, refused, err)
	}
	ec := keys["ec"].public.(*ecdsa.PublicKey)
	point, err := ec.Bytes()
	if err != nil || fmt.Sprintf("%x", point[:5]) != "0430a0424c" {
		t.Errorf("P-256 point %x, %v", point, err)
	}
	if pub := keys["rsa"].public.(*rsa.PublicKey); pub.N.BitLen() != 2048 || pub.E != 65537 {
		t.Errorf("RSA key of %d bits, exponent %d", pub.N.BitLen(), pub.E)
	}
	// The same 32 bytes in hexadecimal are in RFC 8032 section 7.1, test 1.
	if pub := keys["okp"].public.(ed25519.PublicKey); fmt.Sprintf("%x", pub[:4]) != "d75a9801" {
		t.Errorf("Ed25519 key %x", pub)
	}
}

// A key serves the one algorithm that follows from its type, whether "alg" says so or is absent.
func TestRemoteJWKHasOneAlgorithm(t *testing.T) {
	for jwk, want := range map[string][]string{
		rfcEC:                       {"ES256"},
		rfcRSA:                      {"RS256"},
		rfcOKP:                      {"EdDSA", "Ed25519"},
		rfcOKP + `,"alg":"EdDSA"`:   {"EdDSA", "Ed25519"},
		rfcOKP + `,"alg":"Ed25519"`: {"EdDSA", "Ed25519"}, // RFC 9864
	} {
		k, err := parseRemoteJWK([]byte(`{"kid":"k",` + jwk + `}`))
		if err != nil {
			t.Errorf("%.60s…: %v", jwk, err)
			continue
		}
		var have []string
		for _, alg := range []string{"ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256", "HS256", "none", ""} {
			if k.verifies(alg) {
				have = append(have, alg)
			}
		}
		if !slices.Equal(have, want) {
			t.Errorf("%.60s…: verifies %q, want %q", jwk, have, want)
		}
	}
}

func TestRemoteJWKRefused(t *testing.T) {
	shortRSA := `"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 168) + `"`
	evenRSA := `"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 341) + `A"`
	hugeRSA := `"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 1400) + `"`
	offCurve := strings.Replace(rfcEC, "4Etl", "4Eta", 1)
	cases := []struct{ name, jwk, want string }{
		{"not an object", `["kid"]`, "not a JSON object"},
		{"duplicate member", `{"kid":"k","kid":"k",` + rfcEC + `}`, "duplicate member"},
		{"no kid", `{` + rfcEC + `}`, `"kid" is not a string`},
		{"kid of another case", `{"Kid":"k",` + rfcEC + `}`, `"kid" is not a string`},
		{"number for kid", `{"kid":1,` + rfcEC + `}`, `"kid" is not a string`},
		{"empty kid", `{"kid":"",` + rfcEC + `}`, "kid is not 1 to 128"},
		{"long kid", `{"kid":"` + strings.Repeat("k", 129) + `",` + rfcEC + `}`, "kid is not 1 to 128"},
		{"control character in kid", `{"kid":"a\nb",` + rfcEC + `}`, "kid is not 1 to 128"},
		{"no kty", `{"kid":"k","crv":"P-256"}`, `"kty" is not a string`},
		{"symmetric", `{"kid":"k","kty":"oct","k":"AAAA"}`, `private member "k"`},
		{"symmetric, secret withheld", `{"kid":"k","kty":"oct"}`, `key type "oct"`},
		{"private EC", `{"kid":"k",` + rfcEC + `,"d":"AAAA"}`, `private member "d"`},
		{"private RSA factor", `{"kid":"k",` + rfcRSA + `,"p":"AAAA"}`, `private member "p"`},
		{"for encryption", `{"kid":"k",` + rfcEC + `,"use":"enc"}`, `use is "enc"`},
		{"empty use", `{"kid":"k",` + rfcEC + `,"use":null}`, `"use" is not a string`},
		{"for signing only", `{"kid":"k",` + rfcEC + `,"key_ops":["sign"]}`, "key_ops lacks verify"},
		{"no operations", `{"kid":"k",` + rfcEC + `,"key_ops":[]}`, "key_ops lacks verify"},
		{"operations not an array", `{"kid":"k",` + rfcEC + `,"key_ops":"verify"}`, "key_ops lacks verify"},
		{"alg of another type", `{"kid":"k",` + rfcEC + `,"alg":"RS256"}`, `alg is "RS256"`},
		{"alg of another curve", `{"kid":"k",` + rfcEC + `,"alg":"ES384"}`, `alg is "ES384"`},
		{"PSS", `{"kid":"k",` + rfcRSA + `,"alg":"PS256"}`, `alg is "PS256"`},
		{"public key as HMAC secret", `{"kid":"k",` + rfcRSA + `,"alg":"HS256"}`, `alg is "HS256"`},
		{"alg none", `{"kid":"k",` + rfcRSA + `,"alg":"none"}`, `alg is "none"`},
		{"other curve", `{"kid":"k","kty":"EC","crv":"P-384","x":"AA","y":"AA"}`, `curve "P-384"`},
		{"other OKP curve", `{"kid":"k","kty":"OKP","crv":"X25519","x":"AA"}`, `curve "X25519"`},
		{"point off the curve", `{"kid":"k",` + offCurve + `}`, "not a point of P-256"},
		{"point at infinity", `{"kid":"k","kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` +
			strings.Repeat("A", 43) + `"}`, "not a point of P-256"},
		{"short coordinate", `{"kid":"k","kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`, `"x" has 3 bytes, want 32`},
		{"coordinate missing", `{"kid":"k","kty":"EC","crv":"P-256"}`, `"x" is not a string`},
		{"Ed25519 of 64 bytes", `{"kid":"k","kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("A", 86) + `"}`, `"x" has 64 bytes`},
		{"padding", `{"kid":"k","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="}`, "not base64url"},
		{"spare bits", `{"kid":"k","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"}`, "not base64url"},
		{"line break", `{"kid":"k","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n"}`, "not base64url"},
		{"short RSA", `{"kid":"k",` + shortRSA + `}`, "modulus of 1008 bits"},
		{"huge RSA", `{"kid":"k",` + hugeRSA + `}`, "modulus of 8400 bits"},
		{"even modulus", `{"kid":"k",` + evenRSA + `}`, "modulus is even"},
		{"exponent 1", `{"kid":"k",` + strings.Replace(rfcRSA, "AQAB", "AQ", 1) + `}`, "exponent"},
		{"exponent 3", `{"kid":"k",` + strings.Replace(rfcRSA, "AQAB", "Aw", 1) + `}`, "exponent"},
		{"exponent of 64 bits", `{"kid":"k",` + strings.Replace(rfcRSA, "AQAB", "__________8", 1) + `}`, "exponent"},
		{"even exponent", `{"kid":"k",` + strings.Replace(rfcRSA, "AQAB", "AQAC", 1) + `}`, "exponent"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if k, err := parseRemoteJWK([]byte(c.jwk)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("have %v, %v; want an error with %q", k, err, c.want)
			}
			// Its good neighbour stays.
			keys, refused, err := parseRemoteJWKS([]byte(`{"keys":[` + c.jwk + `,{"kid":"good",` + rfcOKP + `}]}`))
			if err != nil || len(keys) != 1 || keys["good"].public == nil || len(refused) != 1 {
				t.Errorf("have keys %v, refused %v, %v", keys, refused, err)
			}
		})
	}
}

func TestRemoteJWKSRefusedWhole(t *testing.T) {
	good := `{"kid":"good",` + rfcEC + `}`
	var many []string
	for i := range maxJWKSKeys + 1 {
		many = append(many, fmt.Sprintf(`{"kid":"k%d",%s}`, i, rfcOKP))
	}
	for name, doc := range map[string]string{
		"nothing":             ``,
		"null":                `null`,
		"empty object":        `{}`,
		"null keys":           `{"keys":null}`,
		"no keys":             `{"keys":[]}`,
		"keys not an array":   `{"keys":` + good + `}`,
		"Keys":                `{"Keys":[` + good + `]}`,
		"keys twice":          `{"keys":[` + good + `],"keys":[` + good + `]}`,
		"an array":            `[` + good + `]`,
		"a key":               good,
		"an error document":   `{"error":"temporarily_unavailable"}`,
		"HTML":                `<!doctype html><title>Sign in</title>`,
		"cut off":             `{"keys":[` + good,
		"text after it":       `{"keys":[` + good + `]}{}`,
		"bad keys only":       `{"keys":[{},null,1,"x",{"kid":"k","kty":"oct"}]}`,
		"too many keys":       `{"keys":[` + strings.Join(many, ",") + `]}`,
		"too large":           `{"keys":[` + good + `]}` + strings.Repeat(" ", maxJWKSBytes),
		"the same kid, twice": `{"keys":[` + good + `,` + good + `]}`,
	} {
		if keys, _, err := parseRemoteJWKS([]byte(doc)); err == nil {
			t.Errorf("%s: have %v", name, keys)
		}
	}
	if keys, _, err := parseRemoteJWKS([]byte(`{"keys":[` + strings.Join(many[1:], ",") + `]}`)); len(keys) != maxJWKSKeys {
		t.Errorf("%d keys: have %d, %v", maxJWKSKeys, len(keys), err)
	}
}

// Of several keys with one kid none is used, also where one of them is bad: which is meant cannot be told.
func TestRemoteJWKSDuplicateKID(t *testing.T) {
	for _, second := range []string{rfcOKP, rfcEC, `"kty":"oct"`} {
		keys, refused, err := parseRemoteJWKS([]byte(
			`{"keys":[{"kid":"two",` + rfcEC + `},{"kid":"one",` + rfcRSA + `},{"kid":"two",` + second + `}]}`))
		if _, ok := keys["two"]; ok || len(keys) != 1 || len(refused) == 0 || err != nil {
			t.Errorf("second %.20s…: have %v, refused %v, %v", second, keys, refused, err)
		}
	}
}

func TestRemoteRedirectsByOrigin(t *testing.T) {
	client, _ := withinOrigin(nil)
	from := httptest.NewRequest("GET", "https://issuer.test/jwks.json", nil)
	for to, want := range map[string]bool{
		"https://issuer.test/elsewhere":     true,
		"http://issuer.test/jwks.json":      false,
		"https://issuer.test:444/jwks.json": false,
		"https://jwks.issuer.test/":         false,
	} {
		err := client.CheckRedirect(httptest.NewRequest("GET", to, nil), []*http.Request{from})
		if (err == nil) != want {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
	if err := client.CheckRedirect(from, slices.Repeat([]*http.Request{from}, 4)); err == nil {
		t.Error("four redirects were followed")
	}
}

func FuzzRemoteJWKS(f *testing.F) {
	for _, jwk := range []string{rfcEC, rfcRSA, rfcOKP} {
		f.Add([]byte(`{"keys":[{"kid":"k",` + jwk + `,"alg":"ES256","use":"sig","key_ops":["verify"]}]}`))
	}
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		keys, _, err := parseRemoteJWKS(doc)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys with error %v", len(keys), err)
		}
		for kid, k := range keys {
			if kid != k.kid || !plausibleKID(kid) || k.public == nil || !k.verifies(k.alg) {
				t.Errorf("unusable key %+v under %q", k, kid)
			}
		}
	})
}
