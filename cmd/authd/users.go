package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/htpasswd"
	"github.com/authd-project/authd/identity/sqlstore"
)

// UsersConfig says where the users are kept.
type UsersConfig struct {
	Users             string
	UsersPasswordFile string
}

func (c *UsersConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.Users, "users", "", "where the users are: a postgres:// URL, for several authd, or htpasswd:FILE (default: the file DATA/users.db)")
	fs.StringVar(&c.UsersPasswordFile, "users-password-file", "", "file of the PostgreSQL password, instead of one in the URL")
}

// htpasswd returns the file that the setting users names, if it names one.
func (c *UsersConfig) htpasswd() (file string, ok bool) {
	return strings.CutPrefix(c.Users, "htpasswd:")
}

// usersURL returns the URL of the PostgreSQL that the setting users names; "" where it names none.
func (c *UsersConfig) usersURL() string {
	if strings.HasPrefix(c.Users, "postgres://") || strings.HasPrefix(c.Users, "postgresql://") {
		return c.Users
	}
	return ""
}

func (c *Config) validateUsers() error {
	problems := []error{
		require(!c.Demo || c.Users == "", "demo: not with users, which others may share: its passwords are published"),
	}
	file, isFile := c.htpasswd()
	switch {
	case c.Users == "" || isFile:
		problems = append(problems,
			require(c.UsersPasswordFile == "", "users: want a postgres:// URL with users-password-file"),
			require(!isFile || file != "", "users: want htpasswd:FILE"))
	default:
		if _, err := sqlstore.PostgresAddress(c.Users); err != nil {
			problems = append(problems, fmt.Errorf("users: neither htpasswd:FILE nor: %w", err))
		}
	}
	return errors.Join(problems...)
}

// whereUsers says in what the users are kept, without secrets.
func (c *Config) whereUsers() string {
	if c.Users == "" {
		return filepath.Join(c.Data, "users.db")
	}
	if file, ok := c.htpasswd(); ok {
		return file + ", read only"
	}
	address, err := sqlstore.PostgresAddress(c.Users)
	if err != nil {
		return "PostgreSQL" // validated
	}
	return "PostgreSQL at " + address
}

// userStore is where the users are kept.
type userStore interface {
	identity.Directory
	Ping(ctx context.Context) error
}

// fileUsers are those of a file, which is at hand once it has been read.
type fileUsers struct{ identity.Directory }

func (fileUsers) Ping(context.Context) error { return nil }

func (a *app) openUsers(ctx context.Context) error {
	hasher, err := identity.NewHasher(identity.HasherConfig{Concurrency: a.cfg.HashPool})
	if err != nil {
		return err
	}
	if file, ok := a.cfg.htpasswd(); ok {
		source, err := htpasswd.Open(file, htpasswd.Config{Hasher: hasher, Logger: a.log})
		if err != nil {
			return fmt.Errorf("users: %w", err)
		}
		a.users = fileUsers{identity.ReadOnly(source)}
		return nil
	}
	rules, err := a.cfg.rules()
	if err != nil {
		return fmt.Errorf("password-blocklist: %w", err)
	}
	store, err := a.openSQL(ctx, sqlstore.Config{Hasher: hasher, Rules: rules, Logger: a.log})
	if err != nil {
		return err
	}
	a.users, a.notes = store, store
	a.closers = append(a.closers, store.Close)
	return nil
}

func (a *app) openSQL(ctx context.Context, c sqlstore.Config) (store *sqlstore.Store, err error) {
	if a.cfg.Users == "" {
		return sqlstore.OpenSQLite(ctx, filepath.Join(a.cfg.Data, "users.db"), c)
	}
	if name := a.cfg.UsersPasswordFile; name != "" {
		if c.Password, err = readOrMakeSecret(name, false); err != nil {
			return nil, fmt.Errorf("users-password-file: %w", err)
		}
	}
	if store, err = sqlstore.OpenPostgres(ctx, a.cfg.Users, c); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return store, nil
}
