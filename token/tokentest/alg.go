package tokentest

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/sha512" // of HS384 and HS512
	"fmt"
	"slices"
	"strings"

	"github.com/authd-project/authd/token"
)

// refused is what authd's verifier says to an algorithm that is not the key's.
func (c *corpus) refused(alg string) error {
	if alg != c.alg && slices.Contains(token.Algorithms(), alg) {
		return token.ErrUnknownKey // it has keys for that one, but not of this kid
	}
	return token.ErrSignature
}

// unsigned is a token without a signature.
func unsigned(header, claims fmt.Stringer) string {
	return encode(header.String()) + "." + encode(claims.String()) + "."
}

// none: an algorithm by which everybody's tokens are good, in every spelling that some reader may take for it. With the real
// key's signature the header alone is what is wrong.
func (c *corpus) none() {
	c.about("alg-none", "RFC 8725 section 3.2")
	for i := range 1 << len("none") {
		spelt := []byte("none")
		for bit := range spelt {
			if i>>bit&1 == 1 {
				spelt[bit] -= 'a' - 'A'
			}
		}
		name := string(spelt)
		header := c.header.set("alg", quote(name))
		c.add(name+"/unsigned", unsigned(header, c.claims), token.ErrSignature)
		c.says(name+"/signed", header, c.claims, token.ErrSignature)
	}
	none := c.header.set("alg", `"none"`)
	c.add("zero-signature", unsigned(none, c.claims)+base64url.EncodeToString(make([]byte, len(c.signature))), token.ErrSignature)
	c.add("old-signature", unsigned(none, c.claims)+c.sig, token.ErrSignature)
	c.add("nothing-else", unsigned(object{{"alg", `"none"`}}, c.claims), token.ErrMalformed)
	c.add("nothing-else-JWT", unsigned(object{{"alg", `"none"`}, {"typ", `"JWT"`}}, c.claims), token.ErrMalformed)
	c.add("no-second-dot", strings.TrimSuffix(unsigned(none, c.claims), "."), token.ErrMalformed)
	c.add("mallory", unsigned(none, c.claims.set("sub", `"mallory"`)), token.ErrSignature)
	for name, value := range map[string]string{
		"escaped": `"n\u006fne"`, "leading-space": `" none"`, "trailing-space": `"none "`, "with-its-own": quote("none," + c.alg),
		"after-its-own": quote(c.alg + ",none"), "full-width": `"ｎｏｎｅ"`, "Cyrillic": `"nоne"`, "null-text": `"null"`, "zero-width": `"no\u200bne"`,
	} {
		c.add(name+"/unsigned", unsigned(c.header.set("alg", value), c.claims), token.ErrSignature)
	}
	for name, value := range map[string]string{
		"null": `null`, "false": `false`, "zero": `0`, "empty": `""`, "list": `["none"]`, "empty-list": `[]`, "object": `{"alg":"none"}`,
		"NUL-after": `"none\u0000"`, "line-break-after": `"none\n"`,
	} {
		c.add(name+"/unsigned", unsigned(c.header.set("alg", value), c.claims), token.ErrMalformed)
	}
	c.add("missing/unsigned", unsigned(c.header.without("alg"), c.claims), token.ErrMalformed)
}

// algorithms: the header names another algorithm than the key's, and the signature is the key's.
func (c *corpus) algorithms() {
	c.about("alg", "RFC 8725 section 3.1")
	for _, alg := range []string{
		"ES256", "ES384", "ES512", "ES256K", "ESP256", "EdDSA", "Ed25519", "Ed448", "RS256", "RS384", "RS512", "RS1",
		"PS256", "PS384", "PS512", "HS256", "HS384", "HS512", "HS1", "ML-DSA-44", "ML-DSA-65", "dir", "A128KW", "A256GCMKW",
		"RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW", "PBES2-HS256+A128KW", "PBES2-HS512+A256KW",
		"SHA256withECDSA", "ecdsa-p256-sha256", "rsa", "*", "default", "-7", "any",
		strings.ToLower(c.alg), strings.ToUpper(c.alg), c.alg + " ", " " + c.alg, c.alg + "," + c.alg, c.alg + ";", c.alg + "\u200b",
	} {
		if alg != c.alg {
			c.says("named-"+printable(alg), c.header.set("alg", quote(alg)), c.claims, c.refused(alg))
		}
	}
	for _, m := range []struct{ name, value string }{
		{"null", `null`}, {"number", `-7`}, {"true", `true`}, {"list", `[` + quote(c.alg) + `]`}, {"object", `{"name":` + quote(c.alg) + `}`},
		{"empty", `""`}, {"NUL-after", quote(c.alg + "\x00")}, {"line-break-after", quote(c.alg + "\n")}, {"long", quote(strings.Repeat(c.alg, 60))},
	} {
		c.says("is-"+m.name, c.header.set("alg", m.value), c.claims, token.ErrMalformed)
	}
	c.says("missing", c.header.without("alg"), c.claims, token.ErrMalformed)
	costly := c.header.set("alg", `"PBES2-HS512+A256KW"`).last("p2c", `2147483647`).last("p2s", quote(encode("salt and pepper")))
	c.says("costly-key-derivation", costly, c.claims, token.ErrSignature)
	c.rfc = "RFC 8725 section 2.1"
	c.says("missing-typ-JWT", c.header.without("alg").set("typ", `"JWT"`), c.claims, token.ErrMalformed)
}

// printable makes a name of a text.
func printable(s string) string {
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}

// hmac: the public key, which everybody knows, as the secret of a symmetric algorithm; and secrets that are guessed first.
func (c *corpus) hmac() {
	c.about("alg-hmac", "RFC 8725 section 2.1")
	secrets := append(c.keyTexts(),
		keyText{"empty", nil}, keyText{"NUL", []byte{0}}, keyText{"zeros", make([]byte, 32)}, keyText{"kid", []byte(c.kid)},
		keyText{"secret", []byte("secret")}, keyText{"your-256-bit-secret", []byte("your-256-bit-secret")},
		keyText{"null", []byte("null")}, keyText{"undefined", []byte("undefined")},
	)
	for _, h := range []struct {
		alg  string
		hash crypto.Hash
	}{{"HS256", crypto.SHA256}, {"HS384", crypto.SHA384}, {"HS512", crypto.SHA512}} {
		for _, s := range secrets {
			c.add(h.alg+"/"+s.name, macOf(c.header.set("alg", quote(h.alg)), c.claims, h.hash, s.text), token.ErrSignature)
		}
	}
	pem := c.keyTexts()[0].text
	own := func(alg string) string { return macOf(c.header.set("alg", quote(alg)), c.claims, crypto.SHA256, pem) }
	c.add("its-own-name/PEM", own(c.alg), token.ErrSignature)
	c.add("lower-case/PEM", own("hs256"), token.ErrSignature)
	for _, path := range []string{"/dev/null", "../../../../../../dev/null", "/proc/sys/kernel/randomize_va_space", "file:///dev/null", ""} {
		header := c.header.set("alg", `"HS256"`).set("kid", quote(path))
		want := token.ErrSignature
		if path == "" {
			want = token.ErrMalformed
		}
		secret := []byte(nil)
		if strings.HasPrefix(path, "/proc") {
			secret = []byte("2\n")
		}
		c.add("file/"+path, macOf(header, c.claims, crypto.SHA256, secret), want)
	}
	jwk := object{{"kty", `"oct"`}, {"k", quote(encode("brought along"))}}
	brought := c.header.set("alg", `"HS256"`).last("jwk", jwk.String())
	c.add("brought-along", macOf(brought, c.claims, crypto.SHA256, []byte("brought along")), token.ErrSignature)
}

// macOf makes a token with an HMAC for its signature.
func macOf(header, claims fmt.Stringer, hash crypto.Hash, secret []byte) string {
	signing := encode(header.String()) + "." + encode(claims.String())
	mac := hmac.New(hash.New, secret)
	mac.Write([]byte(signing))
	return signing + "." + base64url.EncodeToString(mac.Sum(nil))
}

// foreignKeys: well signed, but by somebody else.
func (c *corpus) foreignKeys() {
	c.about("foreign-key", "RFC 7515 section 5.2")
	for _, k := range []struct {
		alg string
		key crypto.Signer
	}{{"ES256", c.forger.ec}, {"EdDSA", c.forger.ed}, {"RS256", c.forger.rsa}, {"ES384", c.forger.p384}} {
		header := c.header.set("alg", quote(k.alg))
		c.add(k.alg+"/same-kid", c.signedBy(k.key, header, c.claims), c.refused(k.alg))
		want := token.ErrUnknownKey
		if k.alg == "ES384" {
			want = token.ErrSignature
		}
		c.add(k.alg+"/own-kid", c.signedBy(k.key, header.set("kid", quote(c.forger.kid)), c.claims), want)
		c.add(k.alg+"/no-kid", c.signedBy(k.key, header.without("kid"), c.claims), token.ErrMalformed)
		c.add(k.alg+"/under-the-real-alg", c.signedBy(k.key, c.header.last("x", quote(k.alg)), c.claims), token.ErrSignature)
	}
}
