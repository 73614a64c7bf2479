package identity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
)

func TestNormalizeUsername(t *testing.T) {
	for typed, want := range map[string]string{
		"alice":                  "alice",
		"Alice@Example.COM":      "alice@example.com",
		"JOSE\u0301":             "jos\u00e9",
		"\uff21lice":             "alice",
		"ΣΊΣΥΦΟΣ":                "σίσυφοσ",
		"домен\\Пётр":            "домен\\пётр",
		"a/b":                    "a/b",
		"...":                    "...",
		strings.Repeat("é", 128): strings.Repeat("é", 128),
	} {
		got, err := identity.NormalizeUsername(typed)
		if err != nil || got != want {
			t.Errorf("NormalizeUsername(%q) = %q, %v, want %q", typed, got, err, want)
			continue
		}
		if again, err := identity.NormalizeUsername(got); err != nil || again != got {
			t.Errorf("NormalizeUsername(%q) = %q, %v: not stable", got, again, err)
		}
	}
}

func TestNormalizeUsernameRefuses(t *testing.T) {
	for name, typed := range map[string]string{
		"empty":             "",
		"129 characters":    strings.Repeat("a", 129),
		"endless":           strings.Repeat("a", 1<<20),
		"space":             "alice liddell",
		"trailing space":    "alice ",
		"line break":        "alice\n",
		"NUL":               "alice\x00",
		"escape":            "\x1b[31malice",
		"not UTF-8":         "alice\xff",
		"zero width":        "al\u200bice",
		"right to left":     "alice\u202egnp",
		"ligature":          "\ufb01nn",
		"emoji":             "alice🔑",
		"dot":               ".",
		"full-width dots":   "\uff0e\uff0e",
		"replacement":       "alice\ufffd",
		"mixed directions":  "aאb",
		"unassigned":        "alice\u0378",
		"only a mark":       "\u200d",
		"line separator":    "alice\u2028",
		"ideographic space": "alice\u3000",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := identity.NormalizeUsername(typed); !errors.Is(err, identity.ErrUsername) {
				t.Errorf("NormalizeUsername(%q) = %q, %v, want ErrUsername", typed, got, err)
			}
		})
	}
}

func FuzzNormalizeUsername(f *testing.F) {
	f.Add("Alice@Example.com")
	f.Add("\uff21lice\u0301")
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := identity.NormalizeUsername(typed)
		if err != nil {
			if !errors.Is(err, identity.ErrUsername) {
				t.Fatalf("error %v does not wrap ErrUsername", err)
			}
			return
		}
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			t.Fatalf("NormalizeUsername(%q) = %q has a space or control character", typed, name)
		}
		if again, err := identity.NormalizeUsername(name); err != nil || again != name {
			t.Fatalf("NormalizeUsername(%q) = %q, %v: not stable", name, again, err)
		}
	})
}

func TestNormalizeRoles(t *testing.T) {
	given := []string{"reader", "admin", "reader", "orders:write"}
	got, err := identity.NormalizeRoles(given)
	if want := []string{"admin", "orders:write", "reader"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("NormalizeRoles = %q, %v, want %q", got, err, want)
	}
	if given[0] != "reader" {
		t.Error("NormalizeRoles sorted its argument")
	}
	if got, err := identity.NormalizeRoles([]string{}); got != nil || err != nil {
		t.Errorf("no roles: %q, %v", got, err)
	}

	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("role-", i)
	}
	for name, roles := range map[string][]string{
		"empty":       {"admin", ""},
		"space":       {"two words"},
		"quote":       {`a"b`},
		"backslash":   {`a\b`},
		"line break":  {"admin\n"},
		"not ASCII":   {"größe"},
		"too long":    {strings.Repeat("a", 65)},
		"65 of them":  many,
		"delete char": {"a\x7f"},
	} {
		if got, err := identity.NormalizeRoles(roles); !errors.Is(err, identity.ErrRoles) {
			t.Errorf("%s: NormalizeRoles = %q, %v, want ErrRoles", name, got, err)
		}
	}
}
