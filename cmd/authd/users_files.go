package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/identity"
)

// userFile is a file that describes a source of users, read and checked.
type userFile struct {
	name string // what subjects of the source begin with
	open func(ctx context.Context, a *app, hasher *identity.Hasher) (userReader, error)
}

// userReader is a source that a file describes.
type userReader interface {
	identity.Reader
	// Ping reports whether it answers. What is not ErrUnavailable will not get better by itself.
	Ping(ctx context.Context) error
	Close() error
}

// userFiles reads a file, by the kind that stands before it in the setting users. It does not connect.
func userFiles() map[string]func(file string) (userFile, error) {
	return map[string]func(file string) (userFile, error){
		"ldap": readLDAPFile, "query": readQueryFile, "webhook": readWebhookFile,
	}
}

// inUserFile says of each problem in which file it is.
func inUserFile(element string, err error) error {
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) {
		return fmt.Errorf("users: %s: %w", element, err)
	}
	var problems []error
	for _, err := range all.Unwrap() {
		problems = append(problems, inUserFile(element, err))
	}
	return errors.Join(problems...)
}

// readYAML reads a file into a struct that names every key that there is. It reports every line that does not fit.
func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err = decoder.Decode(into)
	var several *yaml.TypeError
	if errors.As(err, &several) {
		var problems []error
		for _, problem := range several.Errors {
			problem, _, _ = strings.Cut(problem, " in type ") // the name of a struct here
			problems = append(problems, errors.New(strings.Replace(problem, "field ", "no such setting: ", 1)))
		}
		return errors.Join(problems...)
	}
	if err != nil && !errors.Is(err, io.EOF) { // an empty file lacks what is required, and that is reported
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}

// oneOrMore is a list that may be written as a value if it has one alone.
type oneOrMore []string

// UnmarshalYAML implements [yaml.Unmarshaler].
func (l *oneOrMore) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*l = []string{node.Value}
		return nil
	}
	return node.Decode((*[]string)(l))
}

// secretIn returns the text of a secret file that a setting names; "" where it names none.
func secretIn(key, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	secret, err := readOrMakeSecret(file, false)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return secret, nil
}

// certificatesIn returns the authorities of a file that a setting names; nil, for the system's, where it names none.
func certificatesIn(key, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s has no certificate in PEM", key, file)
	}
	return pool, nil
}
