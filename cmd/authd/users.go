package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/htpasswd"
	"github.com/authd-project/authd/identity/sqlstore"
	"github.com/authd-project/authd/internal/sqldb"
)

// UsersConfig says where the users are kept.
type UsersConfig struct {
	Users             userSources
	UsersPasswordFile string
}

func (c *UsersConfig) bind(fs *pflag.FlagSet) {
	fs.Var(&c.Users, "users", "where the users are, asked in order: sqlite (the file DATA/users.db), a postgres:// URL, for several authd, "+
		"htpasswd:FILE, ldap:FILE, query:FILE, webhook:FILE; may be repeated (default: sqlite)")
	fs.StringVar(&c.UsersPasswordFile, "users-password-file", "", "file of the PostgreSQL password, instead of one in the URL")
}

// userSources is the setting users: elements such as "sqlite" and "ldap:FILE".
type userSources []string

// Set adds elements that are separated by commas. A URL of PostgreSQL may have commas too, between its hosts: only what
// begins like an element is one.
func (s *userSources) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if kind, _ := splitUserSource(part); kind == "" && len(*s) > 0 && isPostgres((*s)[len(*s)-1]) {
			(*s)[len(*s)-1] += "," + part
			continue
		}
		if part != "" {
			*s = append(*s, part)
		}
	}
	return nil
}

// Type implements [pflag.Value].
func (s *userSources) Type() string { return "strings" }

// String implements [pflag.Value]. It is for the help: a URL may hold a password.
func (s *userSources) String() string { return "" }

// orDefault returns the sources, one at least.
func (s userSources) orDefault() []string {
	if len(s) == 0 {
		return []string{"sqlite"}
	}
	return s
}

// splitUserSource returns the kind of an element, and the file or the URL that it names; no kind when it is not one.
func splitUserSource(element string) (kind, at string) {
	if element == "sqlite" {
		return element, ""
	}
	if isPostgres(element) {
		return "postgres", element
	}
	kind, at, found := strings.Cut(element, ":")
	if _, known := userFiles()[kind]; found && (known || kind == "htpasswd") {
		return kind, at
	}
	return "", ""
}

func isPostgres(element string) bool {
	return strings.HasPrefix(element, "postgres://") || strings.HasPrefix(element, "postgresql://")
}

// usersURL returns the URL of the PostgreSQL that the setting users names; "" where it names none.
func (c *UsersConfig) usersURL() string {
	if i := slices.IndexFunc(c.Users, isPostgres); i >= 0 {
		return c.Users[i]
	}
	return ""
}

func (c *Config) validateUsers() error {
	problems := []error{
		require(!c.Demo || len(c.Users) == 0, "demo: not with users, which others may share: its passwords are published"),
		require(c.UsersPasswordFile == "" || c.usersURL() != "", "users: want a postgres:// URL with users-password-file"),
	}
	var managed, passwords int
	names := map[string]bool{}
	for _, element := range c.Users {
		kind, at := splitUserSource(element)
		switch kind {
		case "sqlite":
			managed++
		case "postgres":
			managed++
			if _, err := sqldb.PostgresAddress(at); err != nil {
				problems = append(problems, fmt.Errorf("users: %w", err))
			}
		case "htpasswd":
			passwords++
			problems = append(problems, require(at != "", "users: want htpasswd:FILE"))
		case "":
			problems = append(problems, errors.New("users: want sqlite, postgres://USER@HOST/DATABASE, htpasswd:FILE, ldap:FILE, query:FILE or webhook:FILE"))
		default:
			source, err := userFiles()[kind](at)
			if err != nil {
				problems = append(problems, inUserFile(element, err))
				continue
			}
			problems = append(problems, require(!names[source.name], "users: %s: name %q: another source has it", element, source.name))
			names[source.name] = true
		}
	}
	problems = append(problems,
		require(managed <= 1, "users: want one of sqlite and postgres://, as commands change the users of one"),
		require(passwords <= 1, "users: want one htpasswd file: a name would be the same user in each"))
	return errors.Join(problems...)
}

// whereUsers says in what the users are kept, without secrets.
func (c *Config) whereUsers() string {
	var places []string
	for _, element := range c.Users.orDefault() {
		kind, at := splitUserSource(element)
		switch kind {
		case "sqlite":
			places = append(places, filepath.Join(c.Data, "users.db"))
		case "postgres":
			address, _ := sqldb.PostgresAddress(at) // validated
			places = append(places, "PostgreSQL at "+address)
		case "htpasswd":
			places = append(places, at+", read only")
		default:
			places = append(places, element+", read only")
		}
	}
	return strings.Join(places, ", then ")
}

// userStore is where the users are kept.
type userStore interface {
	identity.Directory
	Ping(ctx context.Context) error
}

// orderedUsers are those of the setting users.
type orderedUsers struct {
	*identity.InOrder
	pings []func(context.Context) error
}

// Ping reports whether any source answers: while one does, its users can log in, and everybody's tokens are verified.
func (u *orderedUsers) Ping(ctx context.Context) error {
	var failed []error
	for _, ping := range u.pings {
		err := ping(ctx)
		if err == nil {
			return nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (a *app) openUsers(ctx context.Context) error {
	hasher, err := identity.NewHasher(identity.HasherConfig{Concurrency: a.cfg.HashPool, OnHash: a.onHash()})
	if err != nil {
		return err
	}
	users := &orderedUsers{}
	var sources []identity.Source
	for _, element := range a.cfg.Users.orDefault() {
		source, ping, err := a.openUserSource(ctx, element, hasher)
		if err != nil {
			return fmt.Errorf("users: %w", err)
		}
		sources, users.pings = append(sources, a.tracedUsers(element, source)), append(users.pings, ping)
	}
	if users.InOrder, err = identity.NewInOrder(sources...); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	a.users = users
	return nil
}

// openUserSource opens one element of the setting.
func (a *app) openUserSource(ctx context.Context, element string, hasher *identity.Hasher) (identity.Source, func(context.Context) error, error) {
	kind, at := splitUserSource(element)
	switch kind {
	case "sqlite", "postgres":
		store, err := a.openSQL(ctx, at, hasher)
		if err != nil {
			return identity.Source{}, nil, err
		}
		a.notes = store
		a.closers = append(a.closers, store.Close)
		return identity.Source{Users: store}, store.Ping, nil
	case "htpasswd":
		source, err := htpasswd.Open(at, htpasswd.Config{Hasher: hasher, Logger: a.log})
		return identity.Source{Name: a.cfg.htpasswdName(), Users: source}, func(context.Context) error { return nil }, err
	}
	file, err := userFiles()[kind](at)
	if err != nil {
		return identity.Source{}, nil, inUserFile(element, err)
	}
	source, err := file.open(ctx, a, hasher)
	if err != nil {
		return identity.Source{}, nil, fmt.Errorf("%s: %w", element, err)
	}
	a.closers = append(a.closers, source.Close)
	switch err := source.Ping(ctx); {
	case errors.Is(err, identity.ErrUnavailable): // it may come, and others need not wait for it
		a.log.WarnContext(ctx, "users: a source does not answer", "source", file.name, "err", err)
	case err != nil:
		return identity.Source{}, nil, fmt.Errorf("%s: %w", element, err)
	}
	return identity.Source{Name: file.name, Users: source}, source.Ping, nil
}

// htpasswdName is what subjects of the file begin with: nothing, unless authd's own users have that.
func (c *UsersConfig) htpasswdName() string {
	for _, element := range c.Users {
		if kind, _ := splitUserSource(element); kind == "sqlite" || kind == "postgres" {
			return "htpasswd"
		}
	}
	return ""
}

// openSQL opens the users that authd manages.
func (a *app) openSQL(ctx context.Context, url string, hasher *identity.Hasher) (*sqlstore.Store, error) {
	rules, err := a.rules()
	if err != nil {
		return nil, err
	}
	c := sqlstore.Config{Hasher: hasher, Rules: rules, Logger: a.log, Release: buildVersion()}
	if url == "" {
		return sqlstore.OpenSQLite(ctx, filepath.Join(a.cfg.Data, "users.db"), c)
	}
	if name := a.cfg.UsersPasswordFile; name != "" {
		secret, err := a.connections.openSecret("users-password-file", name)
		if err != nil {
			return nil, err
		}
		c.Password = secret.reveal
	}
	return sqlstore.OpenPostgres(ctx, url, c)
}
