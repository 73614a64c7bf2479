package dpop_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/dpop"
)

const accessToken = "an.access.token"

var request = dpop.Request{Method: "POST", URL: "https://api.example.com/orders", AccessToken: accessToken}

func check(raw string, r dpop.Request) (*dpop.Proof, error) {
	return dpop.Check(raw, r, dpop.Policy{}, now)
}

// ath is the hash of the access token of the tests.
func ath() string {
	sum := sha256.Sum256([]byte(accessToken))
	return b64(sum[:])
}

func TestEveryKindOfKey(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	r2048, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for name, newKey := range map[string]func() (*dpop.Key, error){
		"generated": dpop.GenerateKey,
		"P-256":     func() (*dpop.Key, error) { return dpop.NewKey(p256) },
		"Ed25519":   func() (*dpop.Key, error) { return dpop.NewKey(ed) },
		"RSA":       func() (*dpop.Key, error) { return dpop.NewKey(r2048) },
	} {
		key, err := newKey()
		must(t, err)
		raw, err := key.Prove(dpop.Statement{
			Method: "POST", URL: request.URL + "?page=2#top", AccessToken: accessToken, Nonce: "n", ID: "id", IssuedAt: now,
		})
		must(t, err)
		p, err := check(raw, request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Thumbprint != key.Thumbprint() || !dpop.IsThumbprint(p.Thumbprint) || p.ID != "id" || p.Nonce != "n" || !p.IssuedAt.Equal(now) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// The thumbprints of RFC 7638 section 3.1, RFC 8037 appendix A.3 and RFC 9449 section 6.1.
func TestThumbprintsOfTheRFCs(t *testing.T) {
	f := newForger(t)
	for want, jwk := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I": `{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`,
	} {
		have, err := dpop.ThumbprintOf(jwk)
		if err != nil || have != want {
			t.Errorf("%s, %v; want %s", have, err, want)
		}
	}
	if have, err := dpop.Thumbprint(&f.signer.PublicKey); err != nil || !dpop.IsThumbprint(have) {
		t.Errorf("%s, %v", have, err)
	}
}

// The proof of RFC 9449 section 4.1, checked at the time when it was made.
func TestProofOfTheRFC(t *testing.T) {
	const raw = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	p, err := dpop.Check(raw, dpop.Request{Method: "POST", URL: "https://server.example.com/token"}, dpop.Policy{}, time.Unix(1562262616, 0))
	if err != nil || p.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || p.ID != "-BwC3ESc6acc2lTc" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWrongProofs(t *testing.T) {
	f, other := newForger(t), newForger(t)
	header, good := f.header(), claims().with("ath", ath())
	if _, err := check(f.proof(header, good), request); err != nil {
		t.Fatalf("the good proof: %v", err)
	}
	h := func(members ...any) string { return f.proof(header.with(members...), good) }
	c := func(members ...any) string { return f.proof(header, good.with(members...)) }
	jwk := func(members ...any) string { return h("jwk", f.jwk().with(members...)) }
	raw := f.proof(header, good)
	parts := strings.Split(raw, ".")
	symmetric := object{"kty": "oct", "k": b64([]byte("secret"))}

	for name, raw := range map[string]string{
		"empty":             "",
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        raw + ".",
		"padding":           raw + "=",
		"line break":        raw[:20] + "\n" + raw[20:],
		"two in one header": raw + "," + raw,
		"too long":          f.proof(header, good.with("more", strings.Repeat("a", 4<<10))),
		"another signature": parts[0] + "." + parts[1] + "." + strings.Split(other.proof(header, good), ".")[2],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"DER signature":     parts[0] + "." + parts[1] + "." + b64([]byte{0x30, 6, 2, 1, 1, 2, 1, 1}),
		"zero signature":    parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)),

		"typ missing":         h("typ", nil),
		"typ of tokens":       h("typ", "at+jwt"),
		"typ JWT":             h("typ", "JWT"),
		"alg missing":         h("alg", nil),
		"alg none":            h("alg", "none"),
		"alg HS256":           h("alg", "HS256"),
		"alg of another kind": h("alg", "EdDSA"),
		"alg PS256":           h("alg", "PS256"),
		"crit":                h("crit", []string{"exp"}),
		"b64":                 h("b64", true),
		"zip":                 h("zip", "DEF"),
		"jwk missing":         h("jwk", nil, "kid", "1", "x5c", []string{"AA=="}, "jku", "https://evil.example.com"),
		"jwk null":            f.sign(`{"typ":"dpop+jwt","alg":"ES256","jwk":null}`, text(t, good)),
		"jwk text":            h("jwk", "key"),
		"jwk of another":      h("jwk", other.jwk()),
		"jwk private":         jwk("d", b64(make([]byte, 32))),
		"jwk symmetric":       h("jwk", symmetric, "alg", "HS256"),
		"jwk without x":       jwk("x", nil),
		"jwk short x":         jwk("x", b64([]byte{1, 2, 3})),
		"jwk not on curve":    jwk("x", b64(make([]byte, 32))),
		"jwk P-384":           jwk("crv", "P-384"),
		"jwk look-alike":      jwk("D", "x"),
		"header twice":        f.sign(`{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256","jwk":`+text(t, f.jwk())+`}`, text(t, good)),
		"header look-alike":   h("ALG", "none"),
		"header not JSON":     f.sign("{", text(t, good)),
		"header array":        f.sign("[]", text(t, good)),
		"header and more":     f.sign(text(t, header)+"{}", text(t, good)),

		"claims not UTF-8":   f.sign(text(t, header), "{\"jti\":\"\xff\"}"),
		"claims twice":       f.sign(text(t, header), strings.Replace(text(t, good), `"htm"`, `"htm":"GET","htm"`, 1)),
		"claims look-alike":  c("HTM", "GET"),
		"jti missing":        c("jti", nil),
		"jti empty":          c("jti", ""),
		"jti number":         c("jti", 1),
		"jti long":           c("jti", strings.Repeat("a", 129)),
		"jti control":        c("jti", "a\nb"),
		"jti lone surrogate": f.sign(text(t, header), strings.Replace(text(t, good), "a-random-name", `\ud800`, 1)),
		"htm missing":        c("htm", nil),
		"htm another":        c("htm", "GET"),
		"htm in small":       c("htm", "post"),
		"htu missing":        c("htu", nil),
		"htu another host":   c("htu", "https://evil.example.com/orders"),
		"htu another path":   c("htu", "https://api.example.com/order"),
		"htu another scheme": c("htu", "http://api.example.com/orders"),
		"htu another port":   c("htu", "https://api.example.com:8443/orders"),
		"htu relative":       c("htu", "/orders"),
		"htu with a user":    c("htu", "https://api.example.com@evil.example.com/orders"),
		"iat missing":        c("iat", nil),
		"iat text":           c("iat", "1800000000"),
		"iat negative":       c("iat", -1),
		"iat huge":           f.sign(text(t, header), strings.Replace(text(t, good), "1800000000", "1e400", 1)),
		"iat long ago":       c("iat", now.Add(-91*time.Second).Unix()),
		"iat milliseconds":   c("iat", now.UnixMilli()),
		"iat ahead":          c("iat", now.Add(31*time.Second).Unix()),
		"ath missing":        c("ath", nil),
		"ath of another":     c("ath", b64(make([]byte, 32))),
		"nonce number":       c("nonce", 1),
	} {
		p, err := check(raw, request)
		if !errors.Is(err, dpop.ErrInvalid) || p != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
			continue
		}
		if detail := dpop.Explain(err); detail == "" || strings.ContainsAny(detail, `"\`) || strings.Contains(err.Error(), "a-random-name") {
			t.Errorf("%s: %q, %q", name, detail, err)
		}
	}
}

// What other implementations may write, and is the same.
func TestOtherSpellings(t *testing.T) {
	f := newForger(t)
	good := claims().with("ath", ath())
	for name, raw := range map[string]string{
		"media type":      f.proof(f.header().with("typ", "application/DPoP+JWT"), good),
		"kid beside":      f.proof(f.header().with("kid", "1", "x5c", []string{"AA=="}), good),
		"key for signing": f.proof(f.header().with("jwk", f.jwk().with("use", "sig", "alg", "ES256", "kid", "1")), good),
		"escaped slashes": f.sign(text(t, f.header()), strings.ReplaceAll(text(t, good), "/", `\/`)),
		"fraction":        f.proof(f.header(), good.with("iat", 1800000000.7)),
		"more claims":     f.proof(f.header(), good.with("exp", 1, "sub", "x")),
		"slow clock":      f.proof(f.header(), good.with("iat", now.Add(-90*time.Second).Unix())),
		"fast clock":      f.proof(f.header(), good.with("iat", now.Add(30*time.Second).Unix())),
		"query":           f.proof(f.header(), good.with("htu", request.URL+"?a=b#c")),
	} {
		if _, err := check(raw, request); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAlgorithmsAreAnAllowList(t *testing.T) {
	f := newForger(t)
	raw := f.proof(f.header(), claims().with("ath", ath()))
	if _, err := dpop.Check(raw, request, dpop.Policy{Algorithms: []string{"EdDSA"}}, now); !errors.Is(err, dpop.ErrInvalid) {
		t.Errorf("ES256 where only EdDSA may be: %v", err)
	}
}

func TestFromHeader(t *testing.T) {
	h := http.Header{}
	if _, err := dpop.FromHeader(h); !errors.Is(err, dpop.ErrMissing) {
		t.Errorf("none: %v", err)
	}
	h.Set("DPoP", "proof")
	if raw, err := dpop.FromHeader(h); raw != "proof" || err != nil {
		t.Errorf("one: %q, %v", raw, err)
	}
	h.Add("dpop", "proof")
	if _, err := dpop.FromHeader(h); !errors.Is(err, dpop.ErrInvalid) || errors.Is(err, dpop.ErrMissing) {
		t.Errorf("two: %v", err)
	}
}

func TestTargets(t *testing.T) {
	f := newForger(t)
	try := func(htu, url string) error {
		_, err := check(f.proof(f.header(), claims().with("htu", htu)), dpop.Request{Method: "POST", URL: url})
		return err
	}
	for htu, url := range map[string]string{
		"HTTPS://API.example.com:443/a": "https://api.example.com/a",
		"http://api.example.com:80":     "http://api.example.com/",
		"https://[::1]:443/a":           "https://[::1]/a",
		"https://h/%7ea/%c3%a9":         "https://h/~a/%C3%A9",
		"https://h/a/./b/../c":          "https://h/a/c",
		"https://h/a/..":                "https://h/",
		"https://h/%2e%2E/x":            "https://h/x",
	} {
		if err := try(htu, url); err != nil {
			t.Errorf("%s for %s: %v", htu, url, err)
		}
	}
	for htu, url := range map[string]string{
		"https://h/a":     "https://h/a/",
		"https://h//a":    "https://h/a",
		"https://h/A":     "https://h/a",
		"https://h/a%2Fb": "https://h/a/b",
		"https://h:80/":   "https://h/",
		"ftp://h/a":       "ftp://h/a",
		"https:///a":      "https:///a",
		"https:h/a":       "https:h/a",
	} {
		if try(htu, url) == nil {
			t.Errorf("%s passed for %s", htu, url)
		}
	}
}
