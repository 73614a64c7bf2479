package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// ErrNewerSchema means that the database was last used by a newer authd; this one leaves it alone.
var ErrNewerSchema = errors.New("user database has a newer schema")

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema: the file migrations/NNNN_name.sql. Once released, a file never changes.
type migration struct {
	version int
	name    string
	sql     string
}

// loadMigrations returns the steps in order. Their numbers begin with 1 and have no gaps.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	steps := make([]migration, 0, len(names))
	for i, path := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		number, _, _ := strings.Cut(name, "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, fmt.Errorf("reading migration %s: %w", name, err)
		}
		steps = append(steps, migration{version: i + 1, name: name, sql: string(text)})
	}
	return steps, nil
}

// migrate brings the schema to the newest step in one transaction: all of the missing steps, or none. A transaction of
// db must exclude those of other processes, as openSQLite sees to.
func migrate(ctx context.Context, db *sql.DB, steps []migration, now time.Time) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after a commit, and otherwise an error is being returned
	const table = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("creating the table of migrations: %w", err)
	}
	var current int
	const newest = `SELECT COALESCE(MAX(version), 0) FROM schema_migrations`
	if err := tx.QueryRowContext(ctx, newest).Scan(&current); err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if current > len(steps) {
		return fmt.Errorf("%w: version %d, this authd knows %d; use a newer authd", ErrNewerSchema, current, len(steps))
	}
	for _, step := range steps[current:] {
		if _, err := tx.ExecContext(ctx, step.sql); err != nil {
			return fmt.Errorf("migration %s: %w", step.name, err)
		}
		const record = `INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)`
		if _, err := tx.ExecContext(ctx, record, step.version, step.name, now.UnixMicro()); err != nil {
			return fmt.Errorf("recording migration %s: %w", step.name, err)
		}
	}
	return tx.Commit()
}
