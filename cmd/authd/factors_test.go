package main_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

// The commands of docs/second-factors.md print what it says, against a real authd and a real authenticator app.
func TestSecondFactorsGuide(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "--demo")
	text, err := os.ReadFile("../../docs/second-factors.md")
	if err != nil {
		t.Fatal(err)
	}
	const separator = "--- end of step ---\n"
	steps := consoleSteps(string(text))
	if len(steps) < 20 {
		t.Fatalf("the guide has only %d commands", len(steps))
	}
	var script strings.Builder
	for _, step := range steps {
		script.WriteString(strings.ReplaceAll(step.command, "http://127.0.0.1:8080", s.URL) +
			"\nprintf '\\n" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+t.TempDir(),
		"AUTHD_DATA="+data, "AUTHD_ADMIN_LISTEN="+strings.TrimPrefix(s.Admin, "http://"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	printed := strings.Split(string(out), separator)
	for i, step := range steps {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(squeezed(step.output)), "…", ".*")
		if got := squeezed(printed[i]); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s", step.command, got, step.output)
		}
	}
}

// consoleSteps reads all console blocks of a guide: "$ " begins a command, "> " continues it, the rest is output.
func consoleSteps(text string) []step {
	var steps []step
	for i, block := range strings.Split(text, "```console\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
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
	}
	return steps
}

// squeezed makes columns one blank apart.
func squeezed(s string) string {
	return strings.TrimSpace(regexp.MustCompile(` +`).ReplaceAllString(s, " "))
}

// Where the setting require-factor names roles, their users have to enrol; factors are where the users are.
func TestFactorSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"--require-factor never,admin", "require-factor"}, {"--require-factor ,", "require-factor"},
		{"--factors mysql://x", "factors: PostgreSQL URL"}, {"--factors postgres://db.example/x", "sslmode"},
	} {
		out, err := command(t.Context(), "", append([]string{"serve", "--data", t.TempDir()}, strings.Fields(c.args)...)...)
		if err == nil || !strings.Contains(out+err.Error(), c.want) {
			t.Errorf("%s: %v %s, want %q", c.args, err, out, c.want)
		}
	}
	data := t.TempDir()
	s := serve(t, data, "--require-factor", "admin,finance")
	s.authd(t, "a long enough secret\n", "user", "add", "carol", "--role", "finance")
	s.authd(t, "a long enough secret\n", "user", "add", "dave", "--role", "clerk")
	for name, want := range map[string]string{"carol": `"code":"factor_enrolment_required"`, "dave": `"access_token":`} {
		body := `{"username":"` + name + `","password":"a long enough secret"}`
		resp, err := http.Post(s.URL+"/v1/login", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%s: %s, %v, want %s", name, answer, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(data, "factors.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("factors.db: %v, %v", info, err)
	}
	data = t.TempDir()
	args, _ := postgresUsers(t, testenv.NewPostgres(t))
	serve(t, data, args...)
	if _, err := os.Stat(filepath.Join(data, "factors.db")); !os.IsNotExist(err) {
		t.Errorf("users are in PostgreSQL, and factors in a file: %v", err)
	}
}
