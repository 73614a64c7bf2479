package sqlstore_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/identitytest"
	"github.com/authd-project/authd/identity/sqlstore"
)

func TestSQLite(t *testing.T) { conforms(t, newSQLite) }

// The role has the rights that docs/users.md names and no others.
func TestPostgreSQL(t *testing.T) {
	conforms(t, func(t testing.TB) database {
		db := newPostgres(t)
		s, err := db.openStore(t.Context(), db.name, sqlstore.Config{Hasher: newHasher(t, nil)}) // makes the tables
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return limited(t, db)
	})
}

func conforms(t *testing.T, create func(testing.TB) database) {
	identitytest.RunDirectory(t, func(t *testing.T, h *identity.Hasher) identity.Directory {
		return create(t).open(t, sqlstore.Config{Hasher: h})
	})
	identitytest.RunNotes(t, func(t *testing.T, h *identity.Hasher) identitytest.NotingDirectory {
		return create(t).open(t, sqlstore.Config{Hasher: h})
	})
}

// database is an empty one. What is opened in it twice is as two processes are.
type database struct {
	driver, name string
	openStore    func(ctx context.Context, name string, c sqlstore.Config) (*sqlstore.Store, error)
}

func newSQLite(t testing.TB) database {
	return database{"sqlite", filepath.Join(t.TempDir(), "users.db"), sqlstore.OpenSQLite}
}

func newPostgres(t testing.TB) database {
	return database{"pgx", sqlstore.NewPostgresDatabase(t), sqlstore.OpenPostgres}
}

// everywhere runs a test in either kind of database.
func everywhere(t *testing.T, test func(t *testing.T, db database)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newSQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newPostgres(t)) })
}

func (d database) open(t testing.TB, c sqlstore.Config) *sqlstore.Store {
	t.Helper()
	s, err := d.openStore(t.Context(), d.name, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// execute runs a statement past the store, as an administrator with other tools would.
func (d database) execute(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open(d.driver, d.name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
