package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// The commands of docs/second-factors.md print what it says, against a real authd and a real authenticator app.
func TestSecondFactorsGuide(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "--demo")
	env := append(path(), "AUTHD_DATA="+data, "AUTHD_ADMIN_LISTEN="+strings.TrimPrefix(s.Admin, "http://"))
	places := strings.NewReplacer("http://127.0.0.1:8080", s.URL)
	docs.Shell{Env: env, Places: places}.Run(t, docs.Steps(t, "docs/second-factors.md"))
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
