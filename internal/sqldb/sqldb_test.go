package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/sqldb"
	"github.com/authd-project/authd/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("store unavailable")

func schema(table string, files map[string]string) sqldb.Schema {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["migrations/"+name+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return sqldb.Schema{What: "test database", Table: table, Files: fs.FS(fsys), Unavailable: errDown}
}

// everywhere runs a test in a file and in PostgreSQL.
func everywhere(t *testing.T, test func(t *testing.T, open func(context.Context, sqldb.Schema) (*sql.DB, error))) {
	t.Run("SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "folder", "test.db")
		test(t, func(ctx context.Context, s sqldb.Schema) (*sql.DB, error) { return sqldb.OpenSQLite(ctx, path, s) })
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url := testenv.NewPostgres(t).Database(t, "")
		test(t, func(ctx context.Context, s sqldb.Schema) (*sql.DB, error) {
			return sqldb.OpenPostgres(ctx, url, nil, s)
		})
	})
}

func TestMigrations(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(context.Context, sqldb.Schema) (*sql.DB, error)) {
		try := func(s sqldb.Schema) (int, error) {
			db, err := open(t.Context(), s)
			if err != nil {
				return 0, err
			}
			defer db.Close()
			var x int
			return x, db.QueryRowContext(t.Context(), `SELECT MAX(x) FROM a`).Scan(&x)
		}
		steps := map[string]string{"0001_a": `CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)`}
		for _, want := range []int{1, 1} { // the second time there is nothing to do
			if x, err := try(schema("a_migrations", steps)); err != nil || x != want {
				t.Fatalf("%d, %v, want %d", x, err, want)
			}
		}
		steps["0002_b"] = `INSERT INTO a VALUES (2)`
		if x, err := try(schema("a_migrations", steps)); err != nil || x != 2 {
			t.Fatalf("after the second step: %d, %v", x, err)
		}
		steps["0003_broken"] = `INSERT INTO a VALUES (3); INSERT INTO nowhere VALUES (1)`
		if _, err := try(schema("a_migrations", steps)); err == nil || !strings.Contains(err.Error(), "0003_broken") {
			t.Errorf("a broken step: %v", err)
		}
		delete(steps, "0003_broken")
		if x, err := try(schema("a_migrations", steps)); err != nil || x != 2 {
			t.Errorf("a broken step has left something: %d, %v", x, err)
		}
		delete(steps, "0002_b")
		if _, err := try(schema("a_migrations", steps)); !errors.Is(err, sqldb.ErrNewerSchema) {
			t.Errorf("an older program: %v", err)
		}
		if _, err := try(schema("a_migrations", map[string]string{"0001_x": "", "0002_y": ""})); err == nil || !strings.Contains(err.Error(), "not authd's") {
			t.Errorf("another program's table: %v", err)
		}
		if x, err := try(schema("b_migrations", map[string]string{"0001_b": `CREATE TABLE b (x INTEGER)`})); err != nil || x != 2 {
			t.Errorf("a second schema in the same database: %d, %v", x, err)
		}
		for name, files := range map[string]map[string]string{
			"gap": {"0001_a": "", "0003_c": ""}, "twice": {"0001_a": "", "0001_b": ""}, "no number": {"users": ""},
		} {
			if _, err := try(schema("c_migrations", files)); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}

// The release before goes on working on a database that the next one has brought up to date, and any older one refuses.
func TestReleaseBefore(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(context.Context, sqldb.Schema) (*sql.DB, error)) {
		release := func(n, needs int) error {
			steps := map[string]string{}
			for i := 1; i <= n; i++ {
				steps[fmt.Sprintf("%04d_step", i)] = fmt.Sprintf("CREATE TABLE step%d (x INTEGER)", i)
			}
			s := schema("a_migrations", steps)
			s.Needs, s.Release = needs, fmt.Sprintf("1.%d.0-rc.1", n)
			db, err := open(t.Context(), s)
			if err != nil {
				return err
			}
			return db.Close()
		}
		for _, tt := range []struct {
			steps, needs int
			refused      string
		}{
			{2, 1, ""}, {1, 1, ""}, {2, 1, ""},
			{4, 2, ""}, // two steps in a release
			{2, 1, ""}, {4, 2, ""},
			{1, 1, "authd 1.4.0-rc.1 has written it in version 4, and only an authd that knows version 2 may use it; this authd 1.1.0-rc.1 knows 1"},
			{5, 0, ""}, // a step that nobody may work beside
			{4, 2, "knows version 5"},
		} {
			err := release(tt.steps, tt.needs)
			if tt.refused == "" && err != nil || tt.refused != "" && (!errors.Is(err, sqldb.ErrNewerSchema) || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("%d steps: %v, want %q", tt.steps, err, tt.refused)
			}
		}
	})
}

// Several processes may start at the same moment on an empty database.
func TestMigrateAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, open func(context.Context, sqldb.Schema) (*sql.DB, error)) {
		s := schema("a_migrations", map[string]string{"0001_a": `CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)`})
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				db, err := open(t.Context(), s)
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestUnavailable(t *testing.T) {
	s := schema("a_migrations", nil)
	_, err := sqldb.OpenPostgres(t.Context(), "postgres://someone:hunter2@127.0.0.1:1/x?sslmode=disable", nil, s)
	if !errors.Is(err, errDown) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqldb.OpenSQLite(ctx, filepath.Join(t.TempDir(), "x.db"), s); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled start: %v", err)
	}
	for url, want := range map[string]string{
		"mysql://x": "want postgres://", "postgres://a:hunter2@db.example.com/x": "sslmode", "postgres://a:hunter2@127.0.0.1": "",
		"postgres://a:hunter2@127.0.0.1/x?password=hunter2": "parameter", "postgres://a:hunter2@127.0.0.1/x?pool_max_conns=0": "pool_max_conns",
	} {
		_, err := sqldb.PostgresAddress(url)
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if at, err := sqldb.PostgresAddress("postgres://a:hunter2@127.0.0.1:5433/x"); err != nil || at != "127.0.0.1:5433/x" {
		t.Errorf("%q, %v", at, err)
	}
}
