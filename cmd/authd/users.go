package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

// UsersConfig says where the users are kept.
type UsersConfig struct {
	Users             string
	UsersPasswordFile string
}

func (c *UsersConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.Users, "users", "", "postgres:// URL of the database that keeps the users, for several authd (default: the file DATA/users.db)")
	fs.StringVar(&c.UsersPasswordFile, "users-password-file", "", "file of the database's password, instead of one in the URL")
}

func (c *UsersConfig) validate() error {
	if c.Users == "" {
		return require(c.UsersPasswordFile == "", "users: required with users-password-file")
	}
	if _, err := sqlstore.PostgresAddress(c.Users); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	return nil
}

// whereUsers says in what the users are kept, without secrets.
func (c *Config) whereUsers() string {
	if c.Users == "" {
		return filepath.Join(c.Data, "users.db")
	}
	address, err := sqlstore.PostgresAddress(c.Users)
	if err != nil {
		return "PostgreSQL" // validated
	}
	return "PostgreSQL at " + address
}

func (a *app) openUsers(ctx context.Context) error {
	hasher, err := identity.NewHasher(identity.HasherConfig{Concurrency: a.cfg.HashPool})
	if err != nil {
		return err
	}
	c := sqlstore.Config{Hasher: hasher, Rules: identity.Rules{Context: []string{"authd"}}, Logger: a.log}
	if a.cfg.Users == "" {
		a.users, err = sqlstore.OpenSQLite(ctx, filepath.Join(a.cfg.Data, "users.db"), c)
	} else {
		a.users, err = a.openPostgres(ctx, c)
	}
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.users.Close)
	return nil
}

func (a *app) openPostgres(ctx context.Context, c sqlstore.Config) (users *sqlstore.Store, err error) {
	if name := a.cfg.UsersPasswordFile; name != "" {
		if c.Password, err = readOrMakeSecret(name, false); err != nil {
			return nil, fmt.Errorf("users-password-file: %w", err)
		}
	}
	if users, err = sqlstore.OpenPostgres(ctx, a.cfg.Users, c); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return users, nil
}
