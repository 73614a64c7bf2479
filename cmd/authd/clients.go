package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
		Short:   "Credentials of OAuth clients that introspect and revoke tokens",
		GroupID: "operate",
	}
	group.AddCommand(&cobra.Command{
		Use:   "new ID",
		Short: "Make a secret for a client, and the line that lets it in",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.ContainsAny(args[0], ":, \t\n") || args[0] == "" {
				return fmt.Errorf("client id %q: must have no colon, comma or white space", args[0])
			}
			secret := newSecret()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "secret, for the client (shown once):\n  %s\nfor authd's settings:\n  clients: [%s]\n",
				secret, clientSetting(args[0], secret))
			return err
		},
	})
	return group
}

func clientSetting(id, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return id + ":" + hex.EncodeToString(sum[:])
}
