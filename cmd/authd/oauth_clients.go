package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/oauth"
)

// parseOAuthClients reads YAML of one key, "clients", which is a list of clients by the names of their registration
// (RFC 7591), so far as it has one. The error lists every problem with its line.
func parseOAuthClients(file string, text []byte) ([]oauth.Client, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) == 0 {
		return nil, nil // an empty file: no clients yet
	}
	r := &yamlReader{file: file}
	var entries []yaml.Node
	r.fields(document.Content[0], map[string]any{"clients": &entries})
	clients := make([]oauth.Client, 0, len(entries))
	lines := make(map[string]int, len(entries))
	for i := range entries {
		entry := &entries[i]
		c, ok := r.client(entry)
		if first, twice := lines[c.ID]; twice && c.ID != "" {
			r.bad(entry, "client %q: it is in line %d already", c.ID, first)
		}
		lines[c.ID] = entry.Line
		if ok { // or the second complaint would follow from the first
			if err := c.Validate(); err != nil {
				r.bad(entry, "client %q: %w", c.ID, err)
			}
		}
		clients = append(clients, c)
	}
	return clients, errors.Join(r.problems...)
}

// client reads one entry; false when something in it could not be read.
func (r *yamlReader) client(n *yaml.Node) (c oauth.Client, ok bool) {
	before := len(r.problems)
	var secrets yaml.Node // one digest or a list of them
	r.fields(n, map[string]any{
		"id": &c.ID, "name": &c.Name, "public": &c.Public, "secret_sha256": &secrets, "native": &c.Native,
		"redirect_uris": &c.RedirectURIs, "post_logout_redirect_uris": &c.PostLogoutRedirectURIs,
		"backchannel_logout_uri": &c.BackchannelLogoutURI,
		"grant_types":            &c.GrantTypes, "scopes": &c.Scopes, "audiences": &c.Audiences,
		"exchange_audiences": &c.ExchangeAudiences, "dpop": &c.DPoP, "acr": &c.ACR,
	})
	if !secrets.IsZero() {
		c.SecretSHA256 = r.digests(&secrets)
	}
	return c, len(r.problems) == before
}

// digests reads one SHA-256 in hex, or a list of them. What is none is not repeated: it may be the secret itself.
func (r *yamlReader) digests(n *yaml.Node) (sums [][sha256.Size]byte) {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, one := range list {
		sum, err := hex.DecodeString(one.Value)
		if err != nil || len(sum) != sha256.Size {
			r.bad(one, "secret_sha256: want 64 hexadecimal digits; see authd client new")
			continue
		}
		sums = append(sums, [sha256.Size]byte(sum))
	}
	return sums
}
