package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// The README's transcript is what a newcomer types; it must print what the README says.
func TestREADMETranscript(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	orders := startProcess(t, regexp.MustCompile(`listening on (\S+)`), "orders", "-issuer", s.URL, "-listen", "127.0.0.1:0")
	addresses := strings.NewReplacer(
		"http://127.0.0.1:8080", s.URL,
		"http://127.0.0.1:9090", "http://"+orders.out.find(t, `listening on (\S+)`),
	)

	docs.Shell{Env: path(), Places: addresses}.Run(t, docs.Steps(t, "README.md"))
}

// The README's program must compile against the middleware as it is.
func TestREADMEProgramCompiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(docs.Text(t, "README.md", "go", 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// CI must run exactly the test command that the README tells people to run.
func TestCIRunsTheREADMEsTestCommand(t *testing.T) {
	t.Parallel()
	ci, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(ci)), "\n")
	command, ok := strings.CutPrefix(lines[len(lines)-1], "exec ")
	if !ok || !strings.Contains(string(readme), "\n"+command+" ") {
		t.Errorf(".ci/run ends with %q, which is not a command of the README", lines[len(lines)-1])
	}
}
