package tokentest

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/authd-project/authd/token"
)

// keyIDs: well signed, under the name of no key or of another, which a careless look-up takes for a path, a query, or the
// nearest thing.
func (c *corpus) keyIDs() {
	c.about("kid", "RFC 8725 section 3.10")
	kid := func(name, value string, want error) {
		c.says(name, c.header.set("kid", quote(value)), c.claims, want)
	}
	for _, value := range []string{
		"/dev/null", "../../../../../../dev/null", `..\..\..\windows\win.ini`, "/etc/passwd", "file:///etc/passwd", "..%2f..%2fetc%2fpasswd",
		"....//....//etc/passwd", ".", "..", "/", "keys/../keys/" + c.kid, "./" + c.kid, c.kid + "/", "/" + c.kid, c.kid + "/../" + c.kid, c.kid + "%00", c.kid + ".pem",
		"'OR'1'='1", "'--", "'/**/UNION/**/SELECT/**/'secret", `";DROP/**/TABLE/**/keys;--`, "1;SELECT/**/pg_sleep(5)--", "*", "%", "_", "?", "[a-z]*", c.kid[:1] + "*",
		"$(id)", "`id`", "|id", ";id", "&&id", "${jndi:ldap://" + c.canaryHost() + "/a}", "{{7*7}}", "${7*7}", "%s%n%x", "<script>", "*)(kid=*", "$where:1", "__proto__", "constructor", "toString",
		"0", "-1", "null", "undefined", "true", "NaN", "default", "latest", "current", c.canaryURL("/key"), "http://169.254.169.254/latest/meta-data/", "data:,",
		flipCase(c.kid), c.kid[1:], c.kid[:len(c.kid)-1], c.kid + "A", c.kid + c.kid, c.kid + "=", c.kid + "," + c.kid, c.kid + ";" + c.kid, c.kid + "#", c.kid + "?", c.kid + "@" + c.canaryHost(),
		`"` + c.kid + `"`, "%" + fmt.Sprintf("%x", c.kid[0]) + c.kid[1:], url.QueryEscape("/" + c.kid), encode(c.kid), strings.Repeat("k", 128),
	} {
		kid("value/"+value, value, token.ErrUnknownKey)
	}
	for i, id := range c.forger.ids {
		kid(fmt.Sprint("of-another-issuer/", i), id, token.ErrUnknownKey)
		if len(c.kid) > 9 && c.kid[8] == '-' {
			kid(fmt.Sprint("of-this-ring/", i), c.kid[:9]+id[9:], token.ErrUnknownKey)
		}
	}
	for _, value := range []string{
		"' OR '1'='1", "' UNION SELECT 'secret", c.kid + " ", " " + c.kid, c.kid + "\x00", "\x00" + c.kid, c.kid + "\x00.pem", c.kid + "\n", c.kid + "\r\nX-Auth-Subject: root",
		c.kid + "\t", c.kid + "\x7f", c.kid + "\u0085", c.kid + "\u200b", "\ufeff" + c.kid, "\u202e" + c.kid, c.kid + "\u0301", "ｋ" + c.kid, "\x1b[2J" + c.kid, c.kid + " " + c.kid, "",
	} {
		kid("character/"+printable(value), value, token.ErrMalformed)
	}
	for _, n := range []int{129, 255, 256, 1024, 4000} {
		kid(fmt.Sprint("long/", n), strings.Repeat("k", n), token.ErrMalformed)
		kid(fmt.Sprint("long/its-own-and-", n), c.kid+strings.Repeat("k", n), token.ErrMalformed)
	}
	for _, m := range []struct{ name, value string }{
		{"null", `null`}, {"number", `1`}, {"true", `true`}, {"list", `[` + quote(c.kid) + `]`}, {"object", `{"$ne":null}`}, {"object-of-it", `{"kid":` + quote(c.kid) + `}`},
	} {
		c.says("type/"+m.name, c.header.set("kid", m.value), c.claims, token.ErrMalformed)
	}
	c.says("missing", c.header.without("kid"), c.claims, token.ErrMalformed)
	c.says("in-the-claims", c.header.without("kid"), c.claims.last("kid", quote(c.kid)), token.ErrMalformed)
}

// flipCase turns capitals into small letters and the other way round.
func flipCase(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r ^ 0x20
		}
		return r
	}, s)
}

// broughtKeys: signed by a forger, whose key comes with the token, or can be fetched where the token says. Whoever fetches
// it shows at the canary.
func (c *corpus) broughtKeys() {
	c.about("brought-key", "RFC 8725 section 3.10; RFC 7515 sections 4.1.2 to 4.1.8")
	key := c.forger.like(c.alg)
	forge := func(name string, header object) {
		c.add(name+"/same-kid", c.signedBy(key, header, c.claims), token.ErrSignature)
		c.add(name+"/own-kid", c.signedBy(key, header.set("kid", quote(c.forger.kid)), c.claims), token.ErrUnknownKey)
	}
	for _, m := range []string{"jku", "x5u"} {
		for name, value := range c.canaryURLs() {
			forge(m+"/"+name, c.header.last(m, quote(value)))
		}
	}
	for _, m := range []string{"jwks_uri", "url", "src", "key", "cert", "iss", "issuer", "openid_configuration"} {
		forge(m, c.header.last(m, quote(c.canaryURL("/jwks.json"))))
	}
	named := publicJWK(key.Public(), object{{"kid", quote(c.kid)}, {"alg", quote(c.alg)}, {"use", `"sig"`}})
	der, err := c.forger.certificate(c.alg)
	c.err = errors.Join(c.err, err)
	cert := quote(base64.StdEncoding.EncodeToString(der))
	for _, m := range []struct{ name, member, value string }{
		{"jwk", "jwk", publicJWK(key.Public(), nil).String()}, {"jwk-named", "jwk", named.String()}, {"jwk-text", "jwk", quote(named.String())},
		{"jwk-list", "jwk", `[` + named.String() + `]`}, {"jwks", "jwks", `{"keys":[` + named.String() + `]}`}, {"x5c", "x5c", `[` + cert + `]`},
		{"x5c-twice", "x5c", `[` + cert + `,` + cert + `]`}, {"x5c-text", "x5c", cert}, {"x5c-empty", "x5c", `[]`},
		{"pem", "pem", quote("-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(der))},
		{"trust_chain", "trust_chain", `[` + quote(c.Good) + `]`}, {"did", "did", `"did:jwk:` + encode(named.String()) + `"`},
	} {
		if len(m.value) < 4000 {
			forge(m.name, c.header.last(m.member, m.value))
		}
	}
	c.about("issuer-key", "RFC 8414 section 3.3")
	for _, iss := range []string{c.Canary, c.canaryURL("/"), "//" + c.canaryHost()} {
		claims := c.claims.set("iss", quote(iss))
		c.add("same-kid/"+iss, c.signedBy(key, c.header, claims), token.ErrSignature)
		c.add("own-kid/"+iss, c.signedBy(key, c.header.set("kid", quote(c.forger.kid)), claims), token.ErrUnknownKey)
		c.says("real-key/"+iss, c.header, claims, token.ErrIssuer)
	}
}

// canaryURLs are addresses at which a verifier must not ask for keys.
func (c *corpus) canaryURLs() map[string]string {
	host := c.canaryHost()
	return map[string]string{
		"http": c.canaryURL("/jwks.json"), "https": "https://" + host + "/jwks.json", "no-scheme": "//" + host + "/jwks.json",
		"upper-case": "HTTP://" + strings.ToUpper(host) + "/jwks.json", "user-information": "http://auth.example.com@" + host + "/jwks.json",
		"query": c.canaryURL("/jwks.json?https://auth.example.com/"), "fragment": c.canaryURL("/jwks.json#https://auth.example.com/"),
		"redirect": c.canaryURL("/redirect"), "backslash": `http:\\` + host + `\jwks.json`, "file": "file:///etc/passwd", "gopher": "gopher://" + host + "/_x",
		"metadata": "http://169.254.169.254/latest/meta-data/", "ldap": "ldap://" + host + "/a", "empty": "",
		"data": "data:application/json;base64," + base64.StdEncoding.EncodeToString(c.forgedJWKS()),
	}
}

// forgedJWKS is the set at the canary.
func (c *corpus) forgedJWKS() []byte {
	public := c.forger.like(c.alg).Public()
	set := make([]string, 0, 2)
	for _, kid := range []string{c.kid, c.forger.kid} {
		set = append(set, publicJWK(public, object{{"kid", quote(kid)}, {"alg", quote(c.alg)}, {"use", `"sig"`}}).String())
	}
	return []byte(`{"keys":[` + strings.Join(set, ",") + `]}`)
}

// extensions: what a verifier must understand or refuse.
func (c *corpus) extensions() {
	c.about("crit", "RFC 7515 section 4.1.11")
	for _, m := range []struct{ name, value string }{
		{"unknown", `["x-bound"]`}, {"two", `["x-bound","x-other"]`}, {"twice", `["x-bound","x-bound"]`}, {"registered", `["alg"]`}, {"kid", `["kid"]`}, {"claim", `["exp"]`},
		{"itself", `["crit"]`}, {"empty", `[]`}, {"empty-name", `[""]`}, {"null", `null`}, {"text", `"x-bound"`}, {"object", `{}`}, {"true", `true`}, {"false", `false`},
		{"number", `0`}, {"list-of-null", `[null]`}, {"list-of-list", `[["x-bound"]]`}, {"b64", `["b64"]`}, {"long", `[` + strings.Repeat(`"x",`, 500) + `"x"]`},
	} {
		c.says(m.name, c.header.last("crit", m.value), c.claims, token.ErrMalformed)
		c.says(m.name+"-sent", c.header.last("crit", m.value).last("x-bound", `true`), c.claims, token.ErrMalformed)
	}
	c.about("b64", "RFC 7797 section 6")
	for _, value := range []string{`true`, `false`, `"false"`, `0`, `null`} {
		c.says("alone/"+value, c.header.last("b64", value), c.claims, token.ErrMalformed)
		c.says("critical/"+value, c.header.last("b64", value).last("crit", `["b64"]`), c.claims, token.ErrMalformed)
	}
	for _, header := range []object{c.header.last("b64", `false`), c.header.last("b64", `false`).last("crit", `["b64"]`)} {
		name := fmt.Sprintf("%d-members", len(header))
		c.add("unencoded/"+name, c.signing(c.Key, encode(header.String())+"."+c.claims.String()), token.ErrMalformed)
		bare := c.signing(c.Key, encode(header.String())+"."+c.bodyPart)
		c.add("detached/"+name, strings.Replace(bare, "."+c.bodyPart+".", "..", 1), token.ErrMalformed)
	}
	c.about("jwe-member", "RFC 7516 section 9; RFC 7519 section 5.2")
	for _, m := range []struct{ member, value string }{
		{"enc", `"A256GCM"`}, {"enc", `"none"`}, {"enc", `null`}, {"zip", `"DEF"`}, {"zip", `"none"`}, {"zip", `null`}, {"zip", `"GZIP"`},
		{"cty", `"JWT"`}, {"cty", `"jwt"`}, {"cty", `"application/at+jwt"`}, {"cty", `"json"`}, {"cty", `null`}, {"cty", `""`},
	} {
		c.says(m.member+"/"+m.value, c.header.last(m.member, m.value), c.claims, token.ErrMalformed)
	}
	c.says("zip/deflated", c.header.last("zip", `"DEF"`), text(deflated(c.claims.String())), token.ErrMalformed)
	c.says("zip/bomb", c.header.last("zip", `"DEF"`), text(deflated(strings.Repeat("a", 1<<20))), token.ErrMalformed)
	c.says("nested-token", c.header.last("cty", `"JWT"`), text(c.Good), token.ErrMalformed)
	c.says("nested-token-unannounced", c.header, text(c.Good), token.ErrMalformed)
}

func deflated(s string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // the level is a good one
	}
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// types: other kinds of tokens of the same issuer, and what only looks like the right kind.
func (c *corpus) types() {
	c.about("typ", "RFC 9068 section 4; RFC 8725 section 3.11")
	for _, typ := range []string{
		"JWT", "jwt", "Jwt", "application/jwt", "JOSE", "JOSE+JSON", "refresh+jwt", "rt+jwt", "logout+jwt", "secevent+jwt", "statuslist+jwt", "dpop+jwt", "oauth-authz-req+jwt",
		"token-introspection+jwt", "client-authentication+jwt", "entity-statement+jwt", "trust-mark+jwt", "dc+sd-jwt", "vc+sd-jwt", "kb+jwt", "oauth-client-attestation+jwt", "id+jwt", "id_token",
		"passport", "mac+jwt", "at", "at+", "+jwt", "at+jwt2", "xat+jwt", "at-jwt", "at_jwt", "at jwt", "at+jw", "at+jwt+jwt", "at+jwt;v=1", "at+jwt; charset=utf-8", "at+jwt,JWT", "JWT,at+jwt",
		"application/at+jwt; v=1", "application/at", "text/at+jwt", "application/application/at+jwt", "/at+jwt", "at+jwt/", "at+jwt ", " at+jwt", "application /at+jwt", "application/ at+jwt",
		"аt+jwt", "ａt+jwt", "at\u200b+jwt", "at%2Bjwt", "at＋jwt", "at+sd-jwt", "Bearer", "none", "*", "*/*", "application/*",
	} {
		if quote(typ) != c.header.get("typ") {
			c.says("value/"+printable(typ), c.header.set("typ", quote(typ)), c.claims, token.ErrMalformed)
		}
	}
	for _, m := range []struct{ name, value string }{
		{"null", `null`}, {"number", `1`}, {"true", `true`}, {"list", `["at+jwt"]`}, {"object", `{}`}, {"empty", `""`}, {"NUL-after", `"at+jwt\u0000"`}, {"line-end-after", `"at+jwt\n"`},
	} {
		c.says("is/"+m.name, c.header.set("typ", m.value), c.claims, token.ErrMalformed)
	}
	c.says("missing", c.header.without("typ"), c.claims, token.ErrMalformed)
	c.says("in-the-claims", c.header.without("typ"), c.claims.last("typ", `"at+jwt"`), token.ErrMalformed)
	jwt := c.header.set("typ", `"JWT"`)
	c.says("id-token", jwt, c.claims.without("client_id").without("jti").last("nonce", `"n-0S6_WzA2Mj"`).last("at_hash", `"MTIzNDU2Nzg5MDEyMzQ1Ng"`), token.ErrMalformed)
	c.says("logout-token", c.header.set("typ", `"logout+jwt"`), c.claims.last("events", `{"http://schemas.openid.net/event/backchannel-logout":{}}`), token.ErrMalformed)
	c.says("status-list", c.header.set("typ", `"statuslist+jwt"`), c.claims.last("status_list", `{"bits":1,"lst":"eNrbuRgAAhcBXQ"}`), token.ErrMalformed)
	c.says("dpop-proof", c.header.set("typ", `"dpop+jwt"`), c.claims.last("htm", `"GET"`).last("htu", `"https://service.example.com/"`), token.ErrMalformed)
	c.says("security-event", c.header.set("typ", `"secevent+jwt"`), c.claims.last("events", `{}`), token.ErrMalformed)
}
