package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const end = "<!-- end -->"

var begin = regexp.MustCompile(`^<!-- ([^.]+) -->$`) // other comments are sentences

// partAt returns which generated part the line after this one belongs to.
func partAt(line, part string) string {
	if line == end {
		return ""
	}
	if m := begin.FindStringSubmatch(line); m != nil && line != end {
		return m[1]
	}
	return part
}

// Generated holds the generated parts of a page, by their names, against those that the test has made, or writes them there.
// A part stands between the lines <!-- its name --> and <!-- end -->, ends in a newline, and is of the page as it stands: in
// Markdown. The page has these parts and no others.
func Generated(t testing.TB, page string, parts map[string]string, write bool) {
	t.Helper()
	file := filepath.Join(root(t), filepath.FromSlash(page))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var made strings.Builder
	var found []string
	name := ""
	for line := range strings.Lines(string(text)) {
		next := partAt(strings.TrimSuffix(line, "\n"), name)
		if name == "" || next == "" {
			made.WriteString(line)
		}
		if next != "" && next != name {
			found = append(found, next)
			made.WriteString(parts[next])
		}
		name = next
	}
	for name := range parts {
		if !slices.Contains(found, name) {
			t.Fatalf("%s has no place for %q", page, name)
		}
	}
	for _, name := range found {
		if _, ok := parts[name]; !ok {
			t.Fatalf("%s has a place for %q, which nothing makes", page, name)
		}
	}
	switch {
	case made.String() == string(text):
	case !write:
		t.Errorf("%s is not what it would be if it were written now; the flag of this test writes it:\n%s%s", page,
			missing("- ", string(text), made.String()), missing("+ ", made.String(), string(text)))
	default:
		if err := os.WriteFile(file, []byte(made.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// missing returns the lines of a text that another has not.
func missing(sign, text, other string) (lines string) {
	for line := range strings.Lines(text) {
		if !strings.Contains(other, line) {
			lines += sign + line
		}
	}
	return lines
}
