package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
	"github.com/authd-project/authd/internal/testenv"
)

// at returns the URL of the same database by way of another address.
func at(t *testing.T, database, addr string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = addr
	return u.String()
}

// recovers waits until the store answers again. Until then it is unavailable, and nothing else.
func recovers(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		account, err := s.Authenticate(t.Context(), "alice", password)
		if err == nil && account.Username == "alice" {
			return
		}
		if !errors.Is(err, identity.ErrUnavailable) {
			t.Fatalf("Authenticate = %+v, %v, want ErrUnavailable until it recovers", account, err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("has not recovered: %v", err)
		}
	}
}

// isUnavailable checks every kind of call, all at once as they may have to wait for a timeout.
func isUnavailable(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	var wg sync.WaitGroup
	for name, call := range map[string]func(context.Context) error{
		"Authenticate": func(ctx context.Context) error { _, err := s.Authenticate(ctx, "alice", password); return err },
		"Account":      func(ctx context.Context) error { _, err := s.Account(ctx, "subject"); return err },
		"Import":       func(ctx context.Context) error { _, err := s.Import(ctx, "bob", ""); return err },
		"SetDisabled":  func(ctx context.Context) error { _, err := s.SetDisabled(ctx, "alice", true); return err },
		"Ping":         s.Ping,
	} {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := call(ctx)
			if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: error %v, want ErrUnavailable before the caller's time is up", name, err)
			}
		})
	}
	wg.Wait()
}

func TestPostgresOutages(t *testing.T) {
	server := testenv.NewPostgres(t)
	proxy := testenv.NewProxy(t, server.Addr)
	db := database{"pgx", at(t, server.Database(t, ""), proxy.Addr), sqlstore.OpenPostgres}
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	if _, err := s.Add(t.Context(), "alice", password); err != nil {
		t.Fatal(err)
	}

	for range 3 { // a connection may be cut just after it was used, or long after
		proxy.Cut()
		recovers(t, s)
	}

	server.Stop()
	isUnavailable(t, s)
	if _, err := db.openStore(t.Context(), db.name, sqlstore.Config{Hasher: newHasher(t, nil)}); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("opening without a server: error %v, want ErrUnavailable", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	recovers(t, s)

	server.Freeze()
	isUnavailable(t, s)
	if _, err := db.openStore(t.Context(), db.name, sqlstore.Config{Hasher: newHasher(t, nil)}); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("opening at a frozen server: error %v, want ErrUnavailable", err)
	}
	server.Thaw()
	if _, err := s.SetDisabled(t.Context(), "alice", false); err != nil && !errors.Is(err, identity.ErrUnavailable) {
		t.Fatal(err)
	}
	for { // the outcome of disabling alice is unknown: it may take effect after the thaw
		if account, err := s.SetDisabled(t.Context(), "alice", false); err == nil && !account.Disabled {
			break
		}
	}
	recovers(t, s)
}

// Somebody who holds a row, in a transaction that was left open, makes changes of it fail, and nothing else.
func TestPostgresRowIsHeld(t *testing.T) {
	db := newPostgres(t)
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	alice, err := s.Add(t.Context(), "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("pgx", db.name)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `UPDATE users SET roles = 'admin'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetRoles(t.Context(), "alice", "reader"); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("changing a row that is held: error %v, want ErrUnavailable", err)
	}
	if account, err := s.Account(t.Context(), alice.Subject); err != nil || account.Roles != nil {
		t.Errorf("meanwhile the account is %+v, %v", account, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	recovers(t, s)
}

// Several processes change one account: none of the changes is lost, and an upgrade undoes none.
func TestPostgresUpgradeBesideAnotherProcess(t *testing.T) {
	db := newPostgres(t)
	other := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	hashes := 0
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, func(context.Context, identity.HashEvent) {
		if hashes++; hashes == 2 { // the first verifies, the second is the upgrade's
			if _, err := other.SetPassword(t.Context(), "alice", "copper lantern giraffe"); err != nil {
				t.Error(err)
			}
			if _, err := other.SetRoles(t.Context(), "alice", "admin"); err != nil {
				t.Error(err)
			}
		}
	})})
	const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" // of "password"
	if _, err := s.Import(t.Context(), "alice", hash); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), "alice", "password"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetDisabled(t.Context(), "alice", false); err != nil {
		t.Fatal(err)
	}
	if account, err := s.Authenticate(t.Context(), "alice", "copper lantern giraffe"); err != nil || len(account.Roles) != 1 {
		t.Errorf("the new password: %+v, %v", account, err)
	}
	if _, err := other.Authenticate(t.Context(), "alice", "password"); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("the old password: error %v, want ErrInvalidCredentials", err)
	}
}

// secret is a password that a URL must encode.
const secret = "p@ss:w\u00f6rd/?#[%]"

// limited returns the database as a role with the rights that docs/users.md names sees it.
func limited(t testing.TB, db database) database {
	t.Helper()
	name := db.name[strings.LastIndexByte(db.name, '/')+1 : strings.LastIndexByte(db.name, '?')]
	role := name + "_authd"
	sqlstore.Postgres.Exec(t, db.name, `CREATE ROLE `+role+` LOGIN PASSWORD '`+secret+`';
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+role+`;
		REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM `+role+`;`)
	sqlstore.Postgres.Exec(t, db.name, `DO $$ BEGIN IF to_regclass('users') IS NOT NULL THEN
		GRANT INSERT, UPDATE, DELETE ON users TO `+role+`;
		GRANT INSERT, DELETE ON pending_ends TO `+role+`; END IF; END $$`)
	db.name = sqlstore.Postgres.URL(role, secret, name)
	return db
}

func TestPostgresRefuses(t *testing.T) {
	c := sqlstore.Config{Hasher: newHasher(t, nil)}
	empty, made := newPostgres(t), newPostgres(t)
	if err := func() error { s, err := made.openStore(t.Context(), made.name, c); return errors.Join(err, s.Close()) }(); err != nil {
		t.Fatal(err)
	}
	right := limited(t, made).name
	latin := sqlstore.Postgres.Database(t, "TEMPLATE template0 ENCODING 'LATIN1'")
	replace := func(old, replacement string) string { return strings.Replace(right, old, replacement, 1) }
	for name, c := range map[string]struct {
		url, password string
		want          string
		unavailable   bool
	}{
		"no right to make tables": {limited(t, empty).name, "", "let its owner start authd once", false},
		"wrong password":          {right, secret + "!", "password authentication failed", true},
		"no such database":        {replace("test_", "no_"), "", "no_", true},
		"another encoding":        {latin, "", "LATIN1", true},
		"no TLS to a stranger":    {replace("sslmode=disable", "sslmode=verify-full"), "", "certificate", true},
		"nobody there":            {at(t, right, "127.0.0.1:1"), "", "127.0.0.1:1", true},
	} {
		t.Run(name, func(t *testing.T) {
			config := sqlstore.Config{Hasher: newHasher(t, nil)}
			if c.password != "" {
				config.Password = func() string { return c.password }
			}
			_, err := sqlstore.OpenPostgres(t.Context(), c.url, config)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, identity.ErrUnavailable) != c.unavailable {
				t.Fatalf("error %v, want %q in it, and unavailable %v", err, c.want, c.unavailable)
			}
			hidesSecret(t, err)
		})
	}
}

func hidesSecret(t *testing.T, err error) {
	t.Helper()
	for _, part := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), "w\u00f6rd", "w%C3%B6rd", "p@ss", "p%40ss"} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("the error has %q: %v", part, err)
		}
	}
}

func TestPostgresTLS(t *testing.T) {
	db := newPostgres(t)
	db.name = strings.Replace(db.name, "sslmode=disable", "sslmode=verify-full&sslrootcert="+sqlstore.Postgres.CA, 1)
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	encrypted, err := sql.Open("pgx", db.name)
	if err != nil {
		t.Fatal(err)
	}
	defer encrypted.Close()
	var plain int
	const query = `SELECT COUNT(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
		WHERE datname = current_database() AND NOT ssl`
	if err := encrypted.QueryRowContext(t.Context(), query).Scan(&plain); err != nil || plain > 0 {
		t.Errorf("%d connections in clear, %v", plain, err)
	}
}

// However many ask at once, a process holds no more connections than its URL allows. The server refuses more to this
// role.
func TestPostgresConnectionsAreBounded(t *testing.T) {
	db := newPostgres(t)
	owner := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)}) // makes the tables
	if err := owner.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	db = limited(t, db)
	role, _, _ := strings.Cut(strings.TrimPrefix(db.name, "postgres://"), ":")
	sqlstore.Postgres.Exec(t, "postgres", `ALTER ROLE `+role+` CONNECTION LIMIT 2`)
	db.name += "&pool_max_conns=2"
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), "alice"); !errors.Is(err, identity.ErrNotFound) {
				t.Errorf("Get: %v", err)
			}
		})
	}
	wg.Wait()
}

// Several authd of different issuers, or other programs, can share a database by schemas. One of them goes through a pooler
// that gives each transaction another connection.
func TestPostgresSchemas(t *testing.T) {
	db := newPostgres(t)
	url := db.name
	owner, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	if _, err := owner.ExecContext(t.Context(), `CREATE SCHEMA one; CREATE SCHEMA two`); err != nil {
		t.Fatal(err)
	}
	for _, parameters := range []string{"&search_path=one", "&search_path=two&default_query_exec_mode=exec"} {
		db.name = url + parameters
		s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
		if _, err := s.Add(t.Context(), "alice", password, "admin"); err != nil {
			t.Errorf("%s: %v", parameters, err)
		}
		if users, err := s.List(t.Context(), "", 0); err != nil || len(users) != 1 {
			t.Errorf("%s: %d users, %v, want one", parameters, len(users), err)
		}
		recovers(t, s)
	}
}
