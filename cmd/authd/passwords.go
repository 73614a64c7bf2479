package main

import (
	"github.com/spf13/pflag"

	"github.com/authd-project/authd/identity"
)

// PasswordConfig says which new passwords are accepted.
type PasswordConfig struct {
	PasswordBlocklist string
}

func (c *PasswordConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.PasswordBlocklist, "password-blocklist", "", "file of passwords that nobody may choose, beside the built-in list: one a line, or the sorted SHA-1 hashes of Have I Been Pwned, which stay on the disk")
}

// rules are what new passwords must satisfy.
func (a *app) rules() (identity.Rules, error) {
	swap, err := a.known.prepare(a.cfg)
	if err != nil {
		return identity.Rules{}, err
	}
	swap()
	return identity.Rules{Context: []string{"authd"}, Known: &a.known}, nil
}
