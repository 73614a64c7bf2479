package identity

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Source is one of several sources of users.
type Source struct {
	// Name is what the subjects of its users begin with, and a colon: 1 to 32 of a-z, 0-9 and "-". One source may have
	// none; its subjects must have no colon.
	Name string
	// Users are read. If they are a [Directory] too, changes go there.
	Users Reader
}

// InOrder is several sources as one [Directory].
//
// A name belongs to the first source that has it, whatever its state there. Only that source checks the password: who is
// refused by it, with a wrong password or a disabled account, is not tried at a later one, where the same name may be
// another person's. For the same reason a source that does not answer ends the matter with [ErrUnavailable]: a later one
// must not answer for its users. Users of earlier sources do not notice. A user whom a later source has under the same
// name cannot log in.
//
// Subjects are kept apart by the names of the sources, so an account keeps its subject wherever its source stands in the
// order.
//
// A refusal has asked each source for the name once and one source for the password, whether somebody has the name or
// not: for a name that nobody has, a source drawn by the hash of the name, always the same. What a source takes for its
// answer can still be told from what another takes.
//
// Changes go to the one source that is a [Directory], and are refused with [ErrReadOnly] for names that belong to
// another. Methods may be called concurrently.
type InOrder struct {
	sources []Source
	managed *Source // nil: all are read only
}

var _ Directory = (*InOrder)(nil)

// NewInOrder returns the sources as one. They are at least one, their names differ, and at most one is a [Directory].
func NewInOrder(sources ...Source) (*InOrder, error) {
	o := &InOrder{sources: slices.Clone(sources)}
	if len(sources) == 0 {
		return nil, errors.New("sources of users: none given")
	}
	var problems []error
	seen := map[string]bool{}
	for i := range o.sources {
		s := &o.sources[i]
		if err := CheckSourceName(s.Name); err != nil {
			problems = append(problems, err)
		}
		if seen[s.Name] {
			problems = append(problems, fmt.Errorf("source of users %q: the name is given twice", s.Name))
		}
		seen[s.Name] = true
		if _, ok := s.Users.(Directory); !ok {
			continue
		}
		if o.managed != nil {
			problems = append(problems, fmt.Errorf("source of users %q: changes go to %q already", s.Name, o.managed.Name))
		}
		o.managed = s
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return o, nil
}

// CheckSourceName returns nil when a source can have this name, or an error that says why not.
func CheckSourceName(name string) error {
	const alphabet, longest = "abcdefghijklmnopqrstuvwxyz0123456789-", 32
	if len(name) > longest || strings.Trim(name, alphabet) != "" {
		return fmt.Errorf("name %q: want 1 to %d of a-z, 0-9 and -", name, longest)
	}
	return nil
}

// Authenticate implements [Authenticator].
func (o *InOrder) Authenticate(ctx context.Context, username, password string) (Account, error) {
	if len(o.sources) == 1 {
		return o.sources[0].authenticate(ctx, username, password)
	}
	name, err := NormalizeUsername(username)
	if err != nil { // nobody has it, and that depends on what was typed alone
		return o.drawn(username).authenticate(ctx, username, password)
	}
	owner, asked, err := o.owner(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return o.drawn(name).authenticate(ctx, username, password)
	}
	if err != nil {
		return Account{}, err
	}
	account, err := owner.authenticate(ctx, username, password)
	if err != nil {
		for _, s := range o.sources[asked:] { // as for a name that nobody has
			_, _ = s.Users.Get(ctx, name)
		}
		return Account{}, err
	}
	return account, nil
}

// owner returns the first source that has a name, and how many were asked.
func (o *InOrder) owner(ctx context.Context, name string) (owner *Source, asked int, err error) {
	for i := range o.sources {
		s := &o.sources[i]
		_, err := s.Users.Get(ctx, name)
		switch {
		case err == nil:
			return s, i + 1, nil
		case !errors.Is(err, ErrNotFound):
			return nil, i + 1, s.failed(err)
		}
	}
	return nil, len(o.sources), ErrNotFound
}

// drawn returns the source that refuses a name which nobody has.
func (o *InOrder) drawn(name string) *Source {
	sum := sha256.Sum256([]byte(name))
	return &o.sources[binary.BigEndian.Uint64(sum[:8])%uint64(len(o.sources))]
}

func (s *Source) authenticate(ctx context.Context, username, password string) (Account, error) {
	account, err := s.Users.Authenticate(ctx, username, password)
	return s.outside(account), s.failed(err)
}

// failed says which source an error is of, where that is for administrators: refusals stay as they are.
func (s *Source) failed(err error) error {
	if err == nil || s.Name == "" || !errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%s: %w", s.Name, err)
}

// outside gives an account the subject under which others know it.
func (s *Source) outside(a Account) Account {
	if s.Name != "" && a.Subject != "" {
		a.Subject = s.Name + ":" + a.Subject
	}
	return a
}

// Account implements [Authenticator]. It asks the source whose subject it is, and no other.
func (o *InOrder) Account(ctx context.Context, subject string) (Account, error) {
	s, inside := o.bySubject(subject)
	if s == nil {
		return Account{}, errors.Join(ctx.Err(), ErrNotFound)
	}
	account, err := s.Users.Account(ctx, inside)
	return s.outside(account), s.failed(err)
}

// bySubject returns the source that made a subject, and what the subject is there; nil when none can have.
func (o *InOrder) bySubject(subject string) (*Source, string) {
	prefix, inside, found := strings.Cut(subject, ":")
	if !found {
		prefix, inside = "", subject
	} else if prefix == "" {
		return nil, ""
	}
	for i := range o.sources {
		if o.sources[i].Name == prefix {
			return &o.sources[i], inside
		}
	}
	return nil, ""
}
