package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/ldap"
)

// ldapFile is a file of the setting users: how to reach a directory, and what its entries mean. See [ldap.Config].
type ldapFile struct {
	Name             string        `yaml:"name"`
	URL              oneOrMore     `yaml:"url"`
	StartTLS         bool          `yaml:"start_tls"`
	CAFile           string        `yaml:"ca_file"`
	BindDN           string        `yaml:"bind_dn"`
	BindPasswordFile string        `yaml:"bind_password_file"`
	Base             string        `yaml:"base"`
	Filter           string        `yaml:"filter"`
	Login            oneOrMore     `yaml:"login"`
	Subject          string        `yaml:"subject"`
	Username         string        `yaml:"username"`
	PasswordChanged  string        `yaml:"password_changed"`
	Disabled         string        `yaml:"disabled"`
	Roles            ldapRoles     `yaml:"roles"`
	Decoy            string        `yaml:"decoy"`
	Timeout          time.Duration `yaml:"timeout"`
	Connections      int           `yaml:"connections"`
}

type ldapRoles struct {
	Attribute string `yaml:"attribute"`
	Search    struct {
		Filter string `yaml:"filter"`
		Member string `yaml:"member"`
		ByName bool   `yaml:"by_name"`
		Name   string `yaml:"name"`
	} `yaml:"search"`
	Base string            `yaml:"base"`
	Map  map[string]string `yaml:"map"`
}

func readLDAPFile(file string) (userFile, error) {
	var f ldapFile
	if err := readYAML(file, &f); err != nil {
		return userFile{}, err
	}
	password, passwordErr := secretIn("bind_password_file", f.BindPasswordFile)
	ca, caErr := certificatesIn("ca_file", f.CAFile)
	c := ldap.Config{
		URLs: f.URL, StartTLS: f.StartTLS, CA: ca, BindDN: f.BindDN, BindPassword: password,
		Base: f.Base, Filter: f.Filter, Login: f.Login, Subject: f.Subject, Username: f.Username,
		PasswordChanged: f.PasswordChanged, Disabled: f.Disabled, Decoy: f.Decoy,
		Roles: ldap.Roles{
			Attribute: f.Roles.Attribute, Search: ldap.GroupSearch(f.Roles.Search), Base: f.Roles.Base, Map: f.Roles.Map,
		},
		Timeout: f.Timeout, Connections: f.Connections,
	}
	if passwordErr != nil {
		c.BindPassword = "unread" // what is wrong is reported once
	}
	name := cmp.Or(f.Name, "ldap")
	open := func(_ context.Context, a *app, _ *identity.Hasher) (userReader, error) {
		c.Logger = a.log
		return ldap.New(c)
	}
	return userFile{name, open}, errors.Join(passwordErr, caErr, identity.CheckSourceName(name), c.Validate())
}
