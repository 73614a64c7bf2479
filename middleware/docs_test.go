package middleware_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// Every piece of Go in docs/middleware.md is short, and its lines stand in an example, which is run, as do those of other pages.
func TestGuide(t *testing.T) {
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
	for _, block := range slices.Concat(
		docs.Blocks(t, "docs/middleware.md", "go"),
		docs.Blocks(t, "docs/dpop.md", "go"),
		docs.Blocks(t, "docs/second-factors.md", "go"),
		docs.Blocks(t, "docs/redis.md", "go"),
	) {
		if n := strings.Count(block.Text, "\n"); n >= 10 {
			t.Errorf("%s has %d lines, ten or more", block, n)
		}
		for line := range strings.Lines(flat(block.Text)) {
			if !strings.Contains(examples.String(), "\n"+line) {
				t.Errorf("no example contains this of %s:\n%s", block, line)
			}
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
