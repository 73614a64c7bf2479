package sqlstore

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteConnections bounds the connections to one file. Readers do not wait for one another, writers do anyway.
const sqliteConnections = 4

// openSQLite opens or creates the file with mode 0600, and its folder with mode 0700.
func openSQLite(path string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of %s: %w", path, err)
	}
	// SQLite would create it with the umask's mode, and gives its companions (-wal, -shm) the mode of the file.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the user database: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("opening the user database: %w", err)
	}
	db, err := sql.Open("sqlite", sqliteDSN(path))
	if err != nil {
		return nil, fmt.Errorf("opening the user database %s: %w", path, err)
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	return db, nil
}

func sqliteDSN(path string) string {
	query := url.Values{
		// A transaction takes the write lock when it begins: one that reads first would fail rather than wait, and two
		// processes would migrate at once.
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(5000)",    // ms to wait for another process's write
			"journal_mode(WAL)",     // readers and the writer do not block each other
			"synchronous(FULL)",     // a commit survives a power cut
			"foreign_keys(ON)",      // as in other databases
			"secure_delete(ON)",     // an old hash is overwritten, not just unlinked
			"trusted_schema(OFF)",   // a crafted file must not run functions
			"temp_store(MEMORY)",    // nothing of the users in temporary files
			"cell_size_check(ON)",   // a damaged page is an error, not a wrong answer
			"journal_size_limit(0)", // the journal shrinks again after a large import
		},
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
}
