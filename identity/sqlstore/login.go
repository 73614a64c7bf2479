package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/authd-project/authd/identity"
)

// Authenticate implements [identity.Authenticator]. Every attempt reads the database once and computes one hash,
// whether the account exists, is disabled, has a password or not; only a success does more.
func (s *Store) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		name = "" // nobody has it
	}
	r, decoy, err := s.candidate(ctx, name, username)
	if err != nil {
		return identity.Account{}, err
	}
	hash := r.passwordHash
	if hash == "" {
		hash = decoy
	}
	ok, err := s.hasher.Verify(ctx, hash, password)
	if errors.Is(err, identity.ErrHash) {
		s.log.ErrorContext(ctx, "stored password cannot be verified", "subject", r.subject, "err", err)
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	if err != nil {
		return identity.Account{}, err
	}
	if !ok || r.passwordHash == "" || r.disabled {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return s.confirm(ctx, r, password)
}

// candidate returns the record of a name, or an empty one, and a decoy: a hash that nothing matches, as costly as one
// that is really stored.
//
// While some accounts still have hashes of other costs, an unknown name must not stand out by having the current ones.
// So it borrows the costs of an account drawn by the hash of the name: the same one each time, the drawn costs as
// frequent as they are in the table, and changing only as those of accounts do. The draw needs no secret: to predict
// it one would have to know the accounts. Both are read in one query, so that a known and an unknown name cost the
// same.
func (s *Store) candidate(ctx context.Context, name, typed string) (record, string, error) {
	const query = `SELECT ` + columns + ` FROM users WHERE username = $1 OR subject = COALESCE(
		(SELECT MIN(subject) FROM users WHERE subject >= $2 AND password_hash <> ''),
		(SELECT MIN(subject) FROM users WHERE password_hash <> ''))`
	point := name
	if name == "" {
		point = typed
	}
	drawn := sha256.Sum256([]byte(point))
	records, err := s.query(ctx, "reading an account", query, name, base64.RawURLEncoding.EncodeToString(drawn[:16]))
	if err != nil {
		return record{}, "", err
	}
	var found, lender record
	for _, r := range records {
		if r.username == name {
			found = r
		} else {
			lender = r
		}
	}
	return found, s.hasher.Decoy(lender.passwordHash), nil
}

// confirm ends a successful login. Hashing takes long enough for an administrator to act meanwhile, so the account is
// read again. A hash of other costs than the current ones is replaced, now that the password is known.
func (s *Store) confirm(ctx context.Context, r record, password string) (identity.Account, error) {
	now, err := s.bySubject(ctx, r.subject)
	if errors.Is(err, identity.ErrNotFound) {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	if err != nil {
		return identity.Account{}, err
	}
	if now.disabled || now.passwordHash == "" {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	if now.passwordHash != r.passwordHash { // changed, or upgraded by another login
		ok, err := s.hasher.Verify(ctx, now.passwordHash, password)
		if err != nil {
			return identity.Account{}, err
		}
		if !ok {
			return identity.Account{}, identity.ErrInvalidCredentials
		}
	}
	if s.hasher.Outdated(now.passwordHash) {
		s.upgrade(ctx, now, password)
	}
	return now.account(), nil
}

// upgrade replaces a hash unless it has changed meanwhile. The login does not depend on it: the next one tries again.
func (s *Store) upgrade(ctx context.Context, r record, password string) {
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		s.log.WarnContext(ctx, "password hash not upgraded", "subject", r.subject, "err", err)
		return
	}
	const query = `UPDATE users SET password_hash = $2 WHERE subject = $1 AND password_hash = $3 RETURNING ` + columns
	upgraded, err := s.query(ctx, "upgrading a hash", query, r.subject, hash, r.passwordHash)
	switch {
	case err != nil:
		s.log.WarnContext(ctx, "password hash not upgraded", "subject", r.subject, "err", err)
	case len(upgraded) > 0:
		s.log.InfoContext(ctx, "password hash outdated, upgraded at login", "subject", r.subject)
	}
}

// Account implements [identity.Authenticator].
func (s *Store) Account(ctx context.Context, subject string) (identity.Account, error) {
	r, err := s.bySubject(ctx, subject)
	if err != nil {
		return identity.Account{}, err
	}
	return r.account(), nil
}

func (s *Store) bySubject(ctx context.Context, subject string) (record, error) {
	if !storable(subject) {
		return record{}, identity.ErrNotFound
	}
	const query = `SELECT ` + columns + ` FROM users WHERE subject = $1`
	return s.one(ctx, "reading an account", query, subject)
}
