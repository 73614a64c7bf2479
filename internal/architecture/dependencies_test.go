package architecture_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/dependencies.md gives a reason for each module that go.mod requires directly, and for no other; and what it says to
// be for tests or services only is not linked into authd.
func TestDependenciesHaveReasons(t *testing.T) {
	linked := linkedModules(t)
	var listed []string
	for section, modules := range documentedModules(t) {
		listed = append(listed, modules...)
		for _, m := range modules {
			if want := section == "Linked into authd"; slices.Contains(linked, m) != want {
				t.Errorf("%s stands under %q, but authd links it: %v", m, section, !want)
			}
		}
	}
	for _, m := range directModules(t) {
		if !slices.Contains(listed, m) {
			t.Errorf("docs/dependencies.md does not say why %s is required", m)
		}
		listed = slices.DeleteFunc(listed, func(l string) bool { return l == m })
	}
	if len(listed) > 0 {
		t.Errorf("docs/dependencies.md gives reasons for what go.mod does not require: %q", listed)
	}
}

// documentedModules returns, for each section of the page, the modules in the first column of its table.
func documentedModules(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	sections := make(map[string][]string)
	var section string
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(heading)
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(strings.Split(line, " | ")[0], -1) {
			sections[section] = append(sections[section], m[1])
		}
	}
	return sections
}

func directModules(t *testing.T) []string {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goOutput(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct
}

func linkedModules(t *testing.T) []string {
	t.Helper()
	return strings.Fields(string(goOutput(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/authd")))
}

// goOutput runs the go command in the module's folder.
func goOutput(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return out
}
