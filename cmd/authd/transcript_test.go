package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

	steps := transcript(t, "../../README.md")
	const separator = "\n--- end of step ---\n"
	var script strings.Builder
	for _, step := range steps {
		script.WriteString(addresses.Replace(step.command) + "\nprintf '" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	printed := strings.Split(string(out), separator)
	for i, step := range steps {
		want := addresses.Replace(step.output)
		if got := strings.TrimSpace(printed[i]); got != want {
			t.Errorf("$ %s\nprinted\n%s\nbut the README says\n%s", step.command, got, want)
		}
	}
}

// The README's program must compile against the middleware as it is.
func TestREADMEProgramCompiles(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "```go\n")
	program, _, found := strings.Cut(program, "```\n")
	if !found {
		t.Fatal("the README has no program")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
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

type step struct{ command, output string }

// transcript reads the console block behind the marker: "$ " begins a command, "> " continues it, the rest is output.
func transcript(t *testing.T, file string) []step {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(data), "<!-- A test runs these commands")
	_, block, opened := strings.Cut(after, "```console\n")
	block, _, closed := strings.Cut(block, "```\n")
	if !found || !opened || !closed {
		t.Fatalf("%s has no transcript", file)
	}
	return stepsOf(block)
}

// stepsOf reads the commands of a block and what each prints.
func stepsOf(block string) []step {
	var steps []step
	for line := range strings.Lines(block) {
		line = strings.TrimRight(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{command: command})
		} else if more, ok := strings.CutPrefix(line, "> "); ok {
			steps[len(steps)-1].command += "\n" + more
		} else {
			last := &steps[len(steps)-1]
			last.output = strings.TrimSpace(last.output + "\n" + line)
		}
	}
	return steps
}
