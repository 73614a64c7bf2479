package session

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanText(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"plain":                 {"Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"},
		"letters of all kinds":  {"Größe 東京", "Größe 東京"},
		"line breaks":           {"a\r\nSet-Cookie: b", "aSet-Cookie: b"},
		"terminal escape":       {"\x1b[31mred\x07", "[31mred"},
		"NUL and DEL":           {"a\x00b\x7fc", "abc"},
		"C1 and line separator": {"a\u0085b\u2028c", "abc"},
		"text direction":        {"a\u202eb", "ab"},
		"invalid UTF-8":         {"a\xff\xfeb\xc3", "ab"},
		"cut":                   {strings.Repeat("x", 1000), strings.Repeat("x", 256)},
		"cut inside a letter":   {strings.Repeat("x", 255) + "é", strings.Repeat("x", 255)},
		"empty":                 {"", ""},
	} {
		if got := cleanText(tt.in, 256); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	for _, s := range []string{"", "curl/8", "a\xffb", "\u202e", strings.Repeat("é", 300), "a\x00\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := cleanText(s, 256)
		if len(got) > 256 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\n\x1b\x7f") {
			t.Errorf("%q became %q", s, got)
		}
		if again := cleanText(got, 256); again != got {
			t.Errorf("cleaning %q again gave %q", got, again)
		}
	})
}

func TestCheckClientIDAndScope(t *testing.T) {
	for _, s := range []string{"", "web", "https://app.example/", strings.Repeat("c", 256)} {
		if err := checkClientID(s); err != nil {
			t.Errorf("client id %q: %v", s, err)
		}
	}
	for _, s := range []string{"a\n", "é", "a\x7f", strings.Repeat("c", 257)} {
		if checkClientID(s) == nil {
			t.Errorf("client id %q: accepted", s)
		}
	}
	for _, s := range []string{"", "read", "read write orders:*"} {
		if err := checkScope(s); err != nil {
			t.Errorf("scope %q: %v", s, err)
		}
	}
	for _, s := range []string{" ", "read ", " read", "a  b", "a\tb", `a"b`, `a\b`, "é", strings.Repeat("s", 1025)} {
		if checkScope(s) == nil {
			t.Errorf("scope %q: accepted", s)
		}
	}
}
