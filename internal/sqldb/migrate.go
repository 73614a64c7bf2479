package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/authd-project/authd/internal/schema"
)

// migration is one step of a schema.
type migration struct {
	version int
	name    string
	sql     string // empty: nothing to do
}

// dialect is what migrations need to know of a database.
type dialect struct {
	name     string // in the names of migrations
	migrated string // tells whether the table $1 exists, without needing a right to create one
	lock     string // excludes other migrations until the transaction ends; empty where its beginning does
	// guard runs the migrations: it bounds them and repeats them as the database requires.
	guard func(ctx context.Context, db *sql.DB, s Schema, migrate func(context.Context) error) error
}

// upgrade brings the schema of a database up to date.
func upgrade(ctx context.Context, db *sql.DB, d dialect, s Schema) error {
	steps, err := loadMigrations(s.Files, d.name)
	if err != nil {
		return err
	}
	return d.guard(ctx, db, s, func(ctx context.Context) error { return migrate(ctx, db, d, s, steps) })
}

// loadMigrations returns the steps of a dialect in order. Their numbers begin with 1 and have no gaps.
func loadMigrations(files fs.FS, dialect string) ([]migration, error) {
	paths, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	steps := make([]migration, 0, len(paths))
	for i, path := range paths {
		file := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		name, only, _ := strings.Cut(file, ".")
		number, _, _ := strings.Cut(name, "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", file, i+1)
		}
		step := migration{version: i + 1, name: name}
		if only == "" || only == dialect {
			text, err := fs.ReadFile(files, path)
			if err != nil {
				return nil, fmt.Errorf("reading migration %s: %w", file, err)
			}
			step.sql = string(text)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// migrate brings the schema to the newest step in one transaction: all of the missing steps, or none. Where none is
// missing it only reads, so that a role without the right to change the schema may start.
func migrate(ctx context.Context, db *sql.DB, d dialect, s Schema, steps []migration) error {
	current, err := version(ctx, db, d, s, steps)
	if err != nil || current == len(steps) {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after a commit, and otherwise an error is being returned
	if d.lock != "" {
		if _, err := tx.ExecContext(ctx, d.lock); err != nil {
			return fmt.Errorf("waiting for the migrations of others: %w", err)
		}
	}
	if current, err = version(ctx, tx, d, s, steps); err != nil { // another process may have been faster
		return err
	}
	const tableColumns = `(version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`
	table := `CREATE TABLE IF NOT EXISTS ` + s.Table + tableColumns //nolint:gosec // the name is a constant of the store
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("creating the table of migrations: %w", err)
	}
	for _, step := range steps[current:] {
		if _, err := tx.ExecContext(ctx, step.sql); err != nil {
			return fmt.Errorf("migration %s: %w", step.name, err)
		}
		record := `INSERT INTO ` + s.Table + ` (version, name, applied_at) VALUES ($1, $2, $3)` //nolint:gosec // likewise
		if _, err := tx.ExecContext(ctx, record, step.version, step.name, s.now().UnixMicro()); err != nil {
			return fmt.Errorf("recording migration %s: %w", step.name, err)
		}
	}
	if err := putStamp(ctx, tx, s, len(steps)); err != nil {
		return err
	}
	return tx.Commit()
}

// stampFormat is the name of version 0 in the table of migrations, which is no step: how many steps there were when it was
// written, how many a program must know to use the database, and the release. It sorts before the names of steps.
const stampFormat = "0000 version %d needs %d, by %s"

func putStamp(ctx context.Context, tx *sql.Tx, s Schema, newest int) error {
	needs := newest
	if s.Needs > 0 {
		needs = min(s.Needs, newest)
	}
	record := `INSERT INTO ` + s.Table + ` (version, name, applied_at) VALUES (0, $1, $2) ` + //nolint:gosec // likewise
		`ON CONFLICT (version) DO UPDATE SET name = excluded.name, applied_at = excluded.applied_at`
	name := fmt.Sprintf(stampFormat, newest, needs, cmp.Or(s.Release, "unknown"))
	if _, err := tx.ExecContext(ctx, record, name, s.now().UnixMicro()); err != nil {
		return fmt.Errorf("recording what the schema needs: %w", err)
	}
	return nil
}

// rowQuerier is a database or a transaction.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// stamp returns what the database says of its newest step. Where it says nothing, a program must know all of them.
func stamp(ctx context.Context, db rowQuerier, s Schema, newest int) (schema.Stamp, error) {
	unstamped := schema.Stamp{Version: newest, Needs: newest}
	var name string
	err := db.QueryRowContext(ctx, `SELECT name FROM `+s.Table+` WHERE version = 0`).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return unstamped, nil
	}
	if err != nil {
		return schema.Stamp{}, fmt.Errorf("reading what the schema needs: %w", err)
	}
	var at schema.Stamp
	if _, err := fmt.Sscanf(name, stampFormat, &at.Version, &at.Needs, &at.Release); err != nil || at.Version != newest {
		return unstamped, nil //nolint:nilerr // of something else, so it says nothing of this step
	}
	return at, nil
}

// version returns how many of the steps the database has; all, where a newer authd has made more that do no harm.
func version(ctx context.Context, db rowQuerier, d dialect, s Schema, steps []migration) (current int, err error) {
	var migrated bool
	if err := db.QueryRowContext(ctx, d.migrated, s.Table).Scan(&migrated); err != nil {
		return 0, fmt.Errorf("looking for the table of migrations: %w", err)
	}
	if !migrated {
		return 0, nil
	}
	var name string // names begin with the number, so the newest is the last
	newest := `SELECT COALESCE(MAX(version), 0), COALESCE(MAX(name), '') FROM ` + s.Table
	if err := db.QueryRowContext(ctx, newest).Scan(&current, &name); err != nil {
		return 0, fmt.Errorf("reading the schema version: %w", err)
	}
	if current > len(steps) {
		at, err := stamp(ctx, db, s, current)
		if err != nil {
			return 0, err
		}
		if err := at.Admit(len(steps), s.Release); err != nil {
			return 0, err
		}
		current = len(steps)
		own := `SELECT name FROM ` + s.Table + ` WHERE version = $1`
		if err := db.QueryRowContext(ctx, own, current).Scan(&name); err != nil {
			return 0, fmt.Errorf("reading the name of schema version %d: %w", current, err)
		}
	}
	if current > 0 && name != steps[current-1].name {
		return 0, fmt.Errorf("the table %s is not authd's: version %d is %q, want %q; "+
			"give authd a database or a schema of its own", s.Table, current, name, steps[current-1].name)
	}
	return current, nil
}
