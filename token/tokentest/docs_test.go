package tokentest_test

import (
	"os"
	"strings"
	"testing"
)

// The program of docs/verify.md is the one that ExampleCase_Apply runs.
func TestGuideShowsTheExample(t *testing.T) {
	guide, err := os.ReadFile("../../docs/verify.md")
	must(t, err)
	example, err := os.ReadFile("example_test.go")
	must(t, err)
	_, block, _ := strings.Cut(string(guide), "```go\ncases, err")
	block, _, found := strings.Cut("cases, err"+block, "```")
	if !found || !strings.Contains(strings.ReplaceAll(string(example), "\n\t", "\n"), block) {
		t.Errorf("the guide shows what no example runs:\n%s", block)
	}
}
