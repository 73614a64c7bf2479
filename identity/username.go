package identity

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// ErrUsername means that a name cannot be a username; the error's text says why.
var ErrUsername = errors.New("username not accepted")

// MaxUsernameLength is the longest username, in characters after normalization.
const MaxUsernameLength = 128

// NormalizeUsername returns the one form of a name under which it is stored and compared: the UsernameCaseMapped
// profile of PRECIS (RFC 8265 section 3.3), that is lower case, NFC, full-width letters folded, and no spaces, control
// characters or compatibility characters. "Alice@Example.com" and "alice@example.com" are one user. The names "." and
// ".." are refused, since no URL can name them. The error wraps ErrUsername.
func NormalizeUsername(name string) (string, error) {
	const maxBytes = 4 * MaxUsernameLength // nothing longer can become short enough
	if name == "" || len(name) > maxBytes {
		return "", fmt.Errorf("%w: want 1 to %d characters", ErrUsername, MaxUsernameLength)
	}
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: not valid UTF-8", ErrUsername)
	}
	normal, err := precis.UsernameCaseMapped.String(name)
	if err != nil {
		return "", fmt.Errorf("%w: it has a space, a control character or a character that names may not have", ErrUsername)
	}
	if n := utf8.RuneCountInString(normal); n < 1 || n > MaxUsernameLength {
		return "", fmt.Errorf("%w: want 1 to %d characters, have %d", ErrUsername, MaxUsernameLength, n)
	}
	if normal == "." || normal == ".." {
		return "", fmt.Errorf("%w: it is a relative path", ErrUsername)
	}
	return normal, nil
}
