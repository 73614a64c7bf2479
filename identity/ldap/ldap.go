// Package ldap takes users from an LDAP directory such as OpenLDAP or Active Directory: an account of authd's own finds
// the entry that goes by the typed name, and a bind as that entry tells whether the password is right (RFC 4513 section
// 5.1.3). authd writes nothing.
//
// A subject is made from an attribute that stays with an entry for good, such as entryUUID or objectGUID, and never from
// its DN. Roles come from groups. An entry that the configured filter does not find is no user, also at a refresh.
//
// An unknown name, a wrong password, and a disabled account get the same answer after the same requests: a search for the
// name, a second one among the disabled if there is a filter for them, and a bind, as an entry that is there for this
// ([Config.Decoy]) where there is none to bind as. An empty password never reaches the directory, which would take a bind
// without one for an anonymous one and let it pass (RFC 4513 section 5.1.2).
//
// Passwords go to the directory as they were typed, and only over TLS, over a socket of this machine or on loopback.
// Referrals and aliases are not followed: the password would go to whom they name.
package ldap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/authd-project/authd/identity"
)

// Source implements [identity.Reader]. Its methods may be called concurrently. Whatever the directory answers but a
// result is [identity.ErrUnavailable]. Close must be called.
type Source struct {
	c        Config
	log      *slog.Logger
	searches *pool // bound as authd's own account
	binds    *pool // bound as whoever logged in last
}

var _ identity.Reader = (*Source)(nil)

// New checks the configuration and fills in its defaults. It does not connect: see [Source.Ping].
func New(c Config) (*Source, error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d := &dialer{c: c}
	return &Source{
		c: c, log: c.Logger,
		searches: newPool(c, d.connectBound),
		binds:    newPool(c, d.connect),
	}, nil
}

// Close ends the connections. Calls that are under way fail.
func (s *Source) Close() error {
	s.searches.close()
	s.binds.close()
	return nil
}

// Ping reports whether the directory answers, and lets authd's own account see the base. A directory that refuses gives
// an error that is not [identity.ErrUnavailable]: it will not get better by itself.
func (s *Source) Ping(ctx context.Context) error {
	request := s.request(s.c.Base, goldap.ScopeBaseObject, 1, "(objectClass=*)", noAttributes)
	_, err := s.search(ctx, request)
	var refused *goldap.Error
	if errors.As(err, &refused) && isRefusal(refused) {
		return fmt.Errorf("looking at base %q as bind_dn %q: the directory refuses: %s",
			s.c.Base, s.c.BindDN, goldap.LDAPResultCodeMap[refused.ResultCode])
	}
	return err
}

// Authenticate implements [identity.Authenticator].
func (s *Source) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	if err := ctx.Err(); err != nil {
		return identity.Account{}, fmt.Errorf("asking the directory: %w", err)
	}
	// These refusals depend on what was typed alone, so they may come without the work.
	name, err := identity.NormalizeUsername(username)
	if err != nil || !bindable(password) {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	e, err := s.find(ctx, anyOf(s.c.Login, name))
	if err != nil {
		return identity.Account{}, err
	}
	dn := s.c.Decoy
	known := e != nil && !e.disabled
	if known {
		dn = e.DN
	}
	accepted, err := s.bind(ctx, dn, password)
	if err != nil {
		return identity.Account{}, err
	}
	if !known || !accepted {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return s.account(ctx, e)
}

// bindable reports whether a bind with a password says anything.
func bindable(password string) bool {
	return password != "" && len(password) <= identity.MaxPasswordBytes && utf8.ValidString(password)
}

// Account implements [identity.Authenticator].
func (s *Source) Account(ctx context.Context, subject string) (identity.Account, error) {
	value, ok := s.c.subjectValue(subject)
	if !ok {
		return identity.Account{}, errors.Join(ctx.Err(), identity.ErrNotFound)
	}
	e, err := s.find(ctx, equals(s.c.Subject, value))
	if err != nil {
		return identity.Account{}, err
	}
	if e == nil || s.c.subjectOf(e.Entry) != subject { // the directory may compare more loosely
		return identity.Account{}, identity.ErrNotFound
	}
	return s.account(ctx, e)
}

// Get implements [identity.Reader]. Every account is said to have a password: directories do not tell.
func (s *Source) Get(ctx context.Context, username string) (identity.User, error) {
	name, err := identity.NormalizeUsername(username)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return identity.User{}, err
	}
	e, err := s.find(ctx, anyOf(s.c.Login, name))
	if err != nil {
		return identity.User{}, err
	}
	if e == nil {
		return identity.User{}, identity.ErrNotFound
	}
	return s.user(ctx, e)
}

// List implements [identity.Reader]. Each page reads the names of all users, since directories need not be able to sort;
// one that does not let authd's account see them all gives [identity.ErrNotListed].
func (s *Source) List(ctx context.Context, after string, limit int) ([]identity.User, error) {
	if limit <= 0 || limit > identity.MaxPage {
		limit = identity.MaxPage
	}
	entries, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b named) int { return strings.Compare(a.name, b.name) })
	var list []identity.User
	for _, e := range entries {
		if e.name <= after || len(list) == limit {
			continue
		}
		user, err := s.user(ctx, e.entry)
		if err != nil {
			return nil, err
		}
		list = append(list, user)
	}
	return list, nil
}

// account makes an account of an entry.
func (s *Source) account(ctx context.Context, e *entry) (identity.Account, error) {
	roles, err := s.roles(ctx, e)
	if err != nil {
		return identity.Account{}, err
	}
	account, err := identity.Adopt(identity.Account{
		Subject: s.c.subjectOf(e.Entry), Username: e.GetEqualFoldAttributeValue(s.c.Username), Roles: roles, Disabled: e.disabled,
		PasswordChangedAt: parseTime(e.GetEqualFoldAttributeValue(s.c.PasswordChanged)),
	})
	if err != nil {
		// Not what the caller did wrong, whatever kind of error it is.
		return identity.Account{}, fmt.Errorf("%w: entry %q cannot be an account (attributes %s and %s, roles): %s",
			identity.ErrUnavailable, e.DN, s.c.Subject, s.c.Username, err.Error())
	}
	return account, nil
}

func (s *Source) user(ctx context.Context, e *entry) (identity.User, error) {
	account, err := s.account(ctx, e)
	return identity.User{
		Account: account, HasPassword: true,
		CreatedAt: parseTime(e.GetEqualFoldAttributeValue(attrCreated)),
		UpdatedAt: parseTime(e.GetEqualFoldAttributeValue(attrModified)),
	}, err
}

// bind reports whether the directory takes the password as that of an entry.
func (s *Source) bind(ctx context.Context, dn, password string) (accepted bool, err error) {
	err = s.binds.do(ctx, func(c *goldap.Conn) error { return c.Bind(dn, password) })
	var refused *goldap.Error
	if errors.As(err, &refused) && isRefusal(refused) {
		s.log.DebugContext(ctx, "bind refused", "dn", dn, "result", goldap.LDAPResultCodeMap[refused.ResultCode])
		return false, nil
	}
	if err != nil {
		return false, unavailable(ctx, "checking the password", err)
	}
	return true, nil
}

// isRefusal reports whether a result means that a bind, or a look at an entry, is not accepted, as opposed to a directory
// that is in trouble. Directories differ in how they refuse accounts that are locked, inactive or have no password.
func isRefusal(e *goldap.Error) bool {
	return slices.Contains([]uint16{
		goldap.LDAPResultInvalidCredentials, goldap.LDAPResultInappropriateAuthentication, goldap.LDAPResultNoSuchObject,
		goldap.LDAPResultInsufficientAccessRights, goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultConstraintViolation,
		goldap.LDAPResultInvalidDNSyntax,
	}, e.ResultCode)
}

// errNoAnswer is why a request to the directory was given up.
var errNoAnswer = errors.New("no answer in time")

// unavailable is the one way in which a failure of the directory leaves this package. The error wraps that of the
// caller's context where that was the cause.
func unavailable(ctx context.Context, doing string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New(err.Error()) // of a share of the time: the caller's is not up
	}
	return fmt.Errorf("%s in the directory: %w: %w", doing, identity.ErrUnavailable, err)
}

// timeIn is the form of times in directories (GeneralizedTime, RFC 4517 section 3.3.13); fractions are left out.
const timeIn = "20060102150405Z"

// parseTime reads a GeneralizedTime, or the 100 ns since 1601 in which Active Directory counts; zero for anything else.
func parseTime(text string) time.Time {
	if whole, fraction, found := strings.Cut(text, "."); found && strings.HasSuffix(fraction, "Z") {
		text = whole + "Z"
	}
	if t, err := time.Parse(timeIn, text); err == nil {
		return t
	}
	return parseFileTime(text)
}
