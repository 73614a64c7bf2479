package identity

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxPasswordBytes is the longest password that is hashed, in bytes of UTF-8 as typed. Longer ones are refused before
// any work is done.
const MaxPasswordBytes = 1024

// preparePassword returns the bytes to hash: the password in normalization form NFKC, as NIST SP 800-63B-4 section
// 3.1.1.2 asks, so that a password does not depend on whether a keyboard composes its accents or types full-width
// digits. (RFC 8265's OpaqueString prefers NFC; the few bits that NFKC folds away matter less than a user who cannot
// log in from another device.) Code points without a meaning yet are refused, for a later Unicode may normalize them
// otherwise ("stabilized strings", UAX 15 section 12.1). The error never quotes the password.
func preparePassword(password string) ([]byte, error) {
	switch {
	case password == "":
		return nil, errors.New("the password is empty")
	case len(password) > MaxPasswordBytes:
		return nil, fmt.Errorf("the password is longer than %d bytes", MaxPasswordBytes)
	case !utf8.ValidString(password):
		return nil, errors.New("the password is not valid UTF-8")
	}
	for _, r := range password {
		if r >= utf8.RuneSelf && unicode.Is(unicode.Cn, r) {
			return nil, fmt.Errorf("the password has a character that Unicode %s does not assign", unicode.Version)
		}
	}
	return norm.NFKC.Bytes([]byte(password)), nil
}
