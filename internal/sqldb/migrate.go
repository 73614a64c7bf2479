package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
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
	return tx.Commit()
}

// rowQuerier is a database or a transaction.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version returns how many of the steps the database has.
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
		return 0, fmt.Errorf("%w: version %d, this authd knows %d; use a newer authd", ErrNewerSchema, current, len(steps))
	}
	if current > 0 && name != steps[current-1].name {
		return 0, fmt.Errorf("the table %s is not authd's: version %d is %q, want %q; "+
			"give authd a database or a schema of its own", s.Table, current, name, steps[current-1].name)
	}
	return current, nil
}
