package identity

import (
	"context"
	"errors"
)

// ErrReadOnly means that the accounts are managed elsewhere: authd reads them only.
var ErrReadOnly = errors.New("users are read only")

// ErrNotListed means that a source finds each of its users, but cannot tell who they all are.
var ErrNotListed = errors.New("users cannot be listed")

// Reader is a source of users that can be looked at but not changed. See [Directory] for what its methods do; List may
// give ErrNotListed.
type Reader interface {
	Authenticator
	Get(ctx context.Context, username string) (User, error)
	List(ctx context.Context, after string, limit int) ([]User, error)
}

// ReadOnly makes a directory of a reader. Every change is refused with ErrReadOnly.
func ReadOnly(r Reader) Directory { return readOnly{r} }

type readOnly struct{ Reader }

func (readOnly) Add(context.Context, string, string, ...string) (Account, error) {
	return Account{}, ErrReadOnly
}

func (readOnly) Import(context.Context, string, string, ...string) (Account, error) {
	return Account{}, ErrReadOnly
}

func (readOnly) SetPassword(context.Context, string, string) (Account, error) {
	return Account{}, ErrReadOnly
}

func (readOnly) SetDisabled(context.Context, string, bool) (Account, error) {
	return Account{}, ErrReadOnly
}

func (readOnly) SetRoles(context.Context, string, ...string) (Account, error) {
	return Account{}, ErrReadOnly
}

func (readOnly) Remove(context.Context, string) (Account, error) { return Account{}, ErrReadOnly }
