package docs

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Step is a command of a console block with what it prints.
type Step struct{ Command, Output string }

// Steps returns the steps of all console blocks of a page, or of these numbers among them, counted from 0.
func Steps(t testing.TB, page string, numbers ...int) []Step {
	t.Helper()
	var steps []Step
	for _, b := range Blocks(t, page, "console", numbers...) {
		steps = append(steps, stepsOf(t, b)...)
	}
	return steps
}

// stepsOf reads a console block: "$ " begins a command, "> " continues it, the rest is output.
func stepsOf(t testing.TB, b Block) []Step {
	t.Helper()
	var steps []Step
	for line := range strings.Lines(b.Text) {
		line = strings.TrimRight(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, Step{Command: command})
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("%s begins with no command", b)
		}
		last := &steps[len(steps)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok {
			last.Command += "\n" + more
		} else {
			last.Output = strings.TrimSpace(last.Output + "\n" + line)
		}
	}
	return steps
}

// Shell runs steps as somebody would who types them, one after another into one bash that stops at the first failure.
type Shell struct {
	Dir    string            // where it begins, and its home; default an empty folder
	Env    []string          // beside that of the test
	Places *strings.Replacer // makes the addresses and files of a test of those on a page; nil for none
}

const separator = "--- end of step ---\n"

// Run runs the steps, and fails the test where one prints something else than its page says. There, … stands for anything
// in a line; how many blanks stand between words or at the end of a line, and empty lines, are not compared. What the steps
// began in the background is killed in the end. What bash says of a job that was killed is left out.
func (s Shell) Run(t testing.TB, steps []Step) {
	t.Helper()
	if s.Places == nil {
		s.Places = strings.NewReplacer()
	}
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	script := "exec 2>&1\ntrap 'for job in $(jobs -p); do kill $job || true; done; wait' EXIT\n"
	for _, step := range steps {
		script += s.Places.Replace(step.Command) + "\nprintf '\\n" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n"
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = s.Dir
	cmd.Env = append(append(os.Environ(), "HOME="+s.Dir), s.Env...)
	out, err := cmd.Output()
	printed := strings.Split(string(out), separator)
	for i, step := range steps {
		want := s.Places.Replace(step.Output)
		if i >= len(printed)-1 {
			t.Fatalf("$ %s\nfailed: %v\n%s", step.Command, err, printed[len(printed)-1])
		}
		if !matches(want, printed[i]) {
			t.Errorf("$ %s\nprinted\n%s\nbut the page says\n%s", step.Command, printed[i], want)
		}
	}
	if err != nil {
		t.Errorf("after the last step: %v\n%s", err, printed[len(printed)-1])
	}
}

var (
	blanks = regexp.MustCompile(`[ \r]+`)
	killed = regexp.MustCompile(`(?m)^bash: line \d+: +\d+ Killed .*\n`)
	lines  = regexp.MustCompile(`( ?\n)+`)
)

func matches(want, got string) bool {
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(tidy(want)), "…", ".*") + "$"
	return regexp.MustCompile(pattern).MatchString(tidy(killed.ReplaceAllString(got, "")))
}

// tidy makes one blank of several, none at the end of a line, and no line of none.
func tidy(text string) string {
	return strings.TrimSpace(lines.ReplaceAllString(blanks.ReplaceAllString(text, " "), "\n"))
}
