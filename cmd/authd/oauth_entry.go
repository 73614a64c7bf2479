package main

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// clientEntry is a client as the file of OAuth clients has it; see parseOAuthClients.
type clientEntry struct {
	ID                     string   `yaml:"id"`
	Name                   string   `yaml:"name,omitempty"`
	Public                 bool     `yaml:"public,omitempty"`
	Native                 bool     `yaml:"native,omitempty"`
	SecretSHA256           string   `yaml:"secret_sha256,omitempty"`
	RedirectURIs           []string `yaml:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `yaml:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI   string   `yaml:"backchannel_logout_uri,omitempty"`
	GrantTypes             []string `yaml:"grant_types,omitempty"`
	Scopes                 []string `yaml:"scopes,omitempty"`
	Audiences              []string `yaml:"audiences,omitempty"`
	ExchangeAudiences      []string `yaml:"exchange_audiences,omitempty"`
}

// encode returns a file of the one entry, or an error that says what authd would refuse in it.
func (e clientEntry) encode() (string, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string][]clientEntry{"clients": {e}}); err != nil {
		return "", fmt.Errorf("encoding the entry: %w", err)
	}
	if _, err := parseOAuthClients("the entry", text.Bytes()); err != nil {
		return "", err
	}
	return text.String(), nil
}
