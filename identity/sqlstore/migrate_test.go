package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
)

// testDatabase is an empty database of one kind.
type testDatabase struct {
	tables  string // asks for the names of the tables
	connect func() (*sql.DB, error)
	open    func(context.Context, Config) (*Store, error)
}

// everyKind runs a test in either kind of database.
func everyKind(t *testing.T, test func(t *testing.T, db testDatabase)) {
	t.Run("SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "users.db")
		test(t, testDatabase{
			tables:  `SELECT string_agg(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table'`,
			connect: func() (*sql.DB, error) { return sql.Open("sqlite", path) },
			open:    func(ctx context.Context, c Config) (*Store, error) { return OpenSQLite(ctx, path, c) },
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url := NewPostgresDatabase(t)
		test(t, testDatabase{
			tables:  `SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'`,
			connect: func() (*sql.DB, error) { return sql.Open("pgx", url) },
			open:    func(ctx context.Context, c Config) (*Store, error) { return OpenPostgres(ctx, url, c) },
		})
	})
}

func (d testDatabase) connected(t *testing.T) *sql.DB {
	t.Helper()
	db, err := d.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the database: %v", err)
		}
	})
	return db
}

func (d testDatabase) names(t *testing.T, db *sql.DB) (tables string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), d.tables).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	return tables
}

func testHasher(t *testing.T) *identity.Hasher {
	t.Helper()
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestOpenRefusesNewerSchema(t *testing.T) { everyKind(t, testOpenRefusesNewerSchema) }

func testOpenRefusesNewerSchema(t *testing.T, d testDatabase) {
	h := testHasher(t)
	s, err := d.open(t.Context(), Config{Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.ExecContext(t.Context(), `INSERT INTO schema_migrations VALUES (99, '0099_future', 0)`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = d.open(t.Context(), Config{Hasher: h})
	if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "99") || errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("error %v, want ErrNewerSchema with the version", err)
	}
}

// The tables of another program are left alone.
func TestOpenRefusesForeignTables(t *testing.T) { everyKind(t, testOpenRefusesForeignTables) }

func testOpenRefusesForeignTables(t *testing.T, d testDatabase) {
	db := d.connected(t)
	for _, c := range []struct{ table, want string }{
		{`CREATE TABLE users (id INTEGER)`, "0001_users"},
		{`CREATE TABLE schema_migrations (version VARCHAR(255))`, "schema version"},
		{`DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version INTEGER, name TEXT);
			INSERT INTO schema_migrations VALUES (1, 'create shops')`, "not authd's"},
	} {
		if _, err := db.ExecContext(t.Context(), c.table); err != nil {
			t.Fatal(err)
		}
		before := d.names(t, db)
		_, err := d.open(t.Context(), Config{Hasher: testHasher(t)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.table, err, c.want)
		}
		if after := d.names(t, db); after != before {
			t.Errorf("%s: tables %q became %q", c.table, before, after)
		}
	}
}

func TestOpenHonoursContext(t *testing.T) { everyKind(t, testOpenHonoursContext) }

func testOpenHonoursContext(t *testing.T, d testDatabase) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.open(ctx, Config{Hasher: testHasher(t)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
