package identity

import (
	"errors"
	"fmt"
)

// MaxSubjectLength is the longest subject of an account that another system describes, in bytes. With the prefix of
// [InOrder] it still fits into a refresh token.
const MaxSubjectLength = 128

// Adopt returns an account that another system describes in the form that authd's own have: its name as
// [NormalizeUsername] and its roles as [NormalizeRoles] make them. The error says what authd cannot take: also a subject
// that is not 1 to [MaxSubjectLength] printable ASCII characters without a space, as it travels in headers.
func Adopt(a Account) (Account, error) {
	var problems []error
	if err := checkSubject(a.Subject); err != nil {
		problems = append(problems, err)
	}
	var err error
	if a.Username, err = NormalizeUsername(a.Username); err != nil {
		problems = append(problems, err)
	}
	if a.Roles, err = NormalizeRoles(a.Roles); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return Account{}, err
	}
	return a, nil
}

func checkSubject(subject string) error {
	if subject == "" || len(subject) > MaxSubjectLength {
		return fmt.Errorf("subject: want 1 to %d characters, have %d", MaxSubjectLength, len(subject))
	}
	for _, c := range []byte(subject) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("subject %q: a character is not printable ASCII", subject)
		}
	}
	return nil
}
