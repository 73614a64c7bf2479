package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

// The commands of docs/kubernetes.md print what it says.
func TestKubernetesGuide(t *testing.T) {
	s := testenv.Kubernetes(t)
	dir := t.TempDir()
	deploy, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deploy, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	const separator = "--- end of step ---\n"
	steps := guide(t, "../docs/kubernetes.md")
	var script strings.Builder
	for _, s := range steps {
		script.WriteString(s.command + "\nprintf '\\n" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "KUBECONFIG="+s.Kubeconfig,
		"PATH="+testenv.KubernetesTools(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s\n%s", err, err.(*exec.ExitError).Stderr, out)
	}
	printed := strings.Split(string(out), separator)
	for i, s := range steps[:len(printed)-1] {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(s.output), "…", ".*")
		if got := strings.TrimSpace(trimLines(printed[i])); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s", s.command, got, s.output)
		}
	}
}

// trimLines removes blanks at the ends of lines, and empty lines.
func trimLines(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

type step struct{ command, output string }

// guide reads the console blocks: "$ " begins a command, "> " continues it, the rest is output.
func guide(t *testing.T, file string) (steps []step) {
	t.Helper()
	for i, block := range strings.Split(readFile(t, file), "```console\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			line = strings.TrimRight(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: command})
				continue
			}
			last := &steps[len(steps)-1]
			if more, ok := strings.CutPrefix(line, "> "); ok {
				last.command += "\n" + more
			} else {
				last.output = strings.TrimSpace(last.output + "\n" + line)
			}
		}
	}
	return steps
}
