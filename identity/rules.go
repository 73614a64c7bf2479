package identity

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MinPasswordLength is the least that NIST SP 800-63B-4 allows, in characters.
	MinPasswordLength = 8
	// AdvisedPasswordLength is what it wants of a password that is the only factor.
	AdvisedPasswordLength = 15
)

// Rules decide which new passwords are good enough. They follow NIST SP 800-63B-4 section 3.1.1.2: a least length, a
// blocklist, and nothing else; no mixture of characters is asked for, and the whole password counts. The zero value is
// ready to use.
type Rules struct {
	// MinLength is the least length in characters; default and lower bound [MinPasswordLength].
	MinLength int
	// Context are words that an attacker of this service would try first, such as its name. The username is always
	// one of them.
	Context []string
	// Known are passwords that attackers have, beside the 11,611 that are built in; nil for none. Package blocklist reads
	// them from a file.
	Known KnownPasswords
}

// KnownPasswords is a list of passwords that attackers have. Methods may be called concurrently.
type KnownPasswords interface {
	// Contains tells whether a password is on the list, in this or another spelling that is as good as the same.
	Contains(password string) (bool, error)
}

// Check returns nil or an error that wraps ErrWeakPassword and tells the person who chose the password what to change. It
// wraps ErrUnavailable when the list of known passwords cannot be read.
func (r Rules) Check(username, password string) error {
	prepared, err := preparePassword(password)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWeakPassword, err)
	}
	least := max(r.MinLength, MinPasswordLength)
	// Normalization can make one character of two and eighteen of one; neither is a way around the rule.
	length := min(utf8.RuneCountInString(password), utf8.RuneCount(prepared))
	if length < least {
		return fmt.Errorf("%w: it has %d characters, at least %d are needed; a few unrelated words make a good one",
			ErrWeakPassword, length, least)
	}
	folded := fold(password)
	switch {
	case common(folded):
		return fmt.Errorf("%w: it is among the most common passwords, which are tried first", ErrWeakPassword)
	case monotonous(folded):
		return fmt.Errorf("%w: it repeats one character or counts up or down", ErrWeakPassword)
	case derived(folded, username):
		return fmt.Errorf("%w: it is little more than the username", ErrWeakPassword)
	}
	for _, word := range r.Context {
		if derived(folded, word) {
			return fmt.Errorf("%w: it is little more than the word %q", ErrWeakPassword, word)
		}
	}
	return r.checkKnown(password)
}

func (r Rules) checkKnown(password string) error {
	if r.Known == nil {
		return nil
	}
	known, err := r.Known.Contains(password)
	switch {
	case err != nil:
		return fmt.Errorf("looking a password up: %w: %w", ErrUnavailable, err)
	case known:
		return fmt.Errorf("%w: it is on a list of passwords that are known from elsewhere, which are tried first", ErrWeakPassword)
	}
	return nil
}

// PasswordAdvice returns a hint for whoever chose an accepted password, or nothing when there is none to give.
func PasswordAdvice(password string) string {
	n := utf8.RuneCountInString(password)
	if n >= AdvisedPasswordLength {
		return ""
	}
	return fmt.Sprintf("the password has %d characters; %d or more are advised, for instance a few unrelated words",
		n, AdvisedPasswordLength)
}

//go:embed blocklist.txt
var blocklist string

// common reports whether a folded password is on the embedded list, by a binary search in the text itself.
func common(folded string) bool {
	_, list, _ := strings.Cut(blocklist, "\n\n") // after the comment
	for low, high := 0, len(list); low < high; { // both are where a line begins
		middle := (low + high) / 2
		begin := strings.LastIndexByte(list[:middle], '\n') + 1
		end := begin + strings.IndexByte(list[begin:], '\n')
		switch line := list[begin:end]; {
		case line == folded:
			return true
		case line < folded:
			low = end + 1
		default:
			high = begin
		}
	}
	return false
}

// monotonous reports whether a text is one character again and again, or characters that follow one another.
func monotonous(folded string) bool {
	runes := []rune(folded)
	for _, step := range []rune{0, 1, -1} {
		follows := true
		for i := 1; i < len(runes) && follows; i++ {
			d := runes[i] - runes[i-1]
			wraps := runes[i-1] == '9' && runes[i] == '0' && step == 1 || runes[i-1] == '0' && runes[i] == '9' && step == -1
			follows = d == step || wraps
		}
		if follows {
			return true
		}
	}
	return false
}

// derived reports whether a folded password is a word, forwards or backwards, once or repeatedly, with digits, spaces
// and punctuation around it at most. Of an e-mail address each side of the @ is a word too.
func derived(folded, word string) bool {
	word = fold(word)
	if folded == word {
		return true
	}
	core := trimOrnaments(folded)
	if core == "" {
		return false
	}
	local, domain, _ := strings.Cut(word, "@")
	for _, w := range []string{word, local, domain} {
		w = trimOrnaments(w)
		if utf8.RuneCountInString(w) < 3 {
			continue // too short to tell a derivative from chance
		}
		if strings.ReplaceAll(core, w, "") == "" || strings.ReplaceAll(core, reverse(w), "") == "" {
			return true
		}
	}
	return false
}

func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

func trimOrnaments(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

func reverse(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}
