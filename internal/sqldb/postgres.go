package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// postgresConnections bounds the connections of one process unless the URL does.
	postgresConnections = 8
	// postgresConnectTimeout is for each of the URL's hosts unless it says otherwise: two can be tried within
	// AnswerTimeout.
	postgresConnectTimeout = AnswerTimeout / 2
	// postgresIdle and postgresLife are how long a connection is kept, unused and at all. They end, so that after a
	// failover or a change of the address everybody moves on.
	postgresIdle, postgresLife = 5 * time.Minute, 30 * time.Minute
	// migrationTimeout bounds the change of the schema, the wait for others that change it included.
	migrationTimeout = time.Minute
)

func postgresDialect() dialect {
	return dialect{
		name: "postgres",
		// Not to_regclass: it answers from a cache, and may not see a table made while this transaction waited for lock.
		migrated: `SELECT COUNT(*) > 0 FROM pg_class WHERE relname = $1 AND pg_table_is_visible(oid)`,
		lock:     `SELECT pg_advisory_xact_lock(7381240113)`, // any number that nobody else takes
		guard:    guardPostgres,
	}
}

// OpenPostgres connects to the PostgreSQL database that url names (see [PostgresAddress]) and brings the schema up to date;
// several processes may do so at once. password, unless it is nil, is asked for with each new connection, and replaces the
// URL's. No error holds a password.
func OpenPostgres(ctx context.Context, url string, password func() string, s Schema) (*sql.DB, error) {
	config, connections, err := parsePostgresURL(url)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(checkEncoding), stdlib.OptionBeforeConnect(
		func(_ context.Context, c *pgx.ConnConfig) error {
			if password != nil {
				c.Password = password()
			}
			return nil
		}))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(postgresIdle)
	db.SetConnMaxLifetime(postgresLife)
	if err := upgrade(ctx, db, postgresDialect(), s); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the %s %s: %w", s.What, postgresAddress(config), err), db.Close())
	}
	return db, nil
}

// checkEncoding refuses a database that cannot hold every name.
func checkEncoding(_ context.Context, conn *pgx.Conn) error {
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s, want UTF8", encoding)
	}
	return nil
}

// guardPostgres bounds a migration, and tells a server that does not answer from one that refuses.
func guardPostgres(ctx context.Context, db *sql.DB, s Schema, migrate func(context.Context) error) error {
	if err := Ping(ctx, db, s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, migrationTimeout)
	defer cancel()
	err := migrate(ctx)
	const insufficientPrivilege = "42501"
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == insufficientPrivilege {
		return fmt.Errorf("the role lacks a right; to bring the schema up to date, let its owner start authd once: %w", err)
	}
	return err
}
