package httpapi_test

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi"
)

// The commands of docs/api.md print what it says.
func TestAPIGuide(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Clients = []httpapi.Client{{ID: "demo-service", SecretSHA256: sha256.Sum256([]byte("demo-service-secret"))}}
	}})
	_, err := e.users.Add(t.Context(), "demo", "correct horse battery staple", "demo")
	must(t, err)
	data := t.TempDir()
	must(t, os.WriteFile(filepath.Join(data, "admin-token"), []byte(adminToken+"\n"), 0o600))

	addresses := strings.NewReplacer("http://127.0.0.1:8080", e.publicURL, "http://127.0.0.1:8081", e.adminURL)
	const separator = "--- end of step ---\n"
	steps := guide(t, "../docs/api.md")
	var script strings.Builder
	for _, s := range steps {
		script.WriteString(addresses.Replace(s.command) + "\nprintf '\\n" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	cmd.Env = append(os.Environ(), "AUTHD_DATA="+data)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	printed := strings.Split(strings.ReplaceAll(string(out), "\r", ""), separator)
	for i, s := range steps {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(s.output), "…", ".*")
		if got := trimLines(printed[i]); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s", s.command, got, s.output)
		}
	}
}

// trimLines removes blanks at the ends of lines, which an editor may remove from the guide.
func trimLines(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

type step struct{ command, output string }

// guide reads the console blocks: "$ " begins a command, "> " continues it, the rest is output.
func guide(t *testing.T, file string) []step {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	var steps []step
	for i, block := range strings.Split(string(text), "```console\n") {
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
	if len(steps) < 20 {
		t.Fatalf("%s has only %d commands", file, len(steps))
	}
	return steps
}

// Every operation is in the guide, and the guide names no other.
func TestGuideIsComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	must(t, err)
	for name, d := range contracts(t) {
		for path := range d.model.Paths.PathItems.KeysFromOldest() {
			if strings.HasPrefix(path, "/.well-known/") {
				path = path[strings.LastIndexByte(path, '/')+1:]
			}
			if !strings.Contains(string(text), path) {
				t.Errorf("%s: %s is not in the guide", name, path)
			}
		}
	}
}
