package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Get implements [Reader].
func (o *InOrder) Get(ctx context.Context, username string) (User, error) {
	if _, err := NormalizeUsername(username); err != nil {
		return User{}, err
	}
	for i := range o.sources {
		s := &o.sources[i]
		user, err := s.Users.Get(ctx, username)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		user.Account = s.outside(user.Account)
		return user, s.failed(err)
	}
	return User{}, ErrNotFound
}

// List implements [Reader]. A name that several sources have is listed once, as that of the first. Sources that cannot
// be listed are left out; when none can, it gives [ErrNotListed].
func (o *InOrder) List(ctx context.Context, after string, limit int) ([]User, error) {
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	var all []User
	listed := false
	for i := range o.sources {
		s := &o.sources[i]
		page, err := s.Users.List(ctx, after, limit)
		if errors.Is(err, ErrNotListed) {
			continue
		}
		if err != nil {
			return nil, s.failed(err)
		}
		listed = true
		for _, user := range page {
			user.Account = s.outside(user.Account)
			all = append(all, user)
		}
	}
	if !listed {
		return nil, ErrNotListed
	}
	slices.SortStableFunc(all, func(a, b User) int { return strings.Compare(a.Username, b.Username) })
	all = slices.CompactFunc(all, func(a, b User) bool { return a.Username == b.Username })
	return all[:min(limit, len(all))], nil
}

// Add implements [Directory]. A name that another source has is taken.
func (o *InOrder) Add(ctx context.Context, username, password string, roles ...string) (Account, error) {
	return o.create(ctx, username, func(d Directory) (Account, error) { return d.Add(ctx, username, password, roles...) })
}

// Import implements [Directory]. A name that another source has is taken.
func (o *InOrder) Import(ctx context.Context, username, passwordHash string, roles ...string) (Account, error) {
	return o.create(ctx, username, func(d Directory) (Account, error) { return d.Import(ctx, username, passwordHash, roles...) })
}

func (o *InOrder) create(ctx context.Context, username string, create func(Directory) (Account, error)) (Account, error) {
	if o.managed == nil {
		return Account{}, ErrReadOnly
	}
	if _, err := NormalizeUsername(username); err != nil {
		return Account{}, err
	}
	switch owner, _, err := o.owner(ctx, username); {
	case err == nil && owner != o.managed:
		return Account{}, ErrExists
	case err != nil && !errors.Is(err, ErrNotFound):
		return Account{}, err
	}
	account, err := create(o.managed.Users.(Directory))
	return o.managed.outside(account), err
}

// SetPassword implements [Directory].
func (o *InOrder) SetPassword(ctx context.Context, username, password string) (Account, error) {
	return o.change(ctx, username, func(d Directory) (Account, error) { return d.SetPassword(ctx, username, password) })
}

// SetDisabled implements [Directory].
func (o *InOrder) SetDisabled(ctx context.Context, username string, disabled bool) (Account, error) {
	return o.change(ctx, username, func(d Directory) (Account, error) { return d.SetDisabled(ctx, username, disabled) })
}

// SetRoles implements [Directory].
func (o *InOrder) SetRoles(ctx context.Context, username string, roles ...string) (Account, error) {
	return o.change(ctx, username, func(d Directory) (Account, error) { return d.SetRoles(ctx, username, roles...) })
}

// Remove implements [Directory].
func (o *InOrder) Remove(ctx context.Context, username string) (Account, error) {
	return o.change(ctx, username, func(d Directory) (Account, error) { return d.Remove(ctx, username) })
}

// change refuses what would hit a namesake: who disables a name must not be told that it is done while its owner, in an
// earlier source, goes on.
func (o *InOrder) change(ctx context.Context, username string, change func(Directory) (Account, error)) (Account, error) {
	if o.managed == nil {
		return Account{}, ErrReadOnly
	}
	if _, err := NormalizeUsername(username); err != nil {
		return Account{}, err
	}
	owner, _, err := o.owner(ctx, username)
	if err != nil {
		return Account{}, err
	}
	if owner != o.managed {
		return Account{}, ErrReadOnly
	}
	account, err := change(o.managed.Users.(Directory))
	return o.managed.outside(account), err
}
