package sqldb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/authd-project/authd/internal/sqldb"
)

var table = map[string]string{"0001_first": `CREATE TABLE things (n INTEGER NOT NULL PRIMARY KEY, text TEXT NOT NULL);`}

// A snapshot is of one moment, while others write: of two rows that are always written together it has both or none.
func TestSnapshotWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	db, err := sqldb.OpenSQLite(t.Context(), path, schema("steps", table))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; ctx.Err() == nil; n += 2 {
			if _, err := db.Exec(`INSERT INTO things VALUES ($1, 'a'), ($2, 'b')`, n, n+1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, name := range []string{"1.db", "2.db", "3.db"} {
		to := filepath.Join(dir, name)
		if err := sqldb.SnapshotSQLite(t.Context(), path, to); err != nil {
			t.Fatal(err)
		}
		copied, err := sqldb.OpenSQLite(t.Context(), to, schema("steps", table))
		if err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := copied.QueryRow(`SELECT COUNT(*) FROM things`).Scan(&rows); err != nil || rows%2 != 0 {
			t.Errorf("%s has %d rows: %v", name, rows, err)
		}
		copied.Close()
	}
	stop()
	writing.Wait()
	if err := sqldb.SnapshotSQLite(t.Context(), path, filepath.Join(dir, "1.db")); err == nil {
		t.Error("a file was overwritten")
	}
}

// A file that was cut off, or of which a page has changed, is refused when it is opened, not when it is used.
func TestDamagedSQLiteIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	db, err := sqldb.OpenSQLite(t.Context(), path, schema("steps", table))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2000 {
		if _, err := db.Exec(`INSERT INTO things VALUES ($1, 'some text that takes some space')`, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut off": func(b []byte) []byte { return b[:len(b)/2] },
		"a page of zeros": func(b []byte) []byte {
			clear(b[len(b)/2&^4095:][:4096])
			return b
		},
		"a flipped bit in the head of a page": func(b []byte) []byte { b[len(b)/2&^4095] ^= 2; return b },
		"something else":                      func(b []byte) []byte { return []byte("this is no database at all, whatever its name may say") },
	} {
		if err := os.WriteFile(path, damage(append([]byte(nil), whole...)), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.OpenSQLite(t.Context(), path, schema("steps", table))
		if !errors.Is(err, sqldb.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			db.Close()
		}
	}
}
