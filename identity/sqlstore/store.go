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
	Rand   io.Reader        // of subjects; default crypto/rand
	Logger *slog.Logger     // default: discard
}

// Store implements [identity.Directory]. Its methods may be called concurrently.
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
	s, err := newStore(ctx, db, c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the user database %s: %w", path, err), db.Close())
	}
	return s, nil
}

func newStore(ctx context.Context, db *sql.DB, c Config) (*Store, error) {
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
	steps, err := loadMigrations(migrationFiles)
	if err != nil {
		return nil, err
	}
	err = whileLocked(ctx, func() error { return migrate(ctx, db, steps, s.now()) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close releases the database.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return unavailable(ctx, "reaching the user database", err)
	}
	return nil
}

// newSubject returns 128 random bits in base64url: nothing about the user, and never the same twice.
func (s *Store) newSubject() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return "", fmt.Errorf("making a subject: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// unavailable is the one way in which a failure of the database leaves this package. It wraps the context's error where
// that was the cause; a driver reports an interrupted statement in its own words.
func unavailable(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("%s: %w: %w", doing, identity.ErrUnavailable, err)
}
