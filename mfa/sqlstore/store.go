package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/authd-project/authd/internal/sqldb"
	"github.com/authd-project/authd/mfa"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// needs is how many of the migrations the release before has: it goes on working beside this one.
const needs = 1

// Config configures a [Store].
type Config struct {
	Now      func() time.Time // default time.Now
	Password func() string    // of PostgreSQL, asked for with each connection; default: the URL\'s
	Release  string           // of this program, for others that find the database too new
}

// Store implements [mfa.Store]. Its methods may be called concurrently.
type Store struct {
	db     *sql.DB
	schema sqldb.Schema
	now    func() time.Time
	// lock lets changes of one subject's factors wait for one another, until the transaction ends; empty where all
	// transactions do anyway.
	lock string
}

var _ mfa.Store = (*Store)(nil)

// OpenSQLite opens or creates the SQLite file at path and brings its schema up to date. A file of a newer authd is
// refused with [sqldb.ErrNewerSchema]. Close must be called.
func OpenSQLite(ctx context.Context, path string, c Config) (*Store, error) {
	s := newStore(c, "")
	var err error
	if s.db, err = sqldb.OpenSQLite(ctx, path, s.schema); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenPostgres connects to the PostgreSQL database that url names, see [sqldb.PostgresAddress], and brings its schema up to
// date; several processes may do so at once. A server that does not answer or refuses gives [mfa.ErrUnavailable]. No error
// holds a password. Close must be called.
//
// The role needs SELECT, INSERT, UPDATE and DELETE on the tables factors, factor_keys, factor_recovery_codes and
// factor_spent, and SELECT on factor_migrations; only to bring the schema up to date must it be allowed to create tables,
// and own those that are there.
func OpenPostgres(ctx context.Context, url string, c Config) (*Store, error) {
	s := newStore(c, `SELECT pg_advisory_xact_lock(738124, hashtext($1))`)
	var err error
	if s.db, err = sqldb.OpenPostgres(ctx, url, c.Password, s.schema); err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(c Config, lock string) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{now: c.Now, lock: lock, schema: sqldb.Schema{
		What: "factor database", Table: "factor_migrations", Files: migrationFiles, Unavailable: mfa.ErrUnavailable, Now: c.Now,
		Needs: needs, Release: c.Release,
	}}
}

// Close releases the database.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return sqldb.Ping(ctx, s.db, s.schema) }

// storable reports whether a text can be in the database at all. PostgreSQL fails where it is asked about another.
func storable(texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return false
		}
	}
	return true
}

// querier is the database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// do runs what is one statement, bounded in time. Errors of package mfa pass as they are.
func (s *Store) do(ctx context.Context, doing string, f func(context.Context, querier) error) error {
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	return explained(ctx, doing, f(ctx, s.db))
}

// change runs f in a transaction, after others that change the factors of the same subject.
func (s *Store) change(ctx context.Context, doing, subject string, f func(context.Context, querier) error) error {
	ctx, cancel := sqldb.Bounded(ctx)
	defer cancel()
	return explained(ctx, doing, s.transact(ctx, subject, f))
}

func (s *Store) transact(ctx context.Context, subject string, f func(context.Context, querier) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after a commit, and otherwise an error is being returned
	if s.lock != "" {
		if _, err := tx.ExecContext(ctx, s.lock, subject); err != nil {
			return err
		}
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// explained wraps a failure of the database, and leaves alone what is none.
func explained(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	for _, answer := range []error{mfa.ErrNotFound, mfa.ErrExists, mfa.ErrTooMany, mfa.ErrSpent, mfa.ErrConflict} {
		if errors.Is(err, answer) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	return sqldb.Wrap(ctx, mfa.ErrUnavailable, doing, err)
}

// affected runs a statement and returns how many rows it changed.
func affected(ctx context.Context, q querier, query string, args ...any) (int, error) {
	result, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// count runs a statement whose answer is one number.
func count(ctx context.Context, q querier, query string, args ...any) (n int, err error) {
	err = q.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}
