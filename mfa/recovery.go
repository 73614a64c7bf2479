package mfa

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
)

// RecoveryCodes is how many recovery codes a set has. Each works once.
const RecoveryCodes = 10

// recoveryBytes is the size of a recovery code: 80 random bits, which nobody guesses. It makes 16 characters.
const recoveryBytes = 10

// newRecoveryCodes draws a set, as it is shown: four groups of four.
func newRecoveryCodes(random io.Reader) ([]string, error) {
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		var b [recoveryBytes]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, fmt.Errorf("making recovery codes: %w", err)
		}
		codes[i] = grouped(strings.ToLower(base32.StdEncoding.EncodeToString(b[:])))
	}
	return codes, nil
}

// grouped puts a dash after every four characters.
func grouped(code string) string {
	var groups []string
	for ; len(code) > 4; code = code[4:] {
		groups = append(groups, code[:4])
	}
	return strings.Join(append(groups, code), "-")
}

// cleanRecoveryCode returns the one spelling of a code, whatever dashes, blanks and capitals it was typed with. Base32 has
// no 0, 1 and 8: who writes one of them meant the letter that looks like it. ok is false for what cannot be a code.
func cleanRecoveryCode(typed string) (code string, ok bool) {
	code = strings.NewReplacer("-", "", " ", "", "0", "o", "1", "l", "8", "b").Replace(strings.ToLower(typed))
	return code, len(code) == 16 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
