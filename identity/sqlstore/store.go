package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/authd-project/authd/identity"
)

// Config configures a [Store].
type Config struct {
	Hasher *identity.Hasher // required
	Rules  identity.Rules   // for new passwords

	Now    func() time.Time // of the times in the records; default time.Now
	Rand   io.Reader        // of subjects and notes; default crypto/rand
	Logger *slog.Logger     // default: discard

	Password string // of PostgreSQL; default: the URL's
}

// Store implements [identity.Directory] and [identity.Notes]. Its methods may be called concurrently.
type Store struct {
	db     *sql.DB
	hasher *identity.Hasher
	rules  identity.Rules
	now    func() time.Time
	rand   io.Reader
	log    *slog.Logger
}

var _ identity.Directory = (*Store)(nil)

// OpenSQLite opens or creates the SQLite file at path and brings its schema up to date. A file of a newer authd is
// refused with ErrNewerSchema. Close must be called.
func OpenSQLite(ctx context.Context, path string, c Config) (*Store, error) {
	if c.Hasher == nil {
		return nil, errors.New("opening the user database: a password hasher is required")
	}
	db, err := openSQLite(path)
	if err != nil {
		return nil, err
	}
	s, err := newStore(ctx, db, sqliteDialect(), c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the user database %s: %w", path, err), db.Close())
	}
	return s, nil
}

// OpenPostgres connects to the PostgreSQL database that url names and brings its schema up to date; several processes
// may do so at once. A schema of a newer authd is refused with ErrNewerSchema; a server that does not answer gives
// [identity.ErrUnavailable], and so does a connection that is refused. See [PostgresAddress] for the URL. No error
// holds a password. Close must be called.
//
// The role needs SELECT, INSERT, UPDATE and DELETE on the table users, SELECT, INSERT and DELETE on pending_ends and SELECT
// on schema_migrations; only to bring the schema up to date must it be allowed to create tables, and own those that are
// there.
func OpenPostgres(ctx context.Context, url string, c Config) (*Store, error) {
	if c.Hasher == nil {
		return nil, errors.New("opening the user database: a password hasher is required")
	}
	config, connections, err := parsePostgresURL(url)
	if err != nil {
		return nil, err
	}
	if c.Password != "" {
		config.Password = c.Password
	}
	db := openPostgres(config, connections)
	s, err := newStore(ctx, db, postgresDialect(), c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the user database %s: %w", postgresAddress(config), err), db.Close())
	}
	return s, nil
}

func newStore(ctx context.Context, db *sql.DB, d dialect, c Config) (*Store, error) {
	s := &Store{db: db, hasher: c.Hasher, rules: c.Rules, now: c.Now, rand: c.Rand, log: c.Logger}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	steps, err := loadMigrations(migrationFiles, d.name)
	if err != nil {
		return nil, err
	}
	err = d.guard(ctx, db, func(ctx context.Context) error { return migrate(ctx, db, d, steps, s.now()) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close releases the database.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return ping(ctx, s.db) }

func ping(ctx context.Context, db *sql.DB) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return unavailable(ctx, "reaching the user database", err)
	}
	return nil
}

// newID returns 128 random bits in base64url: nothing about the user, and never the same twice.
func (s *Store) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return "", fmt.Errorf("making an identifier: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// answerTimeout is how long the database may take for one statement, the connection included. It is longer than SQLite
// waits for a lock, which SQLite reports better.
const answerTimeout = 6 * time.Second

var errNoAnswer = fmt.Errorf("no answer within %v", answerTimeout)

// bounded returns a context for one statement.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
}

// unavailable is the one way in which a failure of the database leaves this package. ctx is the statement's, of bounded.
// The error wraps the caller's context's where that was the cause; a driver reports an interrupted statement in its own
// words.
func unavailable(ctx context.Context, doing string, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errNoAnswer):
		err = errNoAnswer // and not DeadlineExceeded: the caller's time is not up
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New(err.Error()) // of a driver's own context, for the same reason
	}
	return fmt.Errorf("%s: %w: %w", doing, identity.ErrUnavailable, err)
}
