// Package sqlquery takes users from a table that another application keeps, in PostgreSQL or SQLite, by queries of the
// operator's. authd reads only, in transactions that can do nothing else, and checks passwords against the hashes that it
// finds: argon2id in PHC form, or bcrypt.
//
// The columns of a query are found by their names, as [Config] says. An unknown name, a wrong password, a disabled account
// and one without a password get the same answer after the same work: one read, and one hash at a cost that is really in
// use, for which a sample of the stored hashes is read again every hour.
//
// A typed name is folded as [identity.NormalizeUsername] says before a query sees it, and is only ever a parameter. What a
// row says must be such a name again, and roles that authd can take; else its user cannot log in.
package sqlquery

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/sqldb"
)

// Config says where the users are. [Config.Validate] names its fields as files of settings do.
type Config struct {
	// Database is a postgres:// URL as [sqldb.PostgresAddress] describes it, or sqlite:PATH.
	Database string
	Password string // of PostgreSQL; default: the URL's

	// Login finds an account by its name, which is $1 in lower case. Its columns are subject, which stays with the account
	// for good, username, password_hash, and if there are any disabled (a boolean), roles (separated by spaces or commas)
	// and password_changed_at (a timestamp, or seconds since 1970).
	Login string
	// Account finds one by its subject, which is $1. Its columns are those of Login; it may leave password_hash out.
	Account string
	// Hashes gives the password_hash of some accounts, a thousand at most: unknown names cost what these do.
	Hashes string
	// List gives at most $2 accounts with names behind $1, in the order of the names' bytes. Its columns are those of
	// Account. Without it users cannot be listed.
	List string

	Hasher *identity.Hasher // required
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: discard
}

// Validate reports every problem at once that can be seen without the database.
func (c Config) Validate() error {
	problems := []error{
		required("login", c.Login), required("account", c.Account), required("hashes", c.Hashes),
	}
	switch path, isFile := strings.CutPrefix(c.Database, "sqlite:"); {
	case c.Database == "":
		problems = append(problems, errors.New("database: required: postgres://USER@HOST/DATABASE or sqlite:PATH"))
	case isFile && path == "":
		problems = append(problems, errors.New("database: want sqlite:PATH"))
	case isFile && c.Password != "":
		problems = append(problems, errors.New("password_file: want a postgres:// URL with it"))
	case !isFile:
		if _, err := sqldb.PostgresAddress(c.Database); err != nil {
			problems = append(problems, fmt.Errorf("database: neither sqlite:PATH nor: %w", err))
		}
	}
	return errors.Join(problems...)
}

func required(key, query string) error {
	if strings.TrimSpace(query) == "" {
		return fmt.Errorf("%s: required: a query", key)
	}
	return nil
}

// Source implements [identity.Reader]. Its methods may be called concurrently.
type Source struct {
	c     Config
	db    *sql.DB
	log   *slog.Logger
	costs costs
}

var _ identity.Reader = (*Source)(nil)

// Open connects and has the database explain the queries: the error says of each what it lacks. A database that does not
// answer gives [identity.ErrUnavailable]. Close must be called.
func Open(ctx context.Context, c Config) (*Source, error) {
	if c.Hasher == nil {
		return nil, errors.New("a password hasher is required")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Source{c: c, log: c.Logger}
	if s.c.Now == nil {
		s.c.Now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if path, isFile := strings.CutPrefix(c.Database, "sqlite:"); isFile {
		s.db, err = sqldb.ReadSQLite(path)
	} else {
		s.db, err = sqldb.ReadPostgres(c.Database, c.Password)
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	for _, step := range []func(context.Context) error{s.Ping, s.explain, s.readCosts} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.db.Close())
		}
	}
	return s, nil
}

// Close releases the database.
func (s *Source) Close() error { return s.db.Close() }

// Ping reports whether the database answers.
func (s *Source) Ping(ctx context.Context) error {
	return sqldb.Ping(ctx, s.db, sqldb.Schema{What: "database", Unavailable: identity.ErrUnavailable})
}

// Authenticate implements [identity.Authenticator].
func (s *Source) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	if err := ctx.Err(); err != nil {
		return identity.Account{}, fmt.Errorf("reading an account: %w", err)
	}
	s.refreshCosts(ctx)
	name, err := identity.NormalizeUsername(username)
	var r row // empty: nobody
	if err == nil {
		if r, err = s.one(ctx, s.c.Login, name); err != nil {
			return identity.Account{}, err
		}
	}
	hash := r.hash
	if hash == "" {
		hash = s.c.Hasher.Decoy(s.costs.lender(cmp.Or(name, username)))
	}
	ok, err := s.c.Hasher.Verify(ctx, hash, password)
	if errors.Is(err, identity.ErrHash) {
		s.log.ErrorContext(ctx, "stored password cannot be verified", "subject", r.subject, "err", err)
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	if err != nil {
		return identity.Account{}, err
	}
	if !ok || r.hash == "" || r.disabled {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return s.confirm(ctx, name, r, password)
}

// confirm ends a successful login. Hashing takes long enough for the row to change meanwhile.
func (s *Source) confirm(ctx context.Context, name string, r row, password string) (identity.Account, error) {
	now, err := s.one(ctx, s.c.Login, name)
	if err != nil {
		return identity.Account{}, err
	}
	if now.subject != r.subject || now.disabled || now.hash == "" {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	if now.hash != r.hash {
		switch ok, err := s.c.Hasher.Verify(ctx, now.hash, password); {
		case err != nil && !errors.Is(err, identity.ErrHash):
			return identity.Account{}, err
		case !ok:
			return identity.Account{}, identity.ErrInvalidCredentials
		}
	}
	return now.account()
}

// Account implements [identity.Authenticator].
func (s *Source) Account(ctx context.Context, subject string) (identity.Account, error) {
	if !utf8.ValidString(subject) || strings.Contains(subject, "\x00") {
		return identity.Account{}, errors.Join(ctx.Err(), identity.ErrNotFound)
	}
	r, err := s.one(ctx, s.c.Account, subject)
	if err != nil {
		return identity.Account{}, err
	}
	if r.subject == "" || r.subject != subject { // the database may compare more loosely
		return identity.Account{}, identity.ErrNotFound
	}
	return r.account()
}

// Get implements [identity.Reader].
func (s *Source) Get(ctx context.Context, username string) (identity.User, error) {
	name, err := identity.NormalizeUsername(username)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return identity.User{}, err
	}
	r, err := s.one(ctx, s.c.Login, name)
	if err != nil {
		return identity.User{}, err
	}
	if r.subject == "" {
		return identity.User{}, identity.ErrNotFound
	}
	account, err := r.account()
	return identity.User{Account: account, HasPassword: r.hash != ""}, err
}

// List implements [identity.Reader]. It does not say who has a password.
func (s *Source) List(ctx context.Context, after string, limit int) ([]identity.User, error) {
	if s.c.List == "" {
		return nil, identity.ErrNotListed
	}
	if limit <= 0 || limit > identity.MaxPage {
		limit = identity.MaxPage
	}
	rows, err := s.query(ctx, s.c.List, after, limit)
	if err != nil {
		return nil, err
	}
	var list []identity.User
	for _, r := range rows {
		account, err := r.account()
		if err != nil {
			return nil, err
		}
		list = append(list, identity.User{Account: account, HasPassword: true})
	}
	return list, nil
}
