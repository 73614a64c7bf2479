package middleware_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every piece of Go in docs/middleware.md is short, and stands in an example, which is run.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../docs/middleware.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var examples strings.Builder
	for _, name := range slices.Concat(files, more) {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		examples.WriteString(flat(string(source)))
	}
	blocks := strings.Split(string(text), "```go\n")[1:]
	if len(blocks) < 7 {
		t.Fatalf("only %d pieces of Go", len(blocks))
	}
	for _, block := range blocks {
		code, _, closed := strings.Cut(block, "```")
		if n := strings.Count(code, "\n"); n >= 10 || !closed {
			t.Errorf("%d lines, ten or more:\n%s", n, code)
		}
		if !strings.Contains(examples.String(), flat(code)) {
			t.Errorf("no example contains\n%s", code)
		}
	}
}

// flat is code without its indentation.
func flat(code string) string {
	var lines strings.Builder
	for line := range strings.Lines(code) {
		lines.WriteString(strings.TrimSpace(line) + "\n")
	}
	return lines.String()
}
