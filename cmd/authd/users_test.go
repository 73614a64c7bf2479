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

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/internal/docs"
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

// Two authd share their users and what belongs to them, second factors sealed under one key-encryption key, and nothing else.
func TestSharedUsers(t *testing.T) {
	t.Parallel()
	database := testenv.NewPostgres(t)
	args, secret := postgresUsers(t, database)
	args = append(args, "--kek-file", newKEK(t))
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

// An authd can do all it must with the rights that docs/users.md lists, once the owner has made the tables.
func TestPostgresRights(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgres(t)
	database := server.Database(t, "")
	kek := newKEK(t)
	out, err := command(t.Context(), "", "user", "list", "--users", database, "--kek-file", kek, "--data", t.TempDir(), "--admin-listen", "127.0.0.1:1")
	if err != nil {
		t.Fatalf("user list as the owner: %v\n%s", err, out)
	}
	server.Exec(t, database, "CREATE ROLE authd LOGIN PASSWORD 'secret'")
	granted := 0
	roles := docs.File(t, "docs/users.md", "roles.sql")
	for line := range strings.Lines(docs.Text(t, "docs/second-factors.md", "sql", 0)) {
		if rights := strings.TrimSuffix(line, " TO authd;\n"); !strings.Contains(roles, strings.Replace(rights, "SELECT ON ", "SELECT ON schema_migrations, ", 1)) {
			t.Errorf("the page on users does not list the right of the page on second factors: %s", line)
		}
	}
	for line := range strings.Lines(roles) {
		if strings.Contains(line, " ON ") && strings.HasPrefix(line, "GRANT SELECT") {
			server.Exec(t, database, line)
			granted++
		}
	}
	if granted == 0 {
		t.Fatal("docs/users.md grants nothing")
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	s := serveAs(t, t.TempDir(), docs.Steps(t, "docs/users.md", 1)[0].Command+" --kek-file "+kek, "db.example.com/authd?sslmode=verify-full",
		server.Addr+u.Path+"?sslmode=disable", "/etc/authd/db-password", tempFile(t, "db-password", "secret\n"))
	s.authd(t, alicesPassword+"\n", "user", "add", "alice")
	g := s.login(t, "alice", alicesPassword)
	if _, got := s.refresh(t, g.RefreshToken); got != http.StatusOK {
		t.Errorf("a refresh is answered %d", got)
	}
	for _, verb := range []string{"passwd", "disable", "enable", "remove"} {
		s.authd(t, "another long password\n", "user", verb, "alice")
	}
	if strings.Contains(s.out.String(), "permission denied") {
		t.Error("the database refused something")
	}
}

// Users of a file log in as it says now, and authd changes nothing about them.
func TestHtpasswdUsers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "htpasswd")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(alicesPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	save("alice:" + string(hash) + "\nbob:" + string(hash) + "\n")
	s := serve(t, t.TempDir(), "--users", "htpasswd:"+file)
	alice, bob := s.login(t, "alice", alicesPassword), s.login(t, "bob", alicesPassword)
	if out := s.authd(t, "", "session", "list", "alice"); !strings.Contains(out, alice.SessionID) {
		t.Errorf("session list printed\n%s", out)
	}
	for _, args := range [][]string{{"add", "carol"}, {"passwd", "alice"}, {"disable", "alice"}, {"enable", "alice"}, {"remove", "alice"}} {
		args = append([]string{"user"}, append(args, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))...)
		if out, err := command(t.Context(), alicesPassword+"\n", args...); err == nil || !strings.Contains(out, "only reads") {
			t.Errorf("authd %q: %v, and does not say that authd only reads:\n%s", args, err, out)
		}
	}
	if got := s.tryLogin(t, "alice", alicesPassword); got != http.StatusOK {
		t.Errorf("after commands that were refused, alice logs in with %d", got)
	}

	save("alice:" + string(hash) + "\n")
	for deadline := time.Now().Add(time.Minute); s.tryLogin(t, "bob", alicesPassword) != http.StatusUnauthorized; {
		if time.Now().After(deadline) {
			t.Fatal("a user who was taken out of the file still logs in")
		}
		wait(t, 100*time.Millisecond)
	}
	if _, got := s.refresh(t, bob.RefreshToken); got == http.StatusOK {
		t.Error("a user who was taken out of the file refreshes")
	}
	if _, got := s.refresh(t, alice.RefreshToken); got != http.StatusOK {
		t.Errorf("alice refreshes with %d", got)
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
		"demo":               {[]string{"--demo", "--users=htpasswd:/dev/null", "--access-ttl=1s"}, []string{"demo: ", "access-ttl"}},
		"no file":            {[]string{"--users=htpasswd:"}, []string{"users: want htpasswd:FILE"}},
		"a file's password":  {[]string{"--users=htpasswd:x", "--users-password-file=" + file}, []string{"users: want a postgres:// URL"}},
		"file of nothing":    {[]string{"--users=htpasswd:" + file}, []string{"users: ", "line 1", "htpasswd"}},
		"clear text":         {[]string{"--users=postgres://authd:" + secret + "@db.example.com/authd"}, []string{"users: ", "sslmode"}},
		"file without URL":   {[]string{"--users-password-file=" + file}, []string{"users: want a postgres:// URL"}},
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
