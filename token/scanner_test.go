package token

import (
	"errors"
	"strings"
	"testing"
)

// TestScannerKnowsJSON tries one value each, as the value of a custom claim.
func TestScannerKnowsJSON(t *testing.T) {
	for _, good := range []string{
		`1`, `0`, `-0`, `-1.5e+10`, `1E-2`, `1e-400`, `true`, `false`, `null`, `""`, `"\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00"`,
		`[]`, `[ ]`, `[1,[2],{"a":[]}]`, `{}`, "{ \"a\"\t:\r\n1 , \"b\":{} }", ` 1 `, `"é"`,
		strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1),
	} {
		s := newScanner("claims", good)
		s.depth = 1
		if value := s.value(); s.end() != nil || value != strings.TrimSpace(good) {
			t.Errorf("%s: read %s, %v", good, value, s.end())
		}
	}
	for bad, why := range map[string]reason{
		``: notJSON, `01`: notJSON, `+1`: notJSON, `.5`: notJSON, `1.`: notJSON, `1e`: notJSON, `1e+`: notJSON,
		`-`: notJSON, `0x1`: notJSON, `NaN`: notJSON, `Infinity`: notJSON, `tru`: notJSON, `True`: notJSON,
		`nulls`: notJSON, `"`: notJSON, `"a`: notJSON, `"\`: notJSON, `"\"`: notJSON, `"\x41"`: notJSON,
		`"\u12"`: notJSON, `"\u12g4"`: notJSON, "\"\n\"": notJSON, "\"\x00\"": notJSON, `'a'`: notJSON,
		`[`: notJSON, `[1`: notJSON, `[1,`: notJSON, `[1,]`: notJSON, `[,1]`: notJSON, `[1 2]`: notJSON, `]`: notJSON,
		`[1}`: notJSON, `{`: notJSON, `{"a"}`: notJSON, `{"a":}`: notJSON, `{"a":1,}`: notJSON, `{a:1}`: notJSON,
		`{1:1}`: notJSON, `{"a" 1}`: notJSON, `{"a":1 "b":2}`: notJSON, `{,}`: notJSON, `1 1`: notJSON, `1,`: notJSON,
		"\ufeff1": notJSON, "\v1": notJSON, "\u00a01": notJSON, `//`: notJSON, "\x00": notJSON,
		`1e400`: outOfRange, `{"a":1,"\u0061":2}`: duplicate, `"\ud800"`: badUnicode, `"\ud800\u0041"`: badUnicode,
		`"\ud800\n"`: badUnicode,
		"\"\xff\"":   badUnicode, strings.Repeat("[", maxDepth): tooDeep, strings.Repeat(`{"a":`, maxDepth): tooDeep,
	} {
		s := newScanner("claims", bad)
		s.depth = 1
		value := s.value()
		var d *defect
		if err := s.end(); !errors.As(err, &d) || d.why != why {
			t.Errorf("%q: read %q, %v, want %q", bad, value, err, why)
		}
	}
}

// TestIsPlain puts every byte into every place of a text, as the check looks at eight at a time.
func TestIsPlain(t *testing.T) {
	for at := range 17 {
		for c := range 256 {
			text := []byte("~ }!~ }!~ }!~ }!~")
			text[at] = byte(c)
			if want := c >= ' ' && c <= '~' && c != '\\'; isPlain(string(text)) != want {
				t.Errorf("byte %#x at %d: plain is %v", c, at, !want)
			}
		}
	}
}

// TestNamesStayUnique goes from the searched set over to the hashed one.
func TestNamesStayUnique(t *testing.T) {
	var seen names
	for round, want := range []bool{true, false} {
		for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			if seen.add(name) != want {
				t.Errorf("round %d: %s new: %v", round, name, !want)
			}
		}
	}
}

func TestFoldName(t *testing.T) {
	for name, want := range map[string]string{
		"exp": "exp", "EXP": "exp", "iſſ": "iss", "ſ": "s", "\u212aid": "kid", "Client_ID": "client_id",
		"é": "", "client_ids": "", "": "", "sub\u0130": "", "x-1": "x-1",
	} {
		if have := foldName(name); have != want {
			t.Errorf("%q: %q, want %q", name, have, want)
		}
	}
}

// BenchmarkCrowdedObject has its cost per byte stay level as objects grow: names are compared in linear time.
func BenchmarkCrowdedObject(b *testing.B) {
	for name, n := range map[string]int{"100 names": 100, "1000 names": 1000} {
		var members []string
		for i := range n {
			members = append(members, `"`+string(rune('a'+i%26))+strings.Repeat("x", i/26)+`":1`)
		}
		text := "{" + strings.Join(members, ",") + "}"
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if s := newScanner("claims", text); s.value() == "" {
					b.Fatal(s.end())
				}
			}
		})
	}
}
