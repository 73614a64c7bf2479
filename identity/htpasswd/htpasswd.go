// Package htpasswd takes users from a file as Apache's htpasswd makes it: a line NAME:HASH for each, with bcrypt hashes
// (htpasswd -B) or argon2id hashes in PHC form. authd reads the file and never writes it.
//
// Empty lines, lines that begin with # and what follows a second colon are ignored. An account whose hash is empty or
// begins with !, as in shadow(5), cannot log in. Names are folded as [identity.NormalizeUsername] says; two that become
// one are an error. Accounts have no roles. A subject is made from the name, so who takes a removed user's name becomes
// that user for the services behind authd.
package htpasswd

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/authd-project/authd/identity"
)

// Config configures a [Source].
type Config struct {
	Hasher *identity.Hasher // required

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: discard
}

// Source implements [identity.Reader]. Its methods may be called concurrently. Each looks whether the file has changed
// and reads it again if so, once nobody has written to it for a second. A file that cannot be read then, or not whole,
// changes nothing, and the log says why.
type Source struct {
	path   string
	hasher *identity.Hasher
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	users *users
	seen  seen
}

var _ identity.Reader = (*Source)(nil)

// Open reads the file. The error names the lines that cannot be used, and quotes none.
func Open(path string, c Config) (*Source, error) {
	if c.Hasher == nil {
		return nil, errors.New("opening the htpasswd file: a password hasher is required")
	}
	s := &Source{path: path, hasher: c.Hasher, now: c.Now, log: c.Logger}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("htpasswd file %s: %w", path, err)
	}
	return s, nil
}

// Authenticate implements [identity.Authenticator]. Every attempt computes one hash, whether the account exists, is
// locked, has a password or not.
func (s *Source) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		name = "" // nobody has it
	}
	all := s.current(ctx)
	e := all.byName[name]
	hash := e.hash
	if hash == "" {
		hash = s.hasher.Decoy(all.lender(name, username))
	}
	ok, err := s.hasher.Verify(ctx, hash, password)
	if err != nil {
		return identity.Account{}, err
	}
	if !ok || e.hash == "" || e.account.Disabled {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return s.confirm(ctx, e, password)
}

// confirm ends a successful login. Hashing takes long enough for the file to change meanwhile.
func (s *Source) confirm(ctx context.Context, e entry, password string) (identity.Account, error) {
	now := s.current(ctx).byName[e.account.Username]
	if now.hash == "" || now.account.Disabled {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	if now.hash != e.hash {
		switch ok, err := s.hasher.Verify(ctx, now.hash, password); {
		case err != nil:
			return identity.Account{}, err
		case !ok:
			return identity.Account{}, identity.ErrInvalidCredentials
		}
	}
	return now.account, nil
}

// Account implements [identity.Authenticator].
func (s *Source) Account(ctx context.Context, subject string) (identity.Account, error) {
	if err := ctx.Err(); err != nil {
		return identity.Account{}, err
	}
	all := s.current(ctx)
	name, ok := all.bySubject[subject]
	if !ok {
		return identity.Account{}, identity.ErrNotFound
	}
	return all.byName[name].account, nil
}

// Get implements [identity.Reader]. The times of an account are those of the file.
func (s *Source) Get(ctx context.Context, username string) (identity.User, error) {
	name, err := identity.NormalizeUsername(username)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return identity.User{}, err
	}
	all := s.current(ctx)
	e, ok := all.byName[name]
	if !ok {
		return identity.User{}, identity.ErrNotFound
	}
	return all.user(e), nil
}

// List implements [identity.Reader].
func (s *Source) List(ctx context.Context, after string, limit int) ([]identity.User, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > identity.MaxPage {
		limit = identity.MaxPage
	}
	all := s.current(ctx)
	first, found := slices.BinarySearch(all.names, after)
	if found {
		first++
	}
	page := all.names[first:min(first+limit, len(all.names))]
	list := make([]identity.User, len(page))
	for i, name := range page {
		list[i] = all.user(all.byName[name])
	}
	return list, nil
}

// subjectOf returns what stands for a name in tokens: it says nothing of the name, and every authd makes the same.
func subjectOf(name string) string {
	sum := sha256.Sum256([]byte("authd htpasswd subject\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
