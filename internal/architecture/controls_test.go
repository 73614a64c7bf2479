package architecture_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requirements counts those of ASVS 5.0.0 in each section of the chapters that concern authd.
var requirements = map[string]int{
	"6.1": 3, "6.2": 12, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "6.7": 2, "6.8": 4,
	"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2,
	"8.1": 4, "8.2": 4, "8.3": 3, "8.4": 2,
	"9.1": 3, "9.2": 4,
	"10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3,
}

// control is a line of docs/asvs.md.
type control struct {
	section, id, verdict, how string
	proofs                    []string
}

// docs/asvs.md leaves out no requirement, and every line of it can be checked: what is met names tests that exist, what is
// not says why.
func TestControls(t *testing.T) {
	controls := readControls(t)
	tests := make(map[string]string) // of a package, as they stand there
	for _, c := range controls {
		if c.how == "" {
			t.Errorf("%s %s says nothing", c.section, c.id)
		}
		switch c.verdict {
		case "met", "partly":
			if len(c.proofs) == 0 {
				t.Errorf("%s %s names no test", c.section, c.id)
			}
		case "no", "n/a":
			if len(c.proofs) > 0 {
				t.Errorf("%s %s is %s, and yet names tests", c.section, c.id, c.verdict)
			}
		default:
			t.Errorf("%s %s: verdict %q", c.section, c.id, c.verdict)
		}
		for _, proof := range c.proofs {
			dot := strings.LastIndex(proof, ".")
			if pkg := proof[:dot]; !strings.Contains(testsOf(t, tests, pkg), "\nfunc "+proof[dot+1:]+"(") {
				t.Errorf("%s %s: there is no test %s", c.section, c.id, proof)
			}
		}
	}
}

func TestNoRequirementIsLeftOut(t *testing.T) {
	var want, got []string
	for section, n := range requirements {
		for i := range n {
			want = append(want, fmt.Sprintf("%s.%d", section, i+1))
		}
	}
	for _, c := range readControls(t) {
		if strings.HasPrefix(c.section, "V") {
			got = append(got, c.id)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the table has %d requirements, the standard %d:\n%q\n%q", len(got), len(want), got, want)
	}
}

func readControls(t *testing.T) []control {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "asvs.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	line := regexp.MustCompile(`^\| [0-9.]+ \|`)
	var controls []control
	var section string
	for l := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(l, "## "); ok {
			section = strings.TrimSpace(heading)
		}
		if !line.MatchString(l) {
			continue
		}
		cells := strings.Split(strings.Trim(l, "|\n "), " |")
		if strings.HasPrefix(section, "V") {
			cells = slices.Delete(cells, 1, 2) // the level
		}
		if len(cells) < 3 || len(cells) > 4 {
			t.Fatalf("%d cells: %s", len(cells), l)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		c := control{section: section, id: cells[0], verdict: cells[1], how: cells[2]}
		if len(cells) == 4 {
			for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
				c.proofs = append(c.proofs, m[1])
			}
		}
		controls = append(controls, c)
	}
	return controls
}

// testsOf returns the text of a package's tests, and remembers it.
func testsOf(t *testing.T, known map[string]string, pkg string) string {
	t.Helper()
	if text, ok := known[pkg]; ok {
		return text
	}
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("package %q has no tests (%v)", pkg, err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	known[pkg] = all.String()
	return known[pkg]
}
