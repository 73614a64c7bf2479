package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite" // also the driver "sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

const (
	// lockTimeout is how long an operation waits for another process's write.
	lockTimeout = 5 * time.Second
	// lockPoll is how often whileLocked tries.
	lockPoll = 10 * time.Millisecond
)

// sqliteConnections bounds the connections to one file. Readers do not wait for one another, writers do anyway.
const sqliteConnections = 4

func sqliteDialect() dialect {
	return dialect{
		name:     "sqlite",
		migrated: `SELECT COUNT(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = $1`,
		guard: func(ctx context.Context, _ *sql.DB, _ Schema, migrate func(context.Context) error) error {
			return whileLocked(ctx, func() error { return migrate(ctx) })
		},
	}
}

// OpenSQLite opens or creates the file with mode 0600, and its folder with mode 0700, and brings the schema up to date.
// Several processes may use a file at once. A damaged file gives ErrDamaged.
func OpenSQLite(ctx context.Context, path string, s Schema) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of %s: %w", path, err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("creating the %s: %w", s.What, err)
	}
	db, err := sql.Open("sqlite", sqliteDSN(path))
	if err != nil {
		return nil, fmt.Errorf("opening the %s %s: %w", s.What, path, err)
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	if err := upgrade(ctx, db, sqliteDialect(), s); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the %s %s: %w", s.What, path, damaged(err)), db.Close())
	}
	if err := verifySQLite(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the %s %s: %w", s.What, path, err), db.Close())
	}
	return db, nil
}

// createPrivate creates the file with mode 0600 where there is none. SQLite would take the umask's mode, and it gives its
// companions (-wal, -shm) the mode of the file. An existing file is not touched: closing a descriptor of it would drop
// the locks that SQLite holds elsewhere in this process.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func sqliteDSN(path string) string {
	query := url.Values{
		// A transaction takes the write lock when it begins: one that reads first would fail rather than wait, and two
		// processes would migrate at once.
		"_txlock": {"immediate"},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", lockTimeout.Milliseconds()),
			"journal_mode(WAL)",     // readers and the writer do not block each other
			"synchronous(FULL)",     // a commit survives a power cut
			"foreign_keys(ON)",      // as in other databases
			"secure_delete(ON)",     // an old secret is overwritten, not just unlinked
			"trusted_schema(OFF)",   // a crafted file must not run functions
			"temp_store(MEMORY)",    // nothing of the content in temporary files
			"cell_size_check(ON)",   // a damaged page is an error, not a wrong answer
			"journal_size_limit(0)", // the journal shrinks again after a large import
		},
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
}

// whileLocked repeats the first use of a database while another process holds it, for lockTimeout at most. SQLite's own
// busy_timeout covers everything but the change of a new file to WAL: of two processes that make it at once, one is
// refused without waiting. The mode stays with the file, so later uses do not meet this.
func whileLocked(ctx context.Context, use func() error) error {
	timeout := time.NewTimer(lockTimeout)
	defer timeout.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := use()
		var refused *sqlite.Error
		if !errors.As(err, &refused) || refused.Code()&0xff != sqlitelib.SQLITE_BUSY {
			return err
		}
		select {
		case <-poll.C:
		case <-timeout.C:
			return err
		case <-ctx.Done():
			return fmt.Errorf("waiting for another process: %w", ctx.Err())
		}
	}
}
