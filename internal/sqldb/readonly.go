package sqldb

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5/stdlib"
)

// ReadPostgres returns a pool for a PostgreSQL database that somebody else keeps, on any server of the URL's, also one that
// takes no writes. It does not connect. See [OpenPostgres] for its arguments. What runs in it should be in transactions
// that are read only.
func ReadPostgres(url, password string) (*sql.DB, error) {
	config, connections, err := parsePostgresURL(url)
	if err != nil {
		return nil, err
	}
	if password != "" {
		config.Password = password
	}
	config.ValidateConnect = nil
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(checkEncoding))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(postgresIdle)
	db.SetConnMaxLifetime(postgresLife)
	return db, nil
}

// ReadSQLite opens a SQLite file that somebody else keeps. Nothing can be written to it.
func ReadSQLite(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", lockTimeout.Milliseconds()), "query_only(ON)", "trusted_schema(OFF)", "cell_size_check(ON)",
	}}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	return db, nil
}
