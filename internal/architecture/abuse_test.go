package architecture_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every threat of docs/abuse.md names tests, and there are such tests.
func TestAttacksAreTested(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "abuse.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]string)
	quoted := regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	threats := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 3 || cells[0] == "threat" {
			continue
		}
		threats[strings.Trim(strings.Fields(cells[0])[0], "*")] = true
		proofs := quoted.FindAllStringSubmatch(cells[2], -1)
		if len(proofs) == 0 || len(proofs) != len(strings.Fields(cells[2])) {
			t.Errorf("%s: want nothing but the names of tests, have %q", cells[0], cells[2])
		}
		for _, proof := range proofs {
			if !strings.Contains(testsOf(t, tests, proof[1]), "\nfunc "+proof[2]+"(") {
				t.Errorf("%s: there is no test %s in %s", cells[0], proof[2], proof[1])
			}
		}
	}
	for _, threat := range []string{"T1", "T2", "T3", "T4", "T5", "T6"} {
		if !threats[threat] {
			t.Errorf("nothing is said of %s", threat)
		}
	}
}
