package tokentest

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"

	"github.com/authd-project/authd/token"
)

// syntax: header and claims that are not JSON, or not one object, but nearly.
func (c *corpus) syntax() {
	c.about("json", "RFC 7519 section 7.2; RFC 8259")
	for name, change := range map[string]func(good string) string{
		"empty":               func(string) string { return "" },
		"spaces":              func(string) string { return "   " },
		"null":                func(string) string { return "null" },
		"number":              func(string) string { return "1" },
		"true":                func(string) string { return "true" },
		"empty-list":          func(string) string { return "[]" },
		"empty-object":        func(string) string { return "{}" },
		"in-a-list":           func(s string) string { return "[" + s + "]" },
		"in-a-string":         quote,
		"in-base64url":        encode,
		"in-an-object":        func(s string) string { return `{"":` + s + `}` },
		"letter-after":        func(s string) string { return s + "x" },
		"object-after":        func(s string) string { return s + "{}" },
		"itself-after":        func(s string) string { return s + s },
		"comma-after":         func(s string) string { return s + "," },
		"brace-after":         func(s string) string { return s + "}" },
		"NUL-after":           func(s string) string { return s + "\x00" },
		"comment-after":       func(s string) string { return s + "//" },
		"comment-before":      func(s string) string { return "/**/" + s },
		"comment-inside":      func(s string) string { return s[:1] + "/**/" + s[1:] },
		"hash-comment-inside": func(s string) string { return s[:1] + "#\n" + s[1:] },
		"BOM":                 func(s string) string { return "\ufeff" + s },
		"UTF-16LE":            func(s string) string { return inUTF16(s, false) },
		"UTF-16BE":            func(s string) string { return inUTF16(s, true) },
		"UTF-16LE-BOM":        func(s string) string { return inUTF16("\ufeff"+s, false) },
		"NUL-before":          func(s string) string { return "\x00" + s },
		"form-feed":           func(s string) string { return "\f" + s },
		"vertical-tab":        func(s string) string { return "\v" + s },
		"no-break-space":      func(s string) string { return "\u00a0" + s },
		"line-separator":      func(s string) string { return "\u2028" + s },
		"XSSI-prefix":         func(s string) string { return ")]}'\n" + s },
		"no-end":              func(s string) string { return s[:len(s)-1] },
		"no-beginning":        func(s string) string { return s[1:] },
		"trailing-comma":      func(s string) string { return s[:len(s)-1] + ",}" },
		"leading-comma":       func(s string) string { return "{," + s[1:] },
		"two-commas":          func(s string) string { return s[:len(s)-1] + `,,"x":1}` },
		"no-comma":            func(s string) string { return s[:len(s)-1] + `"x":1}` },
		"no-colon":            func(s string) string { return s[:len(s)-1] + `,"x"1}` },
		"no-value":            func(s string) string { return s[:len(s)-1] + `,"x":}` },
		"no-name":             func(s string) string { return s[:len(s)-1] + `,:1}` },
		"name-without-quotes": func(s string) string { return s[:len(s)-1] + `,x:1}` },
		"single-quotes":       func(s string) string { return strings.ReplaceAll(s, `"`, `'`) },
		"number-for-a-name":   func(s string) string { return s[:len(s)-1] + `,1:1}` },
		"equals":              func(s string) string { return strings.ReplaceAll(s, `":`, `"=`) },
		"wrong-bracket":       func(s string) string { return s[:len(s)-1] + "]" },
		"True":                func(s string) string { return s[:len(s)-1] + `,"x":True}` },
		"undefined":           func(s string) string { return s[:len(s)-1] + `,"x":undefined}` },
		"nul":                 func(s string) string { return s[:len(s)-1] + `,"x":nul}` },
		"open-string":         func(s string) string { return s[:len(s)-1] + `,"x":"}` },
		"line-end-in-string":  func(s string) string { return s[:len(s)-1] + ",\"x\":\"a\nb\"}" },
		"tab-in-string":       func(s string) string { return s[:len(s)-1] + ",\"x\":\"a\tb\"}" },
		"NUL-in-string":       func(s string) string { return s[:len(s)-1] + ",\"x\":\"a\x00b\"}" },
		"escape-x":            func(s string) string { return s[:len(s)-1] + `,"x":"\x41"}` },
		"escape-quote":        func(s string) string { return s[:len(s)-1] + `,"x":"\'"}` },
		"escape-octal":        func(s string) string { return s[:len(s)-1] + `,"x":"\101"}` },
		"escape-U":            func(s string) string { return s[:len(s)-1] + `,"x":"\U00000041"}` },
		"escape-short":        func(s string) string { return s[:len(s)-1] + `,"x":"\u41"}` },
		"escape-not-hex":      func(s string) string { return s[:len(s)-1] + `,"x":"\u00zz"}` },
		"escape-braces":       func(s string) string { return s[:len(s)-1] + `,"x":"\u{41}"}` },
		"escape-in-name":      func(s string) string { return s[:len(s)-1] + `,"\x":1}` },
	} {
		c.says("header/"+name, text(change(c.header.String())), c.claims, token.ErrMalformed)
		c.says("claims/"+name, c.header, text(change(c.claims.String())), token.ErrMalformed)
	}
}

func inUTF16(s string, bigEndian bool) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		if bigEndian {
			b = append(b, byte(unit>>8), byte(unit))
		} else {
			b = append(b, byte(unit), byte(unit>>8))
		}
	}
	return string(b)
}

// unicode: text that readers repair in different ways.
func (c *corpus) unicode() {
	c.about("unicode", "RFC 7515 section 5.2; RFC 8259 section 8.2")
	for _, bad := range []struct{ name, content string }{
		{"byte-ff", "\xff"}, {"byte-80", "\x80"}, {"latin-1", "\xe9"}, {"overlong-dot", "\xc0\xae"}, {"overlong-slash-3", "\xe0\x80\xaf"}, {"overlong-NUL", "\xc0\x80"}, {"cut", "\xe2\x82"},
		{"encoded-surrogate", "\xed\xa0\x80"}, {"encoded-pair", "\xed\xa0\xbd\xed\xb8\x80"}, {"beyond-10ffff", "\xf4\x90\x80\x80"}, {"five-bytes", "\xf8\x88\x80\x80\x80"},
		{"lone-high", `\ud800`}, {"lone-low", `\udc00`}, {"high-and-letter", `\ud800b`}, {"two-high", `\ud800\ud800`}, {"wrong-order", `\udc00\ud800`}, {"high-and-escape", `\ud800\n`}, {"high-and-half", `\ud83d\u00`},
	} {
		c.says("sub/"+bad.name, c.header, c.claims.set("sub", `"a`+bad.content+`"`), token.ErrMalformed)
		c.says("custom/"+bad.name, c.header, c.claims.last("plan", `{"a":["`+bad.content+`"]}`), token.ErrMalformed)
		c.says("name/"+bad.name, c.header, c.claims.last("plan"+bad.content, `1`), token.ErrMalformed)
		c.says("header/"+bad.name, c.header.last("x", `"`+bad.content+`"`), c.claims, token.ErrMalformed)
		c.says("kid/"+bad.name, c.header.set("kid", `"`+c.kid+bad.content+`"`), c.claims, token.ErrMalformed)
	}
}

// numbers: what JSON does not have, or readers have not.
func (c *corpus) numbers() {
	c.about("number", "RFC 8259 section 6")
	for _, value := range []string{
		`NaN`, `-NaN`, `Infinity`, `-Infinity`, `Inf`, `1e400`, `-1e400`, `1e99999999`, `+1`, `01`, `-01`, `00`, `1.`, `.1`, `-.1`, `-`, `1e`, `1e+`, `1.e1`, `0x10`, `0b1`, `1_0`, `1,0`, `1 0`, `١`, `1f`, `--1`, `1e1.5`,
	} {
		c.says("claims/"+value, c.header, c.claims.last("seats", value), token.ErrMalformed)
		c.says("header/"+value, c.header.last("x", value), c.claims, token.ErrMalformed)
	}
}

// nesting: JSON that goes deeper than a reader's stack should.
func (c *corpus) nesting() {
	c.about("nesting", "RFC 8259 section 9; CWE-674")
	for _, depth := range []int{16, 17, 64, 1000} {
		list := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		objects := strings.Repeat(`{"":`, depth) + "1" + strings.Repeat("}", depth)
		for name, value := range map[string]string{"lists": list, "objects": objects, "open-lists": strings.Repeat("[", depth), "open-objects": strings.Repeat(`{"":`, depth)} {
			c.says(fmt.Sprintf("claims/%d-%s", depth, name), c.header, c.claims.last("plan", value), token.ErrMalformed)
			c.says(fmt.Sprintf("header/%d-%s", depth, name), c.header.last("x", value), c.claims, token.ErrMalformed)
		}
	}
	c.says("claims/sub", c.header, c.claims.set("sub", strings.Repeat("[", 100)+`"a"`+strings.Repeat("]", 100)), token.ErrMalformed)
	c.says("claims/only", c.header, text(strings.Repeat("[", 5000)), token.ErrMalformed)
	c.says("header/only", text(strings.Repeat("[", 5000)), c.claims, token.ErrMalformed)
}

// sizes: longer than 8 KiB, which is what header fields commonly may have.
func (c *corpus) sizes() {
	c.about("size", "RFC 9110 section 5.4; CWE-400")
	const limit = 8 << 10
	for _, n := range []int{limit, 2 * limit, 8 * limit} {
		padding := strings.Repeat("a", n*3/4) // n characters in base64, and the token around it
		name := fmt.Sprintf("more-than-%d/", n)
		c.says(name+"claim", c.header, c.claims.last("plan", quote(padding)), token.ErrMalformed)
		c.says(name+"spaces", c.header, text(c.claims.String()+strings.Repeat(" ", len(padding))), token.ErrMalformed)
		c.says(name+"header", c.header.last("x", quote(padding)), c.claims, token.ErrMalformed)
		c.add(name+"dots", c.Good+strings.Repeat(".", n), token.ErrMalformed)
	}
	for _, n := range []int{limit + 1, 2*limit + 1, 8*limit + 1, 128 * limit} {
		c.add(fmt.Sprint("garbage/", n), strings.Repeat("a", n), token.ErrMalformed)
	}
	// One character above the limit, and what is behind it is good: the last claim is as long as it takes.
	for n := limit / 2; ; n++ {
		if raw := c.signed(c.header, c.claims.last("plan", quote(strings.Repeat("a", n)))); len(raw) > limit {
			c.add("just-above", raw, token.ErrMalformed)
			break
		} else if left := (limit - len(raw)) * 3 / 4; left > 8 {
			n += left - 8
		}
	}
	c.add("signature-too-long", c.with(append(c.signature, make([]byte, limit)...)), token.ErrMalformed)
}

// alphabet: other characters than base64url has, padding, and other encodings.
func (c *corpus) alphabet() {
	c.about("alphabet", "RFC 7515 section 2; RFC 8725bis section 3.14")
	h, b, s := c.headPart, c.bodyPart, c.sig
	join := func(h, b, s string) string { return h + "." + b + "." + s }
	for name, more := range map[string]string{
		"padding": "=", "two-paddings": "==", "three-paddings": "===", "space": " ", "tab": "\t", "NUL": "\x00", "DEL": "\x7f", "vertical-tab": "\v", "form-feed": "\f", "no-break-space": "\u00a0",
		"zero-width-space": "\u200b", "BOM": "\ufeff", "percent-20": "%20", "percent-00": "%00", "percent-0a": "%0a", "plus": "+", "slash": "/", "comma": ",", "semicolon": ";", "quote": `"`, "apostrophe": "'",
		"backslash": `\`, "tilde": "~", "star": "*", "question": "?", "hash": "#", "at": "@", "colon": ":", "bang": "!", "brace": "}", "less": "<", "full-width-A": "Ａ", "Cyrillic-A": "А", "byte-ff": "\xff", "overlong-A": "\xc1\x81",
	} {
		c.add("after/"+name, c.Good+more, token.ErrMalformed)
		c.add("before/"+name, more+c.Good, token.ErrMalformed)
		c.add("after-header/"+name, join(h+more, b, s), token.ErrMalformed)
		if name != "space" && name != "padding" {
			c.add("in-signature/"+name, join(h, b, s[:9]+more+s[9:]), token.ErrMalformed)
		}
	}
	// The signature covers what the claims were changed into.
	for name, more := range map[string]string{"padding": "=", "space": " ", "star": "*", "percent-3d": "%3D"} {
		c.add("signed-after-claims/"+name, c.signing(c.Key, h+"."+b+more), token.ErrMalformed)
		c.add("signed-after-header/"+name, c.signing(c.Key, h+more+"."+b), token.ErrMalformed)
	}
	c.standardAlphabet()
	c.spareBits()
	for name, raw := range map[string]string{
		"percent-encoded": url.QueryEscape(strings.ReplaceAll(c.Good, ".", "%2E")), "percent-dots": strings.ReplaceAll(c.Good, ".", "%2E"), "hex": hex.EncodeToString([]byte(c.Good)),
		"base32": base32.StdEncoding.EncodeToString([]byte(c.Good)), "base64": base64.StdEncoding.EncodeToString([]byte(c.Good)), "base64url": encode(c.Good), "quoted": `"` + c.Good + `"`, "in-angles": "<" + c.Good + ">",
		"in-parentheses": "(" + c.Good + ")", "data-URL": "data:application/jwt," + c.Good, "URN": "urn:ietf:params:oauth:token-type:jwt:" + c.Good, "JSON-escaped": strings.ReplaceAll(c.Good, ".", `\u002e`),
		"HTML-escaped": strings.ReplaceAll(c.Good, ".", "&#46;"), "upper-case": strings.ToUpper(c.Good), "full-width-dots": strings.ReplaceAll(c.Good, ".", "．"), "leader-dots": strings.ReplaceAll(c.Good, ".", "․"),
		"ideographic-dots": strings.ReplaceAll(c.Good, ".", "。"), "colons": strings.ReplaceAll(c.Good, ".", ":"), "tildes": strings.ReplaceAll(c.Good, ".", "~"), "UTF-16": inUTF16(c.Good, false), "spaced": strings.ReplaceAll(c.Good, ".", " . "),
	} {
		c.add("whole/"+name, raw, token.ErrMalformed)
	}
	c.add("parts/hex", join(hex.EncodeToString([]byte(c.header.String())), b, s), token.ErrMalformed)
	c.add("parts/plain-claims", c.signing(c.Key, h+"."+c.claims.String()), token.ErrMalformed)
	c.add("parts/twice-encoded-claims", c.signing(c.Key, h+"."+encode(b)), token.ErrMalformed)
	c.add("parts/twice-encoded-header", c.signing(c.Key, encode(h)+"."+b), token.ErrMalformed)
	c.add("parts/lower-case", strings.ToLower(h)+"."+strings.ToLower(b)+"."+s, token.ErrMalformed)
}

// standardAlphabet: the same bytes in base64 as other readers have it.
func (c *corpus) standardAlphabet() {
	standard := strings.NewReplacer("-", "+", "_", "/")
	// A claim that needs both characters whatever place it gets.
	claims := c.claims.last("plan", `"~~~???~~~???~~~"`).String()
	if part := standard.Replace(encode(claims)); strings.ContainsAny(part, "+/") {
		c.add("standard/claims", c.signing(c.Key, c.headPart+"."+part), token.ErrMalformed)
	}
	header := c.header.last("x", `"~~~???~~~???~~~"`).String()
	if part := standard.Replace(encode(header)); strings.ContainsAny(part, "+/") {
		c.add("standard/header", c.signing(c.Key, part+"."+c.bodyPart), token.ErrMalformed)
	}
	signature := c.sig
	raw := c.Good
	for i := 0; i < 100 && !strings.ContainsAny(signature, "-_"); i++ { // until there is one that shows
		raw = c.signed(c.header, c.claims.last("plan", fmt.Sprint(i)))
		signature = raw[strings.LastIndexByte(raw, '.')+1:]
	}
	cut := strings.LastIndexByte(raw, '.') + 1
	c.add("standard/signature", raw[:cut]+standard.Replace(signature), token.ErrMalformed)
	c.add("standard/padded", base64.StdEncoding.EncodeToString([]byte(c.header.String()))+"."+c.bodyPart+"."+base64.StdEncoding.EncodeToString(c.signature), token.ErrMalformed)
}

// spareBits: the last character of a part has bits that mean nothing, and they are set.
func (c *corpus) spareBits() {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	bump := func(part string, by int) string {
		last := strings.IndexByte(letters, part[len(part)-1])
		return part[:len(part)-1] + letters[last|by:last|by+1]
	}
	for pad := 1; pad <= 2; pad++ {
		space := func(s string) text { // of a length that leaves bits to spare
			return text(s + strings.Repeat(" ", (3-len(s)%3+pad)%3))
		}
		h, b := encode(space(c.header.String()).String()), encode(space(c.claims.String()).String())
		c.add(fmt.Sprint("spare-bits/header-", pad), c.signing(c.Key, bump(h, 1)+"."+c.bodyPart), token.ErrMalformed)
		c.add(fmt.Sprint("spare-bits/claims-", pad), c.signing(c.Key, c.headPart+"."+bump(b, 1)), token.ErrMalformed)
	}
	for by := 1; by <= 3; by++ {
		if len(c.sig)%4 != 0 {
			c.add(fmt.Sprint("spare-bits/signature-", by), c.headPart+"."+c.bodyPart+"."+bump(c.sig, by), token.ErrMalformed)
		}
	}
}

// lineBreaks: Go's base64, for one, skips them.
func (c *corpus) lineBreaks() {
	c.about("line-break", "RFC 7515 sections 2 and 5.2")
	h, b, s := c.headPart, c.bodyPart, c.sig
	for name, br := range map[string]string{"LF": "\n", "CR": "\r", "CRLF": "\r\n", "fold": "\r\n "} {
		for place, raw := range map[string]string{
			"start": br + c.Good, "end": c.Good + br, "in-header": h[:9] + br + h[9:] + "." + b + "." + s, "in-claims": h + "." + b[:9] + br + b[9:] + "." + s, "in-signature": h + "." + b + "." + s[:9] + br + s[9:],
			"before-first-dot": h + br + "." + b + "." + s, "after-first-dot": h + "." + br + b + "." + s, "before-second-dot": h + "." + b + br + "." + s, "after-second-dot": h + "." + b + "." + br + s,
			"every-64": wrapped(c.Good, br), "hundred-at-the-end": c.Good + strings.Repeat(br, 100),
			"signed-in-claims": c.signing(c.Key, h+"."+b[:9]+br+b[9:]), "signed-in-header": c.signing(c.Key, h[:9]+br+h[9:]+"."+b),
		} {
			c.add(name+"/"+place, raw, token.ErrMalformed)
		}
	}
	c.add("injected-header", c.Good+"\r\nX-Auth-Subject: root", token.ErrMalformed)
}

func wrapped(s, br string) string {
	var b strings.Builder
	for ; len(s) > 64; s = s[64:] {
		b.WriteString(s[:64] + br)
	}
	return b.String() + s
}
