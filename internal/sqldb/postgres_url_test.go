package sqldb_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/sqldb"
)

func TestPostgresAddress(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://authd:secret@db.example.com/users?sslmode=verify-full":                     "db.example.com:5432/users",
		"postgresql://db.example.com:6432/users?sslmode=disable":                               "db.example.com:6432/users",
		"postgres://authd:%40%2F%3F@a.example,b.example:5433/users?sslmode=require":            "a.example:5432,b.example:5433/users",
		"postgres://authd@localhost/users":                                                     "localhost:5432/users",
		"postgres://authd@[::1]:5433/users?target_session_attrs=read-write&search_path=authd":  "[::1]:5433/users",
		"postgres:///users?host=/run/postgresql":                                               "/run/postgresql:5432/users",
		"postgres://authd@db.example.com/users?sslmode=verify-full&pool_max_conns=3&port=5433": "db.example.com:5433/users",
	} {
		if got, err := sqldb.PostgresAddress(text); err != nil || got != want {
			t.Errorf("PostgresAddress(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestPostgresAddressRefuses(t *testing.T) {
	encoded := url.QueryEscape(secret)
	for text, want := range map[string]string{
		"mysql://authd:" + encoded + "@localhost/users":                                  "postgres://",
		"authd:" + encoded + "@localhost/users":                                          "postgres://",
		"postgres://authd:" + secret + "@localhost/users":                                "percent-encoded",
		"postgres://authd:p@ss@localhost/users":                                          "percent-encoded",
		"postgres://authd:p%zz@localhost/users":                                          "percent-encoded",
		"postgres://authd:w\u00f6rd/x@localhost/users":                                   "percent-encoded",
		"postgres://authd:w\u00f6rd":                                                     "port",
		"postgres://authd:" + encoded + "@localhost":                                     "database",
		"postgres://authd:" + encoded + "@localhost:port/users":                          "port",
		"postgres://authd:" + encoded + "@db.example.com/users":                          "sslmode",
		"postgres://authd:" + encoded + "@db.example.com/users?sslmode=prefer":           "sslmode",
		"postgres://authd:" + encoded + "@localhost,db.example.com/users?sslmode=allow":  "sslmode",
		"postgres://authd@db.example.com/users?sslmode=sure":                             "sslmode",
		"postgres://authd@localhost/users?password=" + encoded:                           "parameter",
		"postgres://authd@localhost/users?" + encoded:                                    "parameter",
		"postgres://authd@localhost/users?sslmod=disable":                                "parameter",
		"postgres://authd@localhost/users?pool_max_conns=0":                              "pool_max_conns",
		"postgres://authd@localhost/users?pool_max_conns=many":                           "pool_max_conns",
		"postgres://authd@localhost/users?connect_timeout=soon":                          "connect_timeout",
		"postgres://authd@localhost/users?target_session_attrs=standby":                  "target_session_attrs",
		"postgres://authd@db.example.com/users?sslmode=verify-full&sslrootcert=/none/ca": "/none/ca",
	} {
		_, err := sqldb.PostgresAddress(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("PostgresAddress(%q): error %v, want %q in it", text, err, want)
			continue
		}
		hidesSecret(t, err)
	}
}

// secret is a password that a URL must encode.
const secret = "p@ss:w\u00f6rd/?#[%]"

func hidesSecret(t *testing.T, err error) {
	t.Helper()
	for _, part := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), "w\u00f6rd", "w%C3%B6rd", "p@ss", "p%40ss"} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("the error has %q: %v", part, err)
		}
	}
}
