package tokentest

import (
	"fmt"
	"strings"

	"github.com/authd-project/authd/token"
)

// kind is what a registered claim holds.
type kind int

const (
	aName kind = iota // a string, not empty
	aText             // a string
	aDate
	aList     // of names
	aListOr1  // aud
	minute    = 60
	day       = 24 * 60 * minute
	latestDay = 253402300799 // the last second of the year 9999
)

// claimSpecs are the registered claims of an access token, each with another value that a reader would take.
var claimSpecs = []struct {
	name     string
	kind     kind
	other    string
	required bool
}{
	{"iss", aName, `"https://other.example.com"`, true},
	{"sub", aName, `"mallory"`, true},
	{"aud", aListOr1, `"another-service"`, true},
	{"exp", aDate, "", true},
	{"iat", aDate, "", true},
	{"jti", aName, `"another"`, true},
	{"client_id", aName, `"another"`, true},
	{"nbf", aDate, "", false},
	{"auth_time", aDate, "", false},
	{"sid", aName, `"another"`, false},
	{"scope", aText, `"admin"`, false},
	{"amr", aList, `["hwk"]`, false},
	{"acr", aName, `"3"`, false},
	{"roles", aList, `["admin"]`, false},
}

// values returns the claim's value in the good token, or another if it has none, and a second one.
func (c *corpus) values(name, other string) (value, second string) {
	switch name {
	case "exp":
		second = fmt.Sprint(c.iat + 5*minute + 1)
	case "iat", "nbf", "auth_time":
		second = fmt.Sprint(c.iat - 1)
	default:
		second = other
	}
	if value = c.claims.get(name); value == "" {
		value = second
		if name == "nbf" || name == "auth_time" {
			value = fmt.Sprint(c.iat)
		}
	}
	return value, second
}

// escapedName spells a name with its first letter as an escape.
func escapedName(name string) string { return fmt.Sprintf(`\u%04x%s`, name[0], name[1:]) }

// duplicates: two readers of one token may see two tokens.
func (c *corpus) duplicates() {
	c.about("duplicate", "RFC 7519 section 4; RFC 7515 section 4; RFC 8725 section 2.4")
	for _, s := range claimSpecs {
		value, second := c.values(s.name, s.other)
		claims := c.claims.set(s.name, value)
		c.says("claims/"+s.name+"/same", c.header, claims.last(s.name, value), token.ErrMalformed)
		c.says("claims/"+s.name+"/another-first", c.header, claims.first(s.name, second), token.ErrMalformed)
		if second != value {
			c.says("claims/"+s.name+"/another-last", c.header, claims.last(s.name, second), token.ErrMalformed)
		}
		c.says("claims/"+s.name+"/escaped", c.header, claims.last(escapedName(s.name), second), token.ErrMalformed)
		c.says("claims/"+s.name+"/null-last", c.header, claims.last(s.name, `null`), token.ErrMalformed)
	}
	for _, m := range []struct{ name, other string }{{"alg", `"none"`}, {"kid", quote(c.forger.kid)}, {"typ", `"JWT"`}} {
		c.says("header/"+m.name+"/same", c.header.last(m.name, c.header.get(m.name)), c.claims, token.ErrMalformed)
		c.says("header/"+m.name+"/another-first", c.header.first(m.name, m.other), c.claims, token.ErrMalformed)
		c.says("header/"+m.name+"/another-last", c.header.last(m.name, m.other), c.claims, token.ErrMalformed)
		c.says("header/"+m.name+"/escaped", c.header.last(escapedName(m.name), m.other), c.claims, token.ErrMalformed)
	}
	c.says("header/unknown", c.header.last("x", `1`).last("x", `2`), c.claims, token.ErrMalformed)
	c.says("header/jku", c.header.last("jku", `"https://a.example"`).last("jku", quote(c.Canary)), c.claims, token.ErrMalformed)
	c.says("header/nested", c.header.last("jwk", `{"kty":"EC","kty":"oct"}`), c.claims, token.ErrMalformed)
	c.says("claims/custom", c.header, c.claims.last("plan", `1`).last("plan", `2`), token.ErrMalformed)
	c.says("claims/custom-escaped", c.header, c.claims.last("plan", `1`).last(`pl\u0061n`, `2`), token.ErrMalformed)
	c.says("claims/nested", c.header, c.claims.last("plan", `{"a":1,"b":2,"a":3}`), token.ErrMalformed)
	c.says("claims/nested-deep", c.header, c.claims.last("plan", `[[{"b":{"a":1,"a":3}}]]`), token.ErrMalformed)
	c.says("claims/in-a-crowd", c.header, c.claims.last("plan", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"i":2}`), token.ErrMalformed)
	c.says("claims/empty-name", c.header, c.claims.last("", `1`).last("", `2`), token.ErrMalformed)
}

// foldedNames: names that a reader who compares without regard to case takes for registered ones.
func (c *corpus) foldedNames() {
	c.about("folded", "RFC 7519 section 4; RFC 7515 section 4")
	for _, m := range []struct{ name, value string }{
		{"alg", `"none"`}, {"kid", quote(c.forger.kid)}, {"typ", `"JWT"`}, {"crit", `["x-bound"]`}, {"b64", `false`}, {"enc", `"A256GCM"`}, {"zip", `"DEF"`}, {"cty", `"JWT"`},
	} {
		for _, spelt := range spellings(m.name) {
			c.says("header/beside/"+spelt, c.header.last(spelt, m.value), c.claims, token.ErrMalformed)
			if c.header.get(m.name) != "" {
				c.says("header/instead/"+spelt, c.header.rename(m.name, spelt), c.claims, token.ErrMalformed)
			}
		}
	}
	for _, s := range claimSpecs {
		value, second := c.values(s.name, s.other)
		for _, spelt := range spellings(s.name) {
			c.says("claims/beside/"+spelt, c.header, c.claims.set(s.name, value).last(spelt, second), token.ErrMalformed)
			c.says("claims/before/"+spelt, c.header, c.claims.set(s.name, value).first(spelt, second), token.ErrMalformed)
			if s.required {
				c.says("claims/instead/"+spelt, c.header, c.claims.rename(s.name, spelt), token.ErrMalformed)
			}
		}
	}
	past := fmt.Sprint(c.iat - day)
	c.says("claims/lives-again", c.header, c.claims.set("exp", past).last("Exp", fmt.Sprint(c.iat+10*minute)), token.ErrMalformed)
	c.says("claims/escaped", c.header, c.claims.last(`\u0045xp`, fmt.Sprint(c.iat+10*minute)), token.ErrMalformed)
	c.says("claims/Cnf", c.header, c.claims.last("Cnf", `{}`), token.ErrMalformed)
}

// spellings are those that encoding/json, for one, takes for name.
func spellings(name string) []string {
	upper := strings.ToUpper(name)
	found := []string{upper}
	if title := upper[:1] + name[1:]; title != upper {
		found = append(found, title)
	}
	if end := name[:len(name)-1] + upper[len(name)-1:]; end != name {
		found = append(found, end)
	}
	if i := strings.IndexByte(name, 's'); i >= 0 {
		found = append(found, name[:i]+"ſ"+name[i+1:])
	}
	if i := strings.IndexByte(name, 'k'); i >= 0 {
		found = append(found, name[:i]+"\u212a"+name[i+1:])
	}
	return found
}

// missing: a claim that RFC 9068 requires is not there.
func (c *corpus) missing() {
	c.about("missing", "RFC 9068 section 2.2")
	for _, s := range claimSpecs {
		if s.required {
			c.says(s.name, c.header, c.claims.without(s.name), token.ErrMalformed)
		}
	}
	c.says("all", c.header, object{}, token.ErrMalformed)
	c.says("all-but-sub", c.header, object{{"sub", `"mallory"`}}, token.ErrMalformed)
	c.says("all-but-exp", c.header, object{{"exp", fmt.Sprint(c.iat + 10*minute)}}, token.ErrMalformed)
	c.says("in-another-object", c.header, object{{"claims", c.claims.String()}}, token.ErrMalformed)
}

// wrongTypes: a value of the wrong JSON type, which a reader may turn into something. Dates have a group of their own.
func (c *corpus) wrongTypes() {
	c.about("type", "RFC 7519 section 4.1; RFC 9068 section 2.2")
	bad := map[kind][]string{
		aName:    {`null`, `true`, `false`, `1`, `0`, `[]`, `["x"]`, `{}`, `""`},
		aText:    {`null`, `true`, `1`, `[]`, `["admin"]`, `{}`},
		aList:    {`null`, `true`, `1`, `"x"`, `""`, `{}`, `[null]`, `[1]`, `[[]]`, `[""]`, `["x",["admin"]]`, `{"0":"admin"}`},
		aListOr1: {`null`, `true`, `1`, `{}`, `[]`, `[null]`, `[1]`, `[""]`, `""`},
	}
	for _, s := range claimSpecs {
		for _, value := range bad[s.kind] {
			c.says(s.name+"/"+value, c.header, c.claims.set(s.name, value), token.ErrMalformed)
		}
		if s.kind == aName {
			if value := c.claims.get(s.name); value != "" {
				c.says(s.name+"/in-a-list", c.header, c.claims.set(s.name, `[`+value+`]`), token.ErrMalformed)
			}
		}
	}
	if aud := c.claims.get("aud"); aud != "" {
		c.says("aud/in-lists", c.header, c.claims.set("aud", `[[`+strings.Trim(aud, "[]")+`]]`), token.ErrMalformed)
		c.says("aud/in-an-object", c.header, c.claims.set("aud", `{"aud":`+aud+`}`), token.ErrMalformed)
		c.says("aud/beside-null", c.header, c.claims.set("aud", `[`+strings.Trim(aud, "[]")+`,null]`), token.ErrMalformed)
	}
}

// dates: what is no NumericDate, or none that fits.
func (c *corpus) dates() {
	c.about("date", "RFC 7519 section 2")
	good := fmt.Sprint(c.iat + 5*minute)
	values := []string{
		`-1`, `-0.5`, `-` + good, `-1e300`, `1e300`, `1e400`, `-1e400`, `1e99999`, `253402300800`, `253402300799.5`, `9007199254740993000`, `9223372036854775807`, `9223372036854775808`,
		`18446744073709551615`, `18446744073709551616`, good + `000000000`, strings.Repeat("9", 400), `1` + strings.Repeat("0", 5000),
		`NaN`, `Infinity`, `-Infinity`, `+` + good, `0` + good, good + `.`, `.5`, good + `e`, good + `e+`, `0x7fffffff`, `0o17`, `1_900_000_000`, good + `L`, good + `n`, `１９００００００００`,
		quote(good), `"1e12"`, `"99999999999"`, `"2099-01-01T00:00:00Z"`, `"Thu, 01 Jan 2099 00:00:00 GMT"`, `"never"`, `"NaN"`, `"Infinity"`, `""`,
		`null`, `true`, `false`, `[` + good + `]`, `[]`, `{}`, `{"$date":` + good + `}`,
	}
	for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
		for i, value := range values {
			label := value
			if len(label) > 40 {
				label = fmt.Sprint("digits-", len(value))
			}
			c.says(fmt.Sprintf("%s/%02d/%s", name, i, label), c.header, c.claims.set(name, value), token.ErrMalformed)
		}
	}
}

// expired: exp is a date, and past.
func (c *corpus) expired() {
	c.about("expired", "RFC 7519 section 4.1.4")
	for _, value := range []string{
		fmt.Sprint(c.iat - 31), fmt.Sprint(c.iat - minute), fmt.Sprint(c.iat - day), fmt.Sprint(c.iat - 365*day), `0`, `-0`, `0.0`, `0e0`, `1`, `0.5`, `1e9`, `1000000000.9`,
		`1E+9`, `10e8`, `1.0e9`, fmt.Sprintf("%d.999", c.iat-32), `2147483`,
	} {
		c.says("exp/"+value, c.header, c.claims.set("exp", value), token.ErrExpired)
	}
	old := c.claims.set("exp", fmt.Sprint(c.iat-day)).set("iat", fmt.Sprint(c.iat-day-10*minute))
	c.says("a-token-of-yesterday", c.header, old, token.ErrExpired)
	c.says("of-yesterday-with-a-new-iat", c.header, c.claims.set("exp", fmt.Sprint(c.iat-day)), token.ErrExpired)
}

// future: nbf or iat is a date, and has not come.
func (c *corpus) future() {
	c.about("future", "RFC 7519 sections 4.1.5 and 4.1.6")
	for _, name := range []string{"nbf", "iat"} {
		for _, value := range []string{
			fmt.Sprint(c.iat + 2*day), fmt.Sprint(c.iat + 365*day), fmt.Sprintf("%d.5", c.iat+2*day), fmt.Sprint(latestDay), `2e11`, `253402300799.0`, `1E11`,
		} {
			c.says(name+"/"+value, c.header, c.claims.set(name, value), token.ErrNotYetValid)
		}
	}
	later := c.claims.set("iat", fmt.Sprint(c.iat+2*day)).set("exp", fmt.Sprint(c.iat+2*day+10*minute))
	c.says("a-token-of-tomorrow", c.header, later, token.ErrNotYetValid)
}

// lives: a token that an issuer's mistake keeps alive for longer than anybody remembers its revocation.
func (c *corpus) lives() {
	c.about("life", "RFC 8725 section 3.10; RFC 9068 section 6")
	for _, value := range []string{
		fmt.Sprint(c.iat + day + 1), fmt.Sprint(c.iat + 30*day), fmt.Sprint(c.iat + 10*365*day), fmt.Sprint(c.iat+600) + "000", fmt.Sprint(latestDay), `2e11`, fmt.Sprintf("%d.5", c.iat+10*day),
	} {
		c.says("exp/"+value, c.header, c.claims.set("exp", value), token.ErrMalformed)
	}
	for _, value := range []string{`0`, `1`, `0.5`, `1e9`, fmt.Sprint(c.iat - 2*day)} {
		c.says("iat/"+value, c.header, c.claims.set("iat", value), token.ErrMalformed)
	}
}

// strings: text that does harm where it is written down: in a header, a log, a query.
func (c *corpus) strings() {
	c.about("text", "RFC 8725 section 3.10; RFC 9110 section 5.5")
	bad := []struct{ name, value string }{
		{"NUL", "a\x00"}, {"line-ends", "a\r\nX-Auth-Roles: admin"}, {"LF", "a\n"}, {"CR", "a\r"}, {"tab", "a\tb"}, {"escape", "\x1b[2J"}, {"DEL", "a\x7f"}, {"C1", "a\u0085"}, {"long", strings.Repeat("a", 256)},
	}
	for _, s := range claimSpecs {
		if s.kind == aDate {
			continue
		}
		for _, b := range bad {
			value := quote(b.value)
			if b.name == "long" && s.kind == aText {
				value = quote(strings.Repeat("a", 2049))
			}
			if s.kind == aList || s.kind == aListOr1 {
				first := strings.Trim(c.claims.get(s.name), "[]")
				if first != "" {
					first += ","
				}
				value = `[` + first + value + `]`
			}
			c.says(s.name+"/"+b.name, c.header, c.claims.set(s.name, value), token.ErrMalformed)
		}
	}
	c.says("roles/65", c.header, c.claims.set("roles", `["a"`+strings.Repeat(`,"a"`, 64)+`]`), token.ErrMalformed)
	c.says("amr/65", c.header, c.claims.set("amr", `["a"`+strings.Repeat(`,"a"`, 64)+`]`), token.ErrMalformed)
	c.says("sub/4096", c.header, c.claims.set("sub", quote(strings.Repeat("a", 4096))), token.ErrMalformed)
}

// issuers: iss is not the expected one, byte for byte.
func (c *corpus) issuers() {
	c.about("iss", "RFC 9068 section 4; RFC 8725 section 3.8")
	iss := strings.Trim(c.claims.get("iss"), `"`)
	scheme, host, _ := strings.Cut(iss, "://")
	for _, value := range []string{
		iss + "/", iss + "//", iss + "/.", iss + "?", iss + "#", iss + "/a", iss + " ", " " + iss, strings.ToUpper(iss), strings.ToUpper(scheme) + "://" + host, scheme + "://" + strings.ToUpper(host) + "/",
		"ftp://" + host, "//" + host, host, iss + ":443", iss + ".", iss + ".evil.example", scheme + "://evil.example/" + host, scheme + "://evil.example?" + iss, scheme + "://" + host + "@evil.example",
		scheme + "://user@" + host, scheme + "://evil." + host, iss[:len(iss)-1], iss[1:], iss + "," + iss, iss + " " + iss, scheme + ":/" + host, strings.Replace(iss, "e", "%65", 1), strings.Replace(iss, "a", "а", 1),
		iss + "\u200b", "\ufeff" + iss, "*", "https://*", "https://other.example.com", "https://accounts.google.com", "null", "0",
	} {
		if value != iss {
			c.says(printable(value), c.header, c.claims.set("iss", quote(value)), token.ErrIssuer)
		}
	}
}

// audiences: aud names others only.
func (c *corpus) audiences() {
	c.about("aud", "RFC 7519 section 4.1.3; RFC 8725 section 3.9")
	aud := strings.Trim(c.claims.get("aud"), `"[]`)
	aud, _, _ = strings.Cut(aud, `"`)
	for _, value := range []string{
		"another-service", aud + "2", aud + "/", aud + " ", " " + aud, flipCase(aud), aud[1:], aud[:len(aud)-1] + "\u200b", aud + "," + aud, aud + " " + aud, aud + ";", "*", ".*", "^", "null", "all", "any", "https://" + aud,
		aud + "#", aud + ".", "\ufeff" + aud, "[" + aud + "]", `["` + aud + `"]`, `"` + aud + `"`, "urn:" + aud, "0", "true",
	} {
		c.says(printable(value), c.header, c.claims.set("aud", quote(value)), token.ErrAudience)
	}
	c.says("a-list", c.header, c.claims.set("aud", `["another-service","`+flipCase(aud)+`","`+aud+`2"]`), token.ErrAudience)
	c.says("a-list-of-64", c.header, c.claims.set("aud", `["x"`+strings.Repeat(`,"x"`, 63)+`]`), token.ErrAudience)
	c.says("a-list-of-65", c.header, c.claims.set("aud", `[`+strings.Repeat(`"x",`, 64)+quote(aud)+`]`), token.ErrMalformed)
}

// bound: a token that is good only together with a proof, sent without one.
func (c *corpus) bound() {
	c.about("bound", "RFC 9449 section 6; RFC 8705 section 3; RFC 7800")
	for _, value := range []string{
		`{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`, `{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}`, `{"kid":"a"}`, `{"jwk":{"kty":"oct","k":"AA"}}`,
		`{"jku":` + quote(c.canaryURL("/jwks.json")) + `}`, `{"jwe":"a"}`, `{"jkt":""}`, `{"jkt":null}`, `{"jkt":1}`, `{"jkt":["0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"]}`, `{"unknown":1}`, `{}`, `null`, `[]`, `""`, `true`, `0`,
	} {
		c.says(value, c.header, c.claims.set("cnf", value), token.ErrInvalid)
	}
}
