package main_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
)

// postgresUsers returns the settings of an authd that keeps its users in an empty database of the server, and the
// password in them.
func postgresUsers(t *testing.T, server *testenv.PostgresServer) (args []string, password string) {
	t.Helper()
	u, err := url.Parse(server.Database(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	password, _ = u.User.Password()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.User = url.User(u.User.Username())
	return []string{"--users", u.String(), "--users-password-file", file}, password
}

func (s *server) tryLogin(t *testing.T, username, password string) int {
	t.Helper()
	return s.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": username, "password": password}, nil)
}

// Two authd share their users and nothing else.
func TestSharedUsers(t *testing.T) {
	t.Parallel()
	database := testenv.NewPostgres(t)
	args, secret := postgresUsers(t, database)
	a, b := serve(t, t.TempDir(), args...), serve(t, t.TempDir(), args...)

	a.authd(t, alicesPassword+"\n", "user", "add", "Alice", "--role", "admin")
	g := b.login(t, "alice", alicesPassword)
	if out := b.authd(t, "", "user", "list"); !regexp.MustCompile(`(?m)^alice\s+\S{22}\s+admin\s+enabled`).MatchString(out) {
		t.Errorf("the other authd lists\n%s", out)
	}
	a.authd(t, "", "user", "disable", "alice")
	if got := b.tryLogin(t, "alice", alicesPassword); got != http.StatusUnauthorized {
		t.Errorf("disabled at one authd, alice logs in at the other with %d", got)
	}
	if _, got := b.refresh(t, g.RefreshToken); got == http.StatusOK {
		t.Error("disabled at one authd, alice refreshes at the other")
	}
	b.authd(t, "", "user", "enable", "alice")
	b.authd(t, "another long password\n", "user", "passwd", "alice")
	if got := a.tryLogin(t, "alice", alicesPassword); got != http.StatusUnauthorized {
		t.Errorf("with the password before the change alice logs in with %d", got)
	}
	a.login(t, "alice", "another long password")

	// A command finds them too where no authd runs.
	out, err := command(t.Context(), "", append(args, "user", "list", "--data", t.TempDir(), "--admin-listen", "127.0.0.1:1")...)
	if err != nil || !strings.Contains(out, "alice") {
		t.Errorf("user list without a server: %v\n%s", err, out)
	}

	database.Stop()
	if got := a.tryLogin(t, "alice", "another long password"); got != http.StatusServiceUnavailable {
		t.Errorf("without the database a login answers %d", got)
	}
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); a.tryLogin(t, "alice", "another long password") != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("logins do not recover with the database")
		}
		wait(t, 100*time.Millisecond)
	}
	for _, s := range []*server{a, b} {
		if where := "PostgreSQL at " + database.Addr + "/"; !strings.Contains(s.out.String(), where) {
			t.Errorf("the announcement does not say %q", where)
		}
		if strings.Contains(s.out.String(), secret) {
			t.Error("the output has the database's password")
		}
	}
}

// Every problem of the settings is reported at once, and no password with it.
func TestUsersSettings(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	const local = "postgres://authd:" + secret + "@127.0.0.1:1/authd?connect_timeout=1"
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"with others":        {[]string{"--users=mysql://authd:" + secret + "@db/authd", "--access-ttl=1s"}, []string{"users: ", "access-ttl"}},
		"clear text":         {[]string{"--users=postgres://authd:" + secret + "@db.example.com/authd"}, []string{"users: ", "sslmode"}},
		"file without URL":   {[]string{"--users-password-file=" + file}, []string{"users: required"}},
		"file that is open":  {[]string{"--users=" + local, "--users-password-file=" + file}, []string{"users-password-file: ", "chmod 600"}},
		"nobody at the port": {[]string{"--users=" + local}, []string{"users: ", "127.0.0.1:1/authd", "unavailable"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, c.args...)
			out, err := command(t.Context(), "", args...)
			if err == nil {
				t.Fatalf("it serves:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("the error does not mention %q:\n%s", want, out)
				}
			}
			if strings.Contains(out, secret) {
				t.Errorf("the error has the password:\n%s", out)
			}
		})
	}
}
