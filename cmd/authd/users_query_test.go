package main_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// The guide to tables of an application, with PostgreSQL and the rights that it names, and no others.
func TestQueryGuide(t *testing.T) {
	t.Parallel()
	const password = "violin marmalade tundra"
	server := testenv.NewPostgres(t)
	database := server.Database(t, "")
	server.Exec(t, database, docs.File(t, "docs/users-sql.md", "table.sql"))
	server.Exec(t, database, docs.File(t, "docs/users-sql.md", "role.sql"))
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	server.Exec(t, database, "INSERT INTO accounts (email, password, permissions) VALUES ('alice@example.com', '"+string(hash)+"', '{admin}')")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	d := newGuideDir(t, "db.example.com/app?sslmode=verify-full", server.Addr+u.Path+"?sslmode=disable")
	d.write(t, "app-password", "a long password that nobody types\n")
	d.write(t, "app.yaml", docs.File(t, "docs/users-sql.md", "app.yaml"))
	s := runUsersGuide(t, docs.Steps(t, "docs/users-sql.md"), d)

	alice := s.login(t, "alice@example.com", password)
	if c := alice.claims(t); c.Subject != "app:1" || len(c.Roles) != 1 || c.Roles[0] != "admin" {
		t.Errorf("the token says %+v", c)
	}
	s.isReadOnly(t, "alice@example.com")
	if got := s.tryLogin(t, "alice@example.com", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered %d", got)
	}
	server.Exec(t, database, "UPDATE accounts SET blocked = true")
	if got := s.tryLogin(t, "alice@example.com", password); got != http.StatusUnauthorized {
		t.Errorf("blocked, alice logs in with %d", got)
	}
	if _, got := s.refresh(t, alice.RefreshToken); got != http.StatusUnauthorized {
		t.Errorf("blocked, alice refreshes with %d", got)
	}
	server.Exec(t, database, "UPDATE accounts SET blocked = false")
	server.Stop()
	if got := s.tryLogin(t, "alice@example.com", password); got != http.StatusServiceUnavailable {
		t.Errorf("without the database a login answers %d", got)
	}
	if got := s.ready(t); got != http.StatusServiceUnavailable {
		t.Errorf("without any source readiness answers %d", got)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, http.StatusOK, "alice@example.com", password)
}

// Every problem of the files is reported at once, with the file and the key, beside those of other settings.
func TestUserFileSettings(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	d := newGuideDir(t)
	ldap := d.write(t, "ldap.yaml", "urls: ldaps://h\nbase: [a]\nstart_tls: perhaps\n")
	bad := d.write(t, "bad.yaml", "url: ldap://ldap.example.com\nbind_password_file: /nowhere\nca_file: "+filepath.Join(d.path, "ldap.yaml")+"\nname: Corp\n")
	query := d.write(t, "query.yaml", "database: mysql://u:"+secret+"@h/d\n")
	same := d.write(t, "same.yaml", "url: ldaps://h\nbase: dc=a\n")
	for name, c := range map[string]struct {
		users []string
		want  []string
	}{
		"unknown keys": {[]string{"ldap:" + ldap}, []string{"ldap:" + ldap + ": line 1: no such setting: urls", "line 2: ", "line 3: "}},
		"all of them": {[]string{"ldap:" + bad, "query:" + query}, []string{
			bad + ": url ", bad + ": base: required", bad + ": bind_password_file: ", bad + ": ca_file: ", bad + ": name ",
			query + ": database: ", query + ": login: required", query + ": account: required", query + ": hashes: required",
		}},
		"no file":      {[]string{"ldap:/nowhere/ldap.yaml", "query:"}, []string{"/nowhere/ldap.yaml", "users: query:: "}},
		"one name":     {[]string{"ldap:" + same, "ldap:" + same}, []string{`name "ldap": another source has it`}},
		"two SQL":      {[]string{"sqlite", "postgres://authd:" + secret + "@127.0.0.1/authd"}, []string{"one of sqlite and postgres"}},
		"two htpasswd": {[]string{"htpasswd:a", "htpasswd:b"}, []string{"one htpasswd file"}},
		"unknown kind": {[]string{"sqlite,nis:domain"}, []string{"users: want sqlite"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--access-ttl", "1s"}
			for _, u := range c.users {
				args = append(args, "--users", u)
			}
			out, err := command(t.Context(), "", args...)
			if err == nil {
				t.Fatalf("it serves:\n%s", out)
			}
			for _, want := range append(c.want, "access-ttl") {
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
