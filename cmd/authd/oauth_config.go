package main

import (
	"errors"
	"log/slog"

	"github.com/spf13/pflag"
)

// OAuthConfig says which clients let users log in here.
type OAuthConfig struct {
	OAuthClients string // empty for none
}

func (c *OAuthConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.OAuthClients, "oauth-clients", "", "YAML file of OAuth and OpenID Connect clients, read again when it changes; see deploy/oauth-clients.yaml and authd client new")
}

func (c *OAuthConfig) validate(pages bool) error {
	_, err := openOAuthRegistry(c.OAuthClients, slog.New(slog.DiscardHandler))
	return errors.Join(err, require(c.OAuthClients == "" || pages, "oauth-clients: needs pages, for people must log in somewhere"))
}
