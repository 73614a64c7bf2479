package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/authd-project/authd/identity"
)

func openTestDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := openSQLite(path)
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
func schema(t *testing.T, db *sql.DB) (tables string, version int) {
	t.Helper()
	const query = `SELECT string_agg(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table'`
	if err := db.QueryRowContext(t.Context(), query).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), `SELECT MAX(version) FROM schema_migrations`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	return tables, version
}

func TestMigrateStepByStep(t *testing.T) {
	db := openTestDB(t, filepath.Join(t.TempDir(), "users.db"))
	steps := []migration{
		{1, "0001_a", `CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)`},
		{2, "0002_b", `CREATE TABLE b AS SELECT x + 1 AS x FROM a`},
		{3, "0003_c", `CREATE TABLE c (x INTEGER); INSERT INTO nowhere VALUES (1)`},
	}
	for range 2 { // the second time there is nothing to do
		for n := 1; n <= 2; n++ {
			if err := migrate(t.Context(), db, steps[:max(n, applied(t, db))], time.Now()); err != nil {
				t.Fatalf("migrating to version %d: %v", n, err)
			}
		}
	}
	if err := migrate(t.Context(), db, steps, time.Now()); err == nil || !strings.Contains(err.Error(), "0003_c") {
		t.Errorf("a broken step: error %v, want its name", err)
	}
	if tables, version := schema(t, db); tables != "a b schema_migrations" || version != 2 {
		t.Errorf("after a broken step: tables %q, version %d, want those of version 2", tables, version)
	}
	if err := migrate(t.Context(), db, steps[:1], time.Now()); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("an older authd: error %v, want ErrNewerSchema", err)
	}
}

func applied(t *testing.T, db *sql.DB) (version int) {
	t.Helper()
	var tables int
	const query = `SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_migrations'`
	if err := db.QueryRowContext(t.Context(), query).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if tables > 0 {
		_, version = schema(t, db)
	}
	return version
}

// Server and command line may start at the same moment on an empty file.
func TestMigrateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := OpenSQLite(t.Context(), path, Config{Hasher: h})
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

func TestOpenRefusesNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenSQLite(t.Context(), path, Config{Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.ExecContext(t.Context(), `INSERT INTO schema_migrations VALUES (99, '0099_future', 0)`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = OpenSQLite(t.Context(), path, Config{Hasher: h})
	if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "99") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want ErrNewerSchema with the version and the file", err)
	}
}

func TestOpenHonoursContext(t *testing.T) {
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenSQLite(ctx, filepath.Join(t.TempDir(), "users.db"), Config{Hasher: h}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestLoadMigrations(t *testing.T) {
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }
	steps, err := loadMigrations(fstest.MapFS{"migrations/0002_b.sql": file("B"), "migrations/0001_a.sql": file("A")})
	if err != nil || len(steps) != 2 || steps[0] != (migration{1, "0001_a", "A"}) || steps[1] != (migration{2, "0002_b", "B"}) {
		t.Errorf("loadMigrations = %+v, %v", steps, err)
	}
	for name, files := range map[string]fstest.MapFS{
		"gap":       {"migrations/0001_a.sql": file(""), "migrations/0003_c.sql": file("")},
		"twice":     {"migrations/0001_a.sql": file(""), "migrations/0001_b.sql": file("")},
		"no number": {"migrations/users.sql": file("")},
		"from zero": {"migrations/0000_a.sql": file("")},
	} {
		if _, err := loadMigrations(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if steps, err := loadMigrations(migrationFiles); err != nil || len(steps) == 0 {
		t.Errorf("the embedded steps: %+v, %v", steps, err)
	}
}
