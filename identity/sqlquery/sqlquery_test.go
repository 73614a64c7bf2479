package sqlquery_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/identitytest"
	"github.com/authd-project/authd/identity/sqlquery"
	"github.com/authd-project/authd/internal/testenv"
)

const password = "violin marmalade tundra"

// database is an application's own, with a table of accounts.
type database struct {
	driver, dsn string
	db          *sql.DB
	config      sqlquery.Config
}

// everywhere runs a test in either kind of database.
func everywhere(t *testing.T, test func(t *testing.T, d database)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newSQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newPostgres(t)) })
}

func newSQLite(t testing.TB) database {
	path := filepath.Join(t.TempDir(), "the app's.db")
	d := connect(t, "sqlite", path)
	d.execute(t, `CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT UNIQUE, pass TEXT, active BOOLEAN NOT NULL DEFAULT TRUE,
		roles TEXT, changed TIMESTAMP)`)
	d.config = queries(`SELECT id AS subject, email AS username, pass AS password_hash, NOT active AS disabled, roles,
		changed AS password_changed_at FROM accounts`)
	d.config.Database = "sqlite:" + path
	return d
}

func newPostgres(t testing.TB) database {
	name := postgres.Database(t, "")
	d := connect(t, "pgx", name)
	d.execute(t, `CREATE TABLE accounts (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), email TEXT UNIQUE, pass TEXT,
		active BOOLEAN NOT NULL DEFAULT TRUE, roles TEXT[], changed TIMESTAMPTZ)`)
	d.config = queries(`SELECT id AS subject, email AS username, pass AS password_hash, NOT active AS disabled,
		array_to_string(roles, ' ') AS roles, changed AS password_changed_at FROM accounts`)
	d.config.List = strings.ReplaceAll(d.config.List, "email", `email COLLATE "C"`)
	d.config.List = strings.Replace(d.config.List, `email COLLATE "C" AS`, "email AS", 1)
	d.config.Database = name
	return d
}

func queries(from string) sqlquery.Config {
	return sqlquery.Config{
		Login:   from + " WHERE lower(email) = $1",
		Account: from + " WHERE id = $1",
		Hashes:  "SELECT pass AS password_hash FROM accounts WHERE pass <> '' LIMIT 1000",
		List:    from + " WHERE email > $1 ORDER BY email LIMIT $2",
	}
}

func connect(t testing.TB, driver, dsn string) database {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return database{driver: driver, dsn: dsn, db: db}
}

// execute runs a statement as the application would.
func (d database) execute(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := d.db.ExecContext(context.WithoutCancel(t.Context()), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (d database) add(t testing.TB, name, hash string, disabled bool, roles ...string) {
	t.Helper()
	insert := `INSERT INTO accounts (email, pass, active, roles) VALUES ($1, $2, $3, $4)`
	if d.driver == "pgx" {
		insert = `INSERT INTO accounts (email, pass, active, roles) VALUES ($1, $2, $3, string_to_array($4, ' '))`
	}
	d.execute(t, insert, name, hash, !disabled, strings.Join(roles, " "))
}

func (d database) open(t testing.TB, h *identity.Hasher) *sqlquery.Source {
	t.Helper()
	if h == nil {
		h = newHasher(t)
	}
	d.config.Hasher = h
	s, err := sqlquery.Open(t.Context(), d.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newHasher(t testing.TB) *identity.Hasher {
	t.Helper()
	h, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hashOf(t testing.TB, password string) string {
	t.Helper()
	if password == "" {
		return ""
	}
	hash, err := newHasher(t).Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestSource(t *testing.T) {
	for name, create := range map[string]func(testing.TB) database{"SQLite": newSQLite, "PostgreSQL": newPostgres} {
		people := func(t *testing.T, people ...identitytest.Person) identity.Reader {
			d := create(t)
			for _, p := range people {
				d.add(t, p.Username, hashOf(t, p.Password), p.Disabled, p.Roles...)
			}
			return d.open(t, nil)
		}
		t.Run(name, func(t *testing.T) {
			identitytest.RunReader(t, people)
			identitytest.RunReaderRoles(t, people)
			identitytest.RunAuthenticator(t, func(t *testing.T, h *identity.Hasher, seeds ...identitytest.Seed) identity.Authenticator {
				d := create(t)
				for _, s := range seeds {
					d.add(t, s.Username, s.PasswordHash, s.Disabled)
				}
				return d.open(t, h)
			})
		})
	}
}

func TestPasswordChanged(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	everywhere(t, func(t *testing.T, d database) {
		d.add(t, "alice", hashOf(t, password), false)
		values := []any{at, nil}
		if d.driver == "sqlite" {
			values = append(values, "2026-01-02 03:04:05", at.Unix(), fmt.Sprint(at.Unix()))
		}
		s := d.open(t, nil)
		for _, value := range values {
			d.execute(t, "UPDATE accounts SET changed = $1", value)
			want := at
			if value == nil {
				want = time.Time{}
			}
			if got, err := s.Authenticate(t.Context(), "alice", password); err != nil || !got.PasswordChangedAt.Equal(want) {
				t.Errorf("%v: changed at %v, %v, want %v", value, got.PasswordChangedAt, err, want)
			}
		}
	})
}

// Whatever the queries say, nothing is written.
func TestReadOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		d.add(t, "alice", hashOf(t, password), false)
		d.config.Account = "UPDATE accounts SET active = FALSE WHERE email = $1 RETURNING id AS subject, email AS username, NOT active AS disabled, '' AS roles, changed AS password_changed_at"
		d.config.Hasher = newHasher(t)
		s, err := sqlquery.Open(t.Context(), d.config)
		if err == nil { // PostgreSQL explains what it would not do
			defer s.Close()
			_, err = s.Account(t.Context(), "alice")
		}
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "-", ""), "readonly") {
			t.Errorf("a query that writes: error %v", err)
		}
		var active bool
		if err := d.db.QueryRow("SELECT active FROM accounts").Scan(&active); err != nil || !active {
			t.Errorf("the row was changed: %v, %v", active, err)
		}
	})
}

// What the queries lack is said when authd starts, all of it at once.
func TestExplain(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		for name, c := range map[string]struct {
			change func(*sqlquery.Config)
			want   []string
		}{
			"no such table":   {func(c *sqlquery.Config) { c.Login = "SELECT 1 FROM nowhere WHERE 1 = $1" }, []string{"login: ", "nowhere"}},
			"syntax":          {func(c *sqlquery.Config) { c.Account, c.Hashes = "SELEKT", "SELECT FROM" }, []string{"account: ", "hashes: "}},
			"missing columns": {func(c *sqlquery.Config) { c.Login = "SELECT id, email AS username FROM accounts WHERE email = $1" }, []string{"login: no column subject", "no column password_hash", "column id means nothing"}},
			"less at a refresh": {func(c *sqlquery.Config) {
				c.Account = "SELECT id AS subject, email AS username FROM accounts WHERE id = $1"
			}, []string{"account: no column disabled", "account: no column roles", "account: no column password_changed_at"}},
			"column twice": {func(c *sqlquery.Config) {
				c.Hashes = "SELECT pass AS password_hash, pass AS password_hash FROM accounts"
			}, []string{"hashes: two columns password_hash"}},
			"no database":    {func(c *sqlquery.Config) { *c = sqlquery.Config{} }, []string{"database: required", "login: required", "account: required", "hashes: required"}},
			"no such file":   {func(c *sqlquery.Config) { c.Database = "sqlite:/nowhere/app.db" }, []string{"database: ", "/nowhere/app.db"}},
			"other database": {func(c *sqlquery.Config) { c.Database = "mysql://u:s3cr3t@db/app" }, []string{"database: neither sqlite:PATH nor"}},
		} {
			t.Run(name, func(t *testing.T) {
				bad := d.config
				bad.Hasher = newHasher(t)
				c.change(&bad)
				bad.Hasher = newHasher(t)
				s, err := sqlquery.Open(t.Context(), bad)
				if err == nil {
					_ = s.Close()
					t.Fatal("no error")
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error does not mention %q: %v", want, err)
					}
				}
				if strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("the error has the password: %v", err)
				}
			})
		}
	})
}

func TestExplainOfPostgres(t *testing.T) {
	d := newPostgres(t)
	d.config.Hasher = newHasher(t)
	d.config.Login = "SELECT id AS subject, email AS username, pass AS password_hash, roles FROM accounts"
	d.config.Account = "SELECT id AS subject, email AS username, array_to_string(roles, ' ') AS roles FROM accounts WHERE id = $1"
	d.config.List = ""
	_, err := sqlquery.Open(t.Context(), d.config)
	for _, want := range []string{"login: column roles is an array", "0 parameters, want 1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q: %v", want, err)
		}
	}
}

// A source without a list says so.
func TestNoList(t *testing.T) {
	d := newSQLite(t)
	d.config.List = ""
	if _, err := d.open(t, nil).List(t.Context(), "", 0); !errors.Is(err, identity.ErrNotListed) {
		t.Errorf("List: error %v, want ErrNotListed", err)
	}
}

// A name of two accounts logs nobody in.
func TestAmbiguous(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		d.add(t, "alice", hashOf(t, password), false)
		d.add(t, "ALICE", hashOf(t, password), false)
		var log bytes.Buffer
		d.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		if _, err := d.open(t, nil).Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrInvalidCredentials) {
			t.Errorf("error %v, want ErrInvalidCredentials", err)
		}
		if !strings.Contains(log.String(), "several rows") {
			t.Errorf("the log does not say why:\n%s", log.String())
		}
	})
}

// Hashes of a kind that authd cannot check are told of at the start: all of them stop it, some are a warning.
func TestUnusableHashes(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		const foreign = "pbkdf2_sha256$600000$salt$notours"
		d.add(t, "alice", foreign, false)
		d.config.Hasher = newHasher(t)
		if _, err := sqlquery.Open(t.Context(), d.config); !errors.Is(err, identity.ErrHash) || strings.Contains(err.Error(), "notours") {
			t.Errorf("with no hash that can be used: %v", err)
		}
		d.add(t, "bob", hashOf(t, password), false)
		var log bytes.Buffer
		d.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s := d.open(t, nil)
		if !strings.Contains(log.String(), "some users cannot log in") {
			t.Errorf("the log does not warn:\n%s", log.String())
		}
		if _, err := s.Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrInvalidCredentials) {
			t.Errorf("error %v, want ErrInvalidCredentials", err)
		}
		if _, err := s.Authenticate(t.Context(), "bob", password); err != nil {
			t.Error(err)
		}
	})
}

// The sample is read again, an hour later.
func TestCostsAreReadAgain(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := newSQLite(t)
	d.config.Now = func() time.Time { return now }
	var computed []identity.HashEvent
	h, err := identity.NewHasher(identity.HasherConfig{
		Params: identity.Params{Memory: 64, Time: 1, Threads: 1}, OnHash: func(_ context.Context, e identity.HashEvent) { computed = append(computed, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := d.open(t, h)
	d.add(t, "alice", "$2a$04$Y1JS25ViOh/6b3S6EM2EKe/rO9UdqVBSvjGoEsRwOLtcwaqExBsza", false)
	refuse := func() string {
		computed = nil
		if _, err := s.Authenticate(t.Context(), "mallory", password); !errors.Is(err, identity.ErrInvalidCredentials) || len(computed) != 1 {
			t.Fatalf("error %v after %d hashes", err, len(computed))
		}
		return computed[0].Scheme
	}
	if got := refuse(); got != "argon2id" {
		t.Errorf("at first an unknown name costs %s", got)
	}
	now = now.Add(time.Hour)
	if got := refuse(); got != "bcrypt" {
		t.Errorf("an hour later an unknown name costs %s", got)
	}
}

// A subject of a form that the column cannot have is nobody's.
func TestSubjectsOfNumbers(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		if d.driver == "pgx" {
			d.execute(t, "DROP TABLE accounts")
			d.execute(t, "CREATE TABLE accounts (id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, email TEXT, pass TEXT, active BOOLEAN, roles TEXT[], changed TIMESTAMPTZ)")
		}
		d.add(t, "alice", hashOf(t, password), false)
		s := d.open(t, nil)
		alice, err := s.Authenticate(t.Context(), "alice", password)
		if err != nil || alice.Subject != "1" {
			t.Fatalf("Authenticate = %+v, %v", alice, err)
		}
		if got, err := s.Account(t.Context(), "1"); err != nil || got.Username != "alice" {
			t.Errorf("Account = %+v, %v", got, err)
		}
		for _, subject := range []string{"01", " 1", "1.0", "+1", "99999999999999999999", "one", "1 OR 1=1"} {
			if got, err := s.Account(t.Context(), subject); !errors.Is(err, identity.ErrNotFound) {
				t.Errorf("Account(%q) = %+v, %v, want ErrNotFound", subject, got, err)
			}
		}
	})
}

func TestPostgresOutages(t *testing.T) {
	server := testenv.NewPostgres(t)
	d := connect(t, "pgx", server.Database(t, ""))
	d.execute(t, `CREATE TABLE accounts (id TEXT, email TEXT, pass TEXT)`)
	d.execute(t, `INSERT INTO accounts VALUES ('1', 'alice', $1)`, hashOf(t, password))
	_ = d.db.Close()
	proxy := testenv.NewProxy(t, server.Addr)
	u, err := url.Parse(d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = proxy.Addr
	d.config = queries("SELECT id AS subject, email AS username, pass AS password_hash FROM accounts")
	d.config.Database = u.String()
	s := d.open(t, nil)
	recovers := func() {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; {
			_, err := s.Authenticate(t.Context(), "alice", password)
			if err == nil {
				return
			}
			if !errors.Is(err, identity.ErrUnavailable) || time.Now().After(deadline) {
				t.Fatalf("Authenticate: error %v, want ErrUnavailable until it recovers", err)
			}
		}
	}
	isUnavailable := func() {
		t.Helper()
		for name, call := range map[string]func() error{
			"Authenticate": func() error { _, err := s.Authenticate(t.Context(), "alice", password); return err },
			"Account":      func() error { _, err := s.Account(t.Context(), "1"); return err },
			"Ping":         func() error { return s.Ping(t.Context()) },
		} {
			if err := call(); !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: error %v, want ErrUnavailable before the caller's time is up", name, err)
			}
		}
	}
	proxy.Cut()
	recovers()
	server.Stop()
	isUnavailable()
	d.config.Hasher = newHasher(t)
	if _, err := sqlquery.Open(t.Context(), d.config); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("Open without the database: error %v, want ErrUnavailable", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	recovers()
	server.Freeze()
	isUnavailable()
	server.Thaw()
	recovers()
}

// What the application changes while a password is being hashed counts.
func TestChangesDuringLogin(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		const other = "copper lantern giraffe"
		otherHash := hashOf(t, other)
		meanwhile := func() {}
		h, err := identity.NewHasher(identity.HasherConfig{
			Params: identity.Params{Memory: 64, Time: 1, Threads: 1}, OnHash: func(context.Context, identity.HashEvent) { f := meanwhile; meanwhile = func() {}; f() },
		})
		if err != nil {
			t.Fatal(err)
		}
		s := d.open(t, h)
		for name, statement := range map[string]string{
			"disabled":    "UPDATE accounts SET active = FALSE",
			"removed":     "DELETE FROM accounts",
			"no password": "UPDATE accounts SET pass = ''",
			"password":    "UPDATE accounts SET pass = '" + otherHash + "'",
		} {
			d.execute(t, "DELETE FROM accounts")
			d.add(t, "alice", hashOf(t, password), false)
			meanwhile = func() { d.execute(t, statement) }
			if account, err := s.Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrInvalidCredentials) {
				t.Errorf("%s meanwhile: %+v, %v, want ErrInvalidCredentials", name, account, err)
			}
		}
		d.execute(t, "DELETE FROM accounts")
		d.add(t, "alice", hashOf(t, password), false)
		rehashed := hashOf(t, password)
		meanwhile = func() { d.execute(t, "UPDATE accounts SET pass = '"+rehashed+"'") }
		if _, err := s.Authenticate(t.Context(), "alice", password); err != nil {
			t.Errorf("with another hash of the same password: %v", err)
		}
	})
}
