package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/authd-project/authd/httpapi"
)

// oauthClients reads the setting "clients". A digest suffices, as the secrets are random and long.
func (c *Config) oauthClients() ([]httpapi.Client, error) {
	var clients []httpapi.Client
	var problems []error
	seen := map[string]bool{}
	for _, entry := range c.Clients {
		id, digest, _ := strings.Cut(entry, ":")
		sum, err := hex.DecodeString(digest)
		switch {
		case id == "" || err != nil || len(sum) != sha256.Size:
			problems = append(problems, fmt.Errorf("clients %q: want ID:SHA256 with the digest in hex; see authd client new", id))
			continue
		case seen[id]:
			problems = append(problems, fmt.Errorf("clients %q: given twice", id))
			continue
		}
		seen[id] = true
		clients = append(clients, httpapi.Client{ID: id, SecretSHA256: [sha256.Size]byte(sum)})
	}
	return clients, errors.Join(problems...)
}

func newClientCommand() *cobra.Command {
	group := &cobra.Command{
		Use:     "client",
		Short:   "Credentials of OAuth clients: those that log users in, and those that introspect and revoke tokens",
		GroupID: "operate",
	}
	group.AddCommand(newClientNewCommand())
	return group
}

func newClientNewCommand() *cobra.Command {
	c := &newClient{}
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Make a secret for a client, and what lets it in",
		Long: `Makes a secret for a client, which is shown once and kept nowhere, and what authd's settings need to know the client by.

With --redirect-uri or --grant it is a client of OAuth 2.0 and OpenID Connect, and the entry is for the file that the
setting oauth-clients names. Without, it is one that introspects and revokes tokens, for the setting clients.`,
		Example: `  authd client new wiki --redirect-uri https://wiki.example.com/callback --scope openid,profile
  authd client new phone --public --native --redirect-uri http://127.0.0.1/callback --scope openid
  authd client new reports --grant client_credentials --scope orders:read --audience orders
  authd client new orders`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.OutOrStdout(), args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&c.entry.Name, "name", "", "what people read; the ID if not given")
	fs.BoolVar(&c.entry.Public, "public", false, "a program that can keep no secret: in a browser, on a phone or a desktop")
	fs.BoolVar(&c.entry.Native, "native", false, "a program on the user's own machine: loopback redirect URIs match with any port")
	fs.StringSliceVar(&c.entry.RedirectURIs, "redirect-uri", nil, "where a login leads back to, exactly; may be repeated, as all lists")
	fs.StringSliceVar(&c.entry.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "where a logout may lead back to, exactly")
	fs.StringVar(&c.entry.BackchannelLogoutURI, "backchannel-logout-uri", "", "what is told of sessions that end")
	fs.StringSliceVar(&c.entry.GrantTypes, "grant", nil, "grant types (default: authorization_code and refresh_token)")
	fs.StringSliceVar(&c.entry.Scopes, "scope", nil, "scopes that it may get")
	fs.StringSliceVar(&c.entry.Audiences, "audience", nil, "who accepts its access tokens (default: the setting audience)")
	fs.StringSliceVar(&c.entry.ExchangeAudiences, "exchange-audience", nil, "for whom it may exchange tokens of its callers")
	return cmd
}

// newClient makes the credentials of one client.
type newClient struct{ entry clientEntry }

func (c *newClient) run(w io.Writer, id string) error {
	if strings.ContainsAny(id, ":, \t\n") || id == "" {
		return fmt.Errorf("client id %q: must have no colon, comma or white space", id)
	}
	secret := newSecret()
	if len(c.entry.RedirectURIs) == 0 && len(c.entry.GrantTypes) == 0 && !c.entry.Public {
		_, err := fmt.Fprintf(w, "secret, for the client (shown once):\n  %s\nfor authd's settings:\n  clients: [%s]\n", secret, clientSetting(id, secret))
		return err
	}
	c.entry.ID = id
	if !c.entry.Public {
		_, c.entry.SecretSHA256, _ = strings.Cut(clientSetting(id, secret), ":")
	}
	entry, err := c.entry.encode()
	if err != nil {
		return err
	}
	if !c.entry.Public {
		fmt.Fprintf(w, "secret, for the client (shown once):\n  %s\n", secret)
	}
	_, err = fmt.Fprintf(w, "for the file of the setting oauth-clients:\n%s", entry)
	return err
}

func clientSetting(id, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return id + ":" + hex.EncodeToString(sum[:])
}
