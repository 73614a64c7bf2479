package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

// ErrNewerSchema means that the database was brought up to date by an authd that this one cannot work beside; it leaves the
// database alone.
var ErrNewerSchema = sqldb.ErrNewerSchema

//go:embed migrations/*.sql
var migrationFiles embed.FS

// needs is how many of the migrations the release before has: it goes on working beside this one.
const needs = 3

// Config configures a [Store].
type Config struct {
	Hasher *identity.Hasher // required
	Rules  identity.Rules   // for new passwords

	Now    func() time.Time // of the times in the records; default time.Now
	Rand   io.Reader        // of subjects and notes; default crypto/rand
	Logger *slog.Logger     // default: discard

	Password func() string // of PostgreSQL, asked for with each connection; default: the URL\'s
	Release  string        // of this program, for others that find the database too new
}

// Store implements [identity.Directory] and [identity.Notes]. Its methods may be called concurrently.
type Store struct {
	db     *sql.DB
	schema sqldb.Schema
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
	s, err := newStore(c)
	if err != nil {
		return nil, err
	}
	if s.db, err = sqldb.OpenSQLite(ctx, path, s.schema); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenPostgres connects to the PostgreSQL database that url names and brings its schema up to date; several processes
// may do so at once. A schema of a newer authd is refused with ErrNewerSchema; a server that does not answer gives
// [identity.ErrUnavailable], and so does a connection that is refused. See [sqldb.PostgresAddress] for the URL. No error
// holds a password. Close must be called.
//
// The role needs SELECT, INSERT, UPDATE and DELETE on the table users, SELECT, INSERT and DELETE on pending_ends and SELECT
// on schema_migrations; only to bring the schema up to date must it be allowed to create tables, and own those that are
// there.
func OpenPostgres(ctx context.Context, url string, c Config) (*Store, error) {
	s, err := newStore(c)
	if err != nil {
		return nil, err
	}
	if s.db, err = sqldb.OpenPostgres(ctx, url, c.Password, s.schema); err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(c Config) (*Store, error) {
	if c.Hasher == nil {
		return nil, errors.New("opening the user database: a password hasher is required")
	}
	s := &Store{hasher: c.Hasher, rules: c.Rules, now: c.Now, rand: c.Rand, log: c.Logger}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.schema = sqldb.Schema{
		What: "user database", Table: "schema_migrations", Files: migrationFiles, Unavailable: identity.ErrUnavailable, Now: s.now,
		Needs: needs, Release: c.Release,
	}
	return s, nil
}

// Close releases the database.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return sqldb.Ping(ctx, s.db, s.schema) }

// newID returns 128 random bits in base64url: nothing about the user, and never the same twice.
func (s *Store) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return "", fmt.Errorf("making an identifier: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// unavailable is the one way in which a failure of the database leaves this package. ctx is the statement's, of
// [sqldb.Bounded].
func unavailable(ctx context.Context, doing string, err error) error {
	return sqldb.Wrap(ctx, identity.ErrUnavailable, doing, err)
}
