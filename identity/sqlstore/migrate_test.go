package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/authd-project/authd/identity"
)

// testDatabase is an empty database of one kind.
type testDatabase struct {
	dialect dialect
	tables  string // asks for the names of the tables
	connect func() (*sql.DB, error)
	open    func(context.Context, Config) (*Store, error)
}

// everyKind runs a test in either kind of database.
func everyKind(t *testing.T, test func(t *testing.T, db testDatabase)) {
	t.Run("SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "users.db")
		test(t, testDatabase{
			dialect: sqliteDialect(),
			tables:  `SELECT string_agg(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table'`,
			connect: func() (*sql.DB, error) { return openSQLite(path) },
			open:    func(ctx context.Context, c Config) (*Store, error) { return OpenSQLite(ctx, path, c) },
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url := NewPostgresDatabase(t)
		test(t, testDatabase{
			dialect: postgresDialect(),
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

// schema returns the names of the tables and the version.
func (d testDatabase) schema(t *testing.T, db *sql.DB) (tables string, version int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT MAX(version) FROM schema_migrations`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	return d.names(t, db), version
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

func TestMigrateStepByStep(t *testing.T) { everyKind(t, testMigrateStepByStep) }

func testMigrateStepByStep(t *testing.T, d testDatabase) {
	db := d.connected(t)
	steps := []migration{
		{1, "0001_a", `CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)`},
		{2, "0002_b", `CREATE TABLE b AS SELECT x + 1 AS x FROM a`},
		{3, "0003_nothing", ``},
		{4, "0004_c", `CREATE TABLE c (x INTEGER); INSERT INTO nowhere VALUES (1)`},
	}
	for _, n := range []int{1, 2, 2, 3, 3} { // the second time there is nothing to do
		if err := migrate(t.Context(), db, d.dialect, steps[:n], time.Now()); err != nil {
			t.Fatalf("migrating to version %d: %v", n, err)
		}
	}
	if err := migrate(t.Context(), db, d.dialect, steps, time.Now()); err == nil || !strings.Contains(err.Error(), "0004_c") {
		t.Errorf("a broken step: error %v, want its name", err)
	}
	if tables, version := d.schema(t, db); tables != "a b schema_migrations" || version != 3 {
		t.Errorf("after a broken step: tables %q, version %d, want those of version 3", tables, version)
	}
	if err := migrate(t.Context(), db, d.dialect, steps[:1], time.Now()); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("an older authd: error %v, want ErrNewerSchema", err)
	}
}

// Several processes may start at the same moment on an empty database.
func TestMigrateAtOnce(t *testing.T) { everyKind(t, testMigrateAtOnce) }

func testMigrateAtOnce(t *testing.T, d testDatabase) {
	h := testHasher(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := d.open(t.Context(), Config{Hasher: h})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
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

func TestLoadMigrations(t *testing.T) {
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }
	files := fstest.MapFS{"migrations/0002_b.x.sql": file("B"), "migrations/0001_a.sql": file("A")}
	for dialect, second := range map[string]string{"x": "B", "y": ""} {
		steps, err := loadMigrations(files, dialect)
		want := []migration{{1, "0001_a", "A"}, {2, "0002_b", second}}
		if err != nil || !slices.Equal(steps, want) {
			t.Errorf("loadMigrations for %s = %+v, %v, want %+v", dialect, steps, err, want)
		}
	}
	for name, files := range map[string]fstest.MapFS{
		"gap":       {"migrations/0001_a.sql": file(""), "migrations/0003_c.sql": file("")},
		"twice":     {"migrations/0001_a.sql": file(""), "migrations/0001_b.sql": file("")},
		"no number": {"migrations/users.sql": file("")},
		"from zero": {"migrations/0000_a.sql": file("")},
	} {
		if _, err := loadMigrations(files, "x"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if steps, err := loadMigrations(migrationFiles, "sqlite"); err != nil || len(steps) == 0 {
		t.Errorf("the embedded steps: %+v, %v", steps, err)
	}
}
