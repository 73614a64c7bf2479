package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlquery"
)

// queryFile is a file of the setting users: a database of another application, and queries. See [sqlquery.Config].
type queryFile struct {
	Name         string `yaml:"name"`
	Database     string `yaml:"database"`
	PasswordFile string `yaml:"password_file"`
	Login        string `yaml:"login"`
	Account      string `yaml:"account"`
	Hashes       string `yaml:"hashes"`
	List         string `yaml:"list"`
}

func readQueryFile(file string) (userFile, error) {
	var f queryFile
	if err := readYAML(file, &f); err != nil {
		return userFile{}, err
	}
	password, passwordErr := secretIn("password_file", f.PasswordFile)
	c := sqlquery.Config{
		Database: f.Database, Password: password, Login: f.Login, Account: f.Account, Hashes: f.Hashes, List: f.List,
	}
	name := cmp.Or(f.Name, "query")
	open := func(ctx context.Context, a *app, hasher *identity.Hasher) (userReader, error) {
		c.Hasher, c.Logger = hasher, a.log
		return sqlquery.Open(ctx, c)
	}
	return userFile{name, open}, errors.Join(passwordErr, identity.CheckSourceName(name), c.Validate())
}
