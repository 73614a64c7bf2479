package main_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/oauth.md print what it says.
func TestOAuthGuide(t *testing.T) {
	t.Parallel()
	ports := freePorts(t)
	places := strings.NewReplacer("127.0.0.1:8080", ports+"1", "127.0.0.1%3A8080", strings.Replace(ports, ":", "%3A", 1)+"1",
		"authd serve", "authd serve --listen "+ports+"1 --admin-listen "+ports+"2")
	const separator = "--- end of step ---\n"
	text, err := os.ReadFile("../../docs/oauth.md")
	if err != nil {
		t.Fatal(err)
	}
	var steps []step // of all the blocks, which follow from one another
	for i, block := range strings.Split(string(text), "```console\n") {
		if i > 0 {
			block, _, _ = strings.Cut(block, "```\n")
			steps = append(steps, stepsOf(block)...)
		}
	}
	script := "trap 'kill $(jobs -p)' EXIT\n"
	for _, s := range steps {
		script += places.Replace(s.command) + "\nprintf '\\n" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n"
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+cmd.Dir)
	out, err := cmd.Output()
	if err != nil {
		log, _ := os.ReadFile(cmd.Dir + "/log")
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	printed := strings.Split(string(out), separator)
	for i, s := range steps {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(places.Replace(s.output)), "…", ".*") + "$"
		if got := strings.TrimSpace(printed[i]); !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s", s.command, got, s.output)
		}
	}
}
