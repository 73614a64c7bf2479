package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/webhook"
)

// webhookFile is a file of the setting users: whom to ask over HTTP. See [webhook.Config].
type webhookFile struct {
	Name        string        `yaml:"name"`
	URL         string        `yaml:"url"`
	SecretFile  string        `yaml:"secret_file"`
	CAFile      string        `yaml:"ca_file"`
	Timeout     time.Duration `yaml:"timeout"`
	Connections int           `yaml:"connections"`
}

func readWebhookFile(file string) (userFile, error) {
	var f webhookFile
	if err := readYAML(file, &f); err != nil {
		return userFile{}, err
	}
	secret, secretErr := secretIn("secret_file", f.SecretFile)
	ca, caErr := certificatesIn("ca_file", f.CAFile)
	c := webhook.Config{URL: f.URL, Secret: []byte(secret), CA: ca, Timeout: f.Timeout, Connections: f.Connections}
	if secretErr != nil {
		c.Secret = []byte(strings.Repeat("?", webhook.MinSecret)) // what is wrong is reported once
	}
	name := cmp.Or(f.Name, "webhook")
	open := func(_ context.Context, a *app, _ *identity.Hasher) (userReader, error) {
		c := c
		c.Around = a.tracedRequests("users")
		return webhook.New(c)
	}
	return userFile{name, open}, errors.Join(secretErr, caErr, identity.CheckSourceName(name), c.Validate())
}
