package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/authd-project/authd/identity"
)

// Add implements [identity.Directory].
func (s *Store) Add(ctx context.Context, username, password string, roles ...string) (identity.Account, error) {
	r, err := s.newRecord(username, roles)
	if err != nil {
		return identity.Account{}, err
	}
	if err := s.rules.Check(r.username, password); err != nil {
		return identity.Account{}, err
	}
	// Hashing is dear, so a name that is taken is found out before; the insert still has the last word.
	switch _, err := s.Get(ctx, r.username); {
	case err == nil:
		return identity.Account{}, identity.ErrExists
	case !errors.Is(err, identity.ErrNotFound):
		return identity.Account{}, err
	}
	if r.passwordHash, err = s.hasher.Hash(ctx, password); err != nil {
		return identity.Account{}, err
	}
	r.passwordChangedAt = r.createdAt
	return s.insert(ctx, r)
}

// Import implements [identity.Directory].
func (s *Store) Import(ctx context.Context, username, passwordHash string, roles ...string) (identity.Account, error) {
	r, err := s.newRecord(username, roles)
	if err != nil {
		return identity.Account{}, err
	}
	if passwordHash != "" {
		if err := identity.CheckHash(passwordHash); err != nil {
			return identity.Account{}, err
		}
	}
	r.passwordHash = passwordHash
	return s.insert(ctx, r)
}

func (s *Store) newRecord(username string, roles []string) (record, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		return record{}, err
	}
	if roles, err = identity.NormalizeRoles(roles); err != nil {
		return record{}, err
	}
	subject, err := s.newID()
	if err != nil {
		return record{}, err
	}
	now := s.now().UnixMicro()
	return record{subject: subject, username: name, roles: strings.Join(roles, " "), createdAt: now, updatedAt: now}, nil
}

func (s *Store) insert(ctx context.Context, r record) (identity.Account, error) {
	const query = `INSERT INTO users (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (username) DO NOTHING RETURNING ` + columns
	inserted, err := s.query(ctx, "adding an account", query, r.subject, r.username, r.passwordHash, r.disabled, r.roles,
		r.createdAt, r.updatedAt, r.passwordChangedAt)
	if err != nil {
		return identity.Account{}, err
	}
	if len(inserted) == 0 {
		return identity.Account{}, identity.ErrExists
	}
	return r.account(), nil
}

// Get implements [identity.Directory].
func (s *Store) Get(ctx context.Context, username string) (identity.User, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		return identity.User{}, err
	}
	const query = `SELECT ` + columns + ` FROM users WHERE username = $1`
	r, err := s.one(ctx, "reading an account", query, name)
	if err != nil {
		return identity.User{}, err
	}
	return r.user(), nil
}

// List implements [identity.Directory].
func (s *Store) List(ctx context.Context, after string, limit int) ([]identity.User, error) {
	if limit <= 0 || limit > identity.MaxPage {
		limit = identity.MaxPage
	}
	if !storable(after) {
		return nil, fmt.Errorf("%w: not valid text", identity.ErrUsername)
	}
	const query = `SELECT ` + columns + ` FROM users WHERE username > $1 ORDER BY username LIMIT $2`
	records, err := s.query(ctx, "listing accounts", query, after, limit)
	if err != nil {
		return nil, err
	}
	users := make([]identity.User, len(records))
	for i := range records {
		users[i] = records[i].user()
	}
	return users, nil
}

// SetPassword implements [identity.Directory].
func (s *Store) SetPassword(ctx context.Context, username, password string) (identity.Account, error) {
	user, err := s.Get(ctx, username)
	if err != nil {
		return identity.Account{}, err
	}
	if err := s.rules.Check(user.Username, password); err != nil {
		return identity.Account{}, err
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return identity.Account{}, err
	}
	// By subject, for the name may have passed to a new account while the password was hashed.
	const query = `UPDATE users SET password_hash = $2, password_changed_at = $3, updated_at = $3 WHERE subject = $1
		RETURNING ` + columns
	now := s.now()
	return s.changeAndNote(ctx, "changing a password", now, query, user.Subject, hash, now.UnixMicro())
}

// SetDisabled implements [identity.Directory].
func (s *Store) SetDisabled(ctx context.Context, username string, disabled bool) (identity.Account, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		return identity.Account{}, err
	}
	const query = `UPDATE users SET disabled = $2, updated_at = $3 WHERE username = $1 RETURNING ` + columns
	if !disabled {
		return s.change(ctx, query, name, disabled)
	}
	now := s.now()
	return s.changeAndNote(ctx, "disabling an account", now, query, name, disabled, now.UnixMicro())
}

// SetRoles implements [identity.Directory].
func (s *Store) SetRoles(ctx context.Context, username string, roles ...string) (identity.Account, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		return identity.Account{}, err
	}
	if roles, err = identity.NormalizeRoles(roles); err != nil {
		return identity.Account{}, err
	}
	const query = `UPDATE users SET roles = $2, updated_at = $3 WHERE username = $1 RETURNING ` + columns
	return s.change(ctx, query, name, strings.Join(roles, " "))
}

// change runs a statement that sets one account's field: $1 says whose, $2 is the value, $3 the time.
func (s *Store) change(ctx context.Context, query, whose string, value any) (identity.Account, error) {
	r, err := s.one(ctx, "changing an account", query, whose, value, s.now().UnixMicro())
	if err != nil {
		return identity.Account{}, err
	}
	return r.account(), nil
}

// Remove implements [identity.Directory].
func (s *Store) Remove(ctx context.Context, username string) (identity.Account, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		return identity.Account{}, err
	}
	const query = `DELETE FROM users WHERE username = $1 RETURNING ` + columns
	return s.changeAndNote(ctx, "removing an account", s.now(), query, name)
}
