package session

import (
	"errors"
	"slices"
	"strings"
	"unicode"
)

const (
	maxUserAgent = 256 // bytes
	maxAddress   = 64
	maxClientID  = 256
	maxScope     = 1024
)

// cleanText makes text that a client sent fit to be stored, listed and logged: valid UTF-8 without control and format
// characters, at most limit bytes.
func cleanText(s string, limit int) string {
	s = s[:min(len(s), 4*limit)] // whatever follows could only matter after a thousand bytes of rubbish
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") // drops a character that was cut in two
	}
	return s
}

// checkClientID holds a client id to RFC 6749 appendix A.1: printable ASCII.
func checkClientID(s string) error {
	if len(s) > maxClientID {
		return errors.New("client id: too long")
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return errors.New("client id: only printable ASCII characters are allowed")
		}
	}
	return nil
}

// checkScope holds a scope to RFC 6749 appendix A.4: tokens of printable ASCII without quotes and backslashes, one space
// between them.
func checkScope(s string) error {
	if len(s) > maxScope {
		return errors.New("scope: too long")
	}
	if s == "" {
		return nil
	}
	for word := range strings.SplitSeq(s, " ") {
		if word == "" {
			return errors.New("scope: words must be separated by single spaces")
		}
		for _, c := range []byte(word) {
			if c <= 0x20 || c > 0x7e || c == '"' || c == '\\' {
				return errors.New("scope: a character is not allowed")
			}
		}
	}
	return nil
}

// contains tells whether every word of narrow is one of wide.
func contains(wide, narrow string) bool {
	for word := range strings.FieldsSeq(narrow) {
		if !slices.Contains(strings.Fields(wide), word) {
			return false
		}
	}
	return true
}
