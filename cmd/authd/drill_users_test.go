package main_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
)

// PostgreSQL, with the users, is gone for a while, and then all that was in it; a dump brings back what there was when it was made.
func TestDrillUsersLost(t *testing.T) {
	t.Parallel()
	database := testenv.NewPostgres(t)
	args, password := postgresUsers(t, database)
	s := serve(t, t.TempDir(), args...)
	s.authd(t, alicesPassword, "user", "add", "alice")
	alice := s.login(t, "alice", alicesPassword)
	url := strings.Replace(args[1], "@", ":"+password+"@", 1)
	dump := filepath.Join(t.TempDir(), "dump.sql")
	postgresTool(t, "pg_dump", "--clean", "--if-exists", "--file", dump, url)
	s.authd(t, alicesPassword, "user", "add", "bob")
	bob := s.login(t, "bob", alicesPassword)

	database.Stop()
	began := time.Now()
	until(t, "a login that is refused for want of users", func() bool {
		return s.tryLogin(t, "alice", alicesPassword) == http.StatusServiceUnavailable
	})
	if _, status := s.refresh(t, alice.RefreshToken); status != http.StatusServiceUnavailable {
		t.Errorf("without the database a refresh is answered %d", status)
	}
	if status := s.verify(t, alice.AccessToken); status != http.StatusOK {
		t.Errorf("without the database a token is answered %d", status)
	}
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "a login again", func() bool { return s.tryLogin(t, "alice", alicesPassword) == http.StatusOK })
	outcome(t, "PostgreSQL gone and back: logins again", began)

	postgresTool(t, "psql", "--quiet", "--command", "DROP SCHEMA public CASCADE; CREATE SCHEMA public", url)
	began = time.Now()
	if status := s.tryLogin(t, "alice", alicesPassword); status != http.StatusServiceUnavailable {
		t.Errorf("a login without tables is answered %d", status)
	}
	if _, status := s.refresh(t, alice.RefreshToken); status != http.StatusServiceUnavailable {
		t.Errorf("a refresh without tables is answered %d: the session of somebody whose account was lost must not end", status)
	}
	postgresTool(t, "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dump, url)
	until(t, "a login with the dump", func() bool { return s.tryLogin(t, "alice", alicesPassword) == http.StatusOK })
	outcome(t, "PostgreSQL emptied: restored from a dump", began)
	if _, status := s.refresh(t, alice.RefreshToken); status != http.StatusOK {
		t.Errorf("the session of an account that is back goes on with %d", status)
	}
	if _, status := s.refresh(t, bob.RefreshToken); status != http.StatusUnauthorized {
		t.Errorf("the session of an account that is not in the dump goes on with %d", status)
	}
}

// The key-encryption key is lost and second factors are in PostgreSQL: authd does not start until what nobody can read was removed,
// and then with the accounts that there are.
func TestDrillKEKLostWithPostgres(t *testing.T) {
	t.Parallel()
	args, password := postgresUsers(t, testenv.NewPostgres(t))
	s := serve(t, t.TempDir(), args...)
	s.authd(t, alicesPassword, "user", "add", "alice")
	s.enrol(t, s.login(t, "alice", alicesPassword))
	s.terminate(t)
	data := t.TempDir() // with a key-encryption key of its own
	out, err := command(t.Context(), "", append([]string{"user", "list", "--data", data, "--admin-listen", "127.0.0.1:1"}, args...)...)
	if err == nil || !strings.Contains(out, "factors are sealed under") {
		t.Fatalf("authd starts on factors that it cannot read: %v\n%s", err, out)
	}
	truncate := regexp.MustCompile("`(TRUNCATE [^`]*)`").FindStringSubmatch(readPage(t, "disasters.md"))
	if truncate == nil {
		t.Fatal("docs/disasters.md does not say what to remove")
	}
	postgresTool(t, "psql", "--quiet", "--command", truncate[1], strings.Replace(args[1], "@", ":"+password+"@", 1))
	s = serve(t, data, args...)
	s.login(t, "alice", alicesPassword)
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// postgresTool runs a program of PostgreSQL.
func postgresTool(t *testing.T, name string, args ...string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("%s is missing: %v", name, err)
		}
		found = []string{path}
	}
	cmd := exec.CommandContext(t.Context(), found[len(found)-1], args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
