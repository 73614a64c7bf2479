package dpop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// base64url refuses padding and, being strict, spare bits that are set. It still skips CR and LF, which split refuses.
var base64url = base64.RawURLEncoding.Strict()

// object is a JSON object by its members' names.
type object map[string]json.RawMessage

// readObject reads one JSON object strictly: valid UTF-8, no name twice, none that differs from a known one only by case
// (which encoding/json takes for the same), nothing behind it. part names it in errors.
func readObject(part string, text []byte, known ...string) (object, error) {
	if !utf8.Valid(text) {
		return nil, defect(part + " is not valid UTF-8")
	}
	notObject := defect(part + " is not a JSON object")
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, notObject
	}
	o := make(object)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return nil, notObject
		}
		if _, have := o[name]; have || strings.ContainsRune(name, utf8.RuneError) {
			return nil, defect(part + " has a member twice")
		}
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return nil, defect(part + " has a member spelt like " + k)
			}
		}
		o[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, notObject
	}
	if len(bytes.TrimLeft(text[dec.InputOffset():], " \t\r\n")) > 0 {
		return nil, defect("something follows " + part)
	}
	return o, nil
}

// text returns a string of at most limit bytes that is not empty and has no control characters. The decoder puts U+FFFD in
// the place of a lone surrogate, so that one is refused too.
func (o object) text(name string, limit int) (string, error) {
	value, have := o[name]
	if !have {
		return "", defect(name + " is missing")
	}
	var s string
	if value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", defect(name + " is not a string")
	}
	bad := func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
	if s == "" || len(s) > limit || strings.ContainsFunc(s, bad) {
		return "", defect(name + " is empty, too long or has characters that it must not have")
	}
	return s, nil
}

// optional is text for a member that may be absent.
func (o object) optional(name string, limit int) (string, error) {
	if _, have := o[name]; !have {
		return "", nil
	}
	return o.text(name, limit)
}

// number returns a number of whole seconds; a fraction is cut off (RFC 7519 section 2).
func (o object) number(name string) (int64, error) {
	value, have := o[name]
	if !have {
		return 0, defect(name + " is missing")
	}
	var f float64
	if c := value[0]; (c != '-' && (c < '0' || c > '9')) || json.Unmarshal(value, &f) != nil {
		return 0, defect(name + " is not a number")
	}
	const latest = 253402300799   // 9999-12-31T23:59:59Z
	if !(f >= 0 && f <= latest) { // compared as a float, since a conversion that overflows is undefined
		return 0, defect(name + " is out of range")
	}
	return int64(f), nil
}

// bytes returns what a string holds in base64url, in its one spelling.
func (o object) bytes(name string, limit int) ([]byte, error) {
	s, err := o.text(name, base64url.EncodedLen(limit))
	if err != nil {
		return nil, err
	}
	b, err := base64url.DecodeString(s)
	if err != nil {
		return nil, defect(name + " is not base64url without padding")
	}
	return b, nil
}
