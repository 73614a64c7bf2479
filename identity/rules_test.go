package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
)

func TestRulesAccept(t *testing.T) {
	rules := identity.Rules{Context: []string{"authd", "login.example.com"}}
	for name, password := range map[string]string{
		"eight characters":        "mq7vbzke",
		"no upper case, no digit": "violin marmalade tundra",
		"digits only":             "4829105837",
		"spaces only between":     "a b c d e",
		"64 characters":           strings.Repeat("mq7vbzke", 8),
		"longest":                 strings.Repeat("mq7vbzke", identity.MaxPasswordBytes/8),
		"not Latin":               "пианино варенье",
		"symbols":                 "🔑🚪🦉🌋🧵🪁🫖🧭",
		"has the username inside": "my alice in wonderland",
		"has a common one inside": "password violin tundra",
		"username and more":       "alicexyz",
		"short word of context":   "exampleish.commons",
		"wraps but does not rise": "90128901",
		"control characters":      "violin\x00tundra",
	} {
		t.Run(name, func(t *testing.T) {
			if err := rules.Check("alice", password); err != nil {
				t.Errorf("Check(%q): %v", password, err)
			}
		})
	}
}

func TestRulesRefuse(t *testing.T) {
	rules := identity.Rules{Context: []string{"authd", "Example Shop"}}
	for name, c := range map[string]struct{ password, reason string }{
		"empty":                      {"", "empty"},
		"seven":                      {"mq7vbzk", "7 characters"},
		"seven of two bytes each":    {"мйцукен", "7 characters"},
		"eight code points, four":    {"a\u0301e\u0301i\u0301o\u0301", "4 characters"},
		"one that expands to 18":     {"\ufdfa", "1 character"},
		"too long":                   {strings.Repeat("mq7vbzke", 128) + "!", "1024 bytes"},
		"not UTF-8":                  {"mq7vbzke\xff", "UTF-8"},
		"unassigned":                 {"mq7vbzke\u0378", "assign"},
		"first of the list":          {"!qaz2wsx", "common"},
		"common":                     {"password", "common"},
		"common in other case":       {"PassWord1", "common"},
		"common in full width":       {"\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "common"},
		"one character":              {"aaaaaaaaaaaaaaaa", "repeats"},
		"rising":                     {"23456789012345", "counts"},
		"falling":                    {"zyxwvutsr", "counts"},
		"falling over zero":          {"3210987654", "counts"},
		"username":                   {"alice.liddell@example.org", "username"},
		"username in other case":     {"Alice.Liddell@Example.org", "username"},
		"username's local part":      {"alice.liddell", "username"},
		"username's domain":          {"example.org", "username"},
		"username with ornaments":    {"!!alice.liddell2024", "username"},
		"username backwards":         {"lleddil.ecila", "username"},
		"username twice":             {"alice.liddellalice.liddell", "username"},
		"service name with a number": {"authd12345", `"authd"`},
		"service name repeated":      {"authdauthd", `"authd"`},
		"service of two words":       {"example shop!", `"Example Shop"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := rules.Check("alice.liddell@example.org", c.password)
			if !errors.Is(err, identity.ErrWeakPassword) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("Check(%q): error %v, want ErrWeakPassword because of %q", c.password, err, c.reason)
			}
		})
	}
}

func TestRulesCompareDigitsWithUsername(t *testing.T) {
	if err := (identity.Rules{}).Check("48291058", "48291058"); !errors.Is(err, identity.ErrWeakPassword) {
		t.Errorf("a username of digits as password: error %v", err)
	}
	if err := (identity.Rules{}).Check("48291058", "70316642"); err != nil {
		t.Errorf("other digits: %v", err)
	}
}

func TestRulesMinLength(t *testing.T) {
	const twelve, fifteen = "violin tundr", "violin tundra m"
	for _, c := range []struct {
		least    int
		password string
		ok       bool
	}{{15, twelve, false}, {15, fifteen, true}, {0, twelve, true}, {4, "mq7vbzk", false}} {
		err := identity.Rules{MinLength: c.least}.Check("alice", c.password)
		if (err == nil) != c.ok {
			t.Errorf("at least %d, %q: error %v", c.least, c.password, err)
		}
	}
}

func TestErrorsDoNotQuoteThePassword(t *testing.T) {
	for _, password := range []string{"hunter2", "sunshine1\xff", "iloveyou", "hatterhatter"} {
		err := identity.Rules{}.Check("hatter", password)
		if err == nil {
			t.Errorf("%q was accepted", password)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}

func TestPasswordAdvice(t *testing.T) {
	if advice := identity.PasswordAdvice("violin tundra "); !strings.Contains(advice, "15") {
		t.Errorf("advice for 14 characters: %q", advice)
	}
	if advice := identity.PasswordAdvice("пятнадцать букв"); advice != "" {
		t.Errorf("advice for 15 characters: %q", advice)
	}
}

// known is a list of passwords, or a disk that fails.
type known struct {
	password string
	err      error
}

func (k known) Contains(password string) (bool, error) { return password == k.password, k.err }

func TestKnownPasswords(t *testing.T) {
	const password = "violin marmalade tundra"
	rules := identity.Rules{Known: known{password: password}}
	if err := rules.Check("alice", password); !errors.Is(err, identity.ErrWeakPassword) || !strings.Contains(err.Error(), "known from elsewhere") {
		t.Errorf("a known password: %v, want ErrWeakPassword that says so", err)
	}
	if err := rules.Check("alice", "copper lantern giraffe"); err != nil {
		t.Errorf("another password: %v", err)
	}
	rules.Known = known{err: errors.New("input/output error")}
	if err := rules.Check("alice", password); !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, identity.ErrWeakPassword) {
		t.Errorf("a list that cannot be read: %v, want ErrUnavailable alone", err)
	}
}
