package identity

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The search needs the list sorted; what is on it must be what the rules compare with it.
func TestBlocklist(t *testing.T) {
	comment, list, ok := strings.Cut(blocklist, "\n\n")
	if !ok || !strings.Contains(comment, "Permission is hereby granted") {
		t.Fatal("the list has no comment with its licence")
	}
	if !strings.HasSuffix(list, "\n") {
		t.Fatal("the list does not end with a line break")
	}
	lines := strings.Split(strings.TrimSuffix(list, "\n"), "\n")
	if len(lines) < 10000 || !slices.IsSorted(lines) {
		t.Errorf("%d lines, sorted: %v", len(lines), slices.IsSorted(lines))
	}
	for i, line := range lines {
		if fold(line) != line || utf8.RuneCountInString(line) < MinPasswordLength {
			t.Errorf("line %d, %q: not in the form that is compared", i+1, line)
		}
		if !common(line) {
			t.Errorf("line %d, %q, is not found", i+1, line)
		}
	}
	for _, absent := range []string{"", "\n", "passwor", "passwordd0", "!", "~~~~~~~~", lines[0] + "\n" + lines[1]} {
		if common(absent) {
			t.Errorf("%q is found", absent)
		}
	}
}
