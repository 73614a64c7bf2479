package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// ErrDamaged means that a SQLite file is not as SQLite has written it. Nothing in it can be relied on.
var ErrDamaged = errors.New("the database is damaged")

// SnapshotSQLite copies what a SQLite file holds at one moment to a new file. Others, also of this process, may read and
// write it meanwhile. The copy takes the mode that the umask leaves, so it belongs into a private folder.
func SnapshotSQLite(ctx context.Context, from, to string) (err error) {
	query := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", lockTimeout.Milliseconds()), "trusted_schema(OFF)", "synchronous(FULL)"}}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: from}).EscapedPath(), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `VACUUM INTO $1`, to); err != nil {
		return fmt.Errorf("copying %s: %w", from, damaged(err))
	}
	return nil
}

// verifySQLite looks at every page of a database. What SQLite would stumble over only when it comes to it, an old secret
// perhaps, or an account that is missing, is found when authd starts. A change within a value goes unnoticed.
func verifySQLite(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, `PRAGMA quick_check(5)`)
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = rows.Close() }() // its error is that of Err, below
	var problems []string
	for rows.Next() {
		var problem string
		if err := rows.Scan(&problem); err != nil {
			return damaged(err)
		}
		if problem != "ok" {
			problems = append(problems, problem)
		}
	}
	if err := rows.Err(); err != nil {
		return damaged(err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(problems, "; "))
	}
	return nil
}

// damaged marks what SQLite says of a file that is none of its own, or not any more.
func damaged(err error) error {
	var refused *sqlite.Error
	if errors.As(err, &refused) {
		switch refused.Code() & 0xff {
		case sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}
