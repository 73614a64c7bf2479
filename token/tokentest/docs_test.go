package tokentest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// The program of docs/verify.md is the one that ExampleCase_Apply runs.
func TestGuideShowsTheExample(t *testing.T) {
	example, err := os.ReadFile("example_test.go")
	must(t, err)
	block := docs.Text(t, "docs/verify.md", "go", 0)
	if !strings.Contains(strings.ReplaceAll(string(example), "\n\t", "\n"), block) {
		t.Errorf("the guide shows what no example runs:\n%s", block)
	}
}
