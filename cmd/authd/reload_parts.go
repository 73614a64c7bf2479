package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity/blocklist"
	"github.com/authd-project/authd/keys"
)

// Each part prepares what the settings ask for, and returns what puts it in the place of what is there. Until that is called
// nothing has changed, and it cannot fail.

func keep() {}

// prepareLog takes over log-level.
func (a *app) prepareLog(_ context.Context, c Config) (swap func(), err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return keep, fmt.Errorf("log-level: %w", err)
	}
	return func() { a.cfg.level.Set(level) }, nil
}

// prepareListeners takes over what the handlers of the listeners are made of. Limits whose policy is the same go on counting
// where they stand.
func (a *app) prepareListeners(_ context.Context, c Config) (swap func(), err error) {
	limits, err := a.openLimits(c.LimitConfig, a.limits)
	if err != nil {
		return keep, err
	}
	public := a.publicConfig
	public.RateLimits, public.Logins, public.Scopes = a.tracedLimits(limits), a.tracedLogins(limits), c.Scopes
	var problems [2]error
	public.Clients, problems[0] = a.listenerClients(c)
	public.TrustedProxies, problems[1] = c.trustedProxies()
	if err := errors.Join(problems[:]...); err != nil {
		return keep, err
	}
	admin := a.adminConfig
	admin.Logins, admin.Console = limits.logins, a.openConsole(public)
	nextPublic, publicErr := httpapi.NewPublic(public)
	nextAdmin, adminErr := httpapi.NewAdmin(admin)
	if err := errors.Join(publicErr, adminErr); err != nil {
		return keep, err
	}
	return func() {
		a.limits = limits
		a.public.Replace(nextPublic)
		a.admin.Replace(nextAdmin)
	}, nil
}

// prepareOAuthClients reads the file of OAuth clients now, and not when its time comes.
func (a *app) prepareOAuthClients(context.Context, Config) (swap func(), err error) {
	if a.oauthClients == nil {
		return keep, nil
	}
	return a.oauthClients.prepare()
}

// preparePasswords takes over password-blocklist, the file and what is in it.
func (a *app) preparePasswords(_ context.Context, c Config) (swap func(), err error) {
	return a.known.prepare(c)
}

// knownPasswords is the list of the setting password-blocklist. Methods may be called concurrently.
type knownPasswords struct {
	list atomic.Pointer[blocklist.List] // nil for none
}

// Contains implements [identity.KnownPasswords].
func (k *knownPasswords) Contains(password string) (bool, error) {
	list := k.list.Load()
	if list == nil {
		return false, nil
	}
	return list.Contains(password)
}

func (k *knownPasswords) prepare(c Config) (swap func(), err error) {
	if c.PasswordBlocklist == "" {
		return func() { k.list.Store(nil) }, nil
	}
	list, err := blocklist.Open(c.PasswordBlocklist)
	if err != nil {
		return keep, fmt.Errorf("password-blocklist: %w", err)
	}
	return func() { k.list.Store(list) }, nil
}

// prepareKEKs takes over what is in kek-file: the first key seals from then on. Keys that something is sealed under must be in
// it still. What is sealed in the ring the leader seals anew by itself; the key of the second factors is here.
func (a *app) prepareKEKs(ctx context.Context, c Config) (swap func(), err error) {
	text, err := readOrMakeSecret(c.KEKFile, false)
	if err != nil {
		return keep, fmt.Errorf("kek-file: %w", err)
	}
	keks, err := keys.ParseKEKs(text)
	if err != nil {
		return keep, fmt.Errorf("kek-file %s: %w", c.KEKFile, err)
	}
	ring, _, err := a.ring.Load(ctx)
	if err != nil {
		return keep, fmt.Errorf("kek-file: looking at what the key ring is sealed under: %w", err)
	}
	if ring.KEK != "" && !slices.ContainsFunc(keks, func(k keys.KEK) bool { return k.ID() == ring.KEK }) {
		return keep, fmt.Errorf("kek-file %s: the key ring is sealed under key-encryption key %q, which is not in it", c.KEKFile, ring.KEK)
	}
	if err := a.factors.Reseal(ctx, masterKeys(keks)...); err != nil {
		return keep, fmt.Errorf("kek-file %s: %w", c.KEKFile, err)
	}
	return func() {
		a.codec.Replace(keks...)
		a.keks.Store(&text)
	}, nil
}

// secretFile is a secret that connections are made with, from the file that a setting names. Methods may be called
// concurrently.
type secretFile struct {
	setting, name string
	text          atomic.Pointer[string]
}

// openSecret reads a secret for the first time; later reloads read it again.
func (c *connections) openSecret(setting, name string) (*secretFile, error) {
	s := &secretFile{setting: setting, name: name}
	swap, err := s.prepare()
	if err != nil {
		return nil, err
	}
	swap()
	c.reread = append(c.reread, s.prepare)
	return s, nil
}

func (s *secretFile) prepare() (swap func(), err error) {
	text, err := readOrMakeSecret(s.name, false)
	if err != nil {
		return keep, fmt.Errorf("%s: %w", s.setting, err)
	}
	return func() { s.text.Store(&text) }, nil
}

func (s *secretFile) reveal() string { return *s.text.Load() }

// prepareSecrets reads the files again that connections are made with: those that are open stay as they are.
func (c *connections) prepareSecrets(context.Context, Config) (swap func(), err error) {
	var swaps []func()
	var problems []error
	for _, prepare := range c.reread {
		swap, err := prepare()
		swaps, problems = append(swaps, swap), append(problems, err)
	}
	return func() {
		for _, swap := range swaps {
			swap()
		}
	}, errors.Join(problems...)
}

// openClientCertificate returns what presents the certificate of etcd-cert and etcd-key, as they were last read.
func (c *connections) openClientCertificate() (func(*tls.CertificateRequestInfo) (*tls.Certificate, error), error) {
	var current atomic.Pointer[tls.Certificate]
	prepare := func() (swap func(), err error) {
		pair, err := tls.LoadX509KeyPair(c.cfg.EtcdCert, c.cfg.EtcdKey)
		if err != nil {
			return keep, fmt.Errorf("etcd-cert and etcd-key: %w", err)
		}
		return func() { current.Store(&pair) }, nil
	}
	swap, err := prepare()
	if err != nil {
		return nil, err
	}
	swap()
	c.reread = append(c.reread, prepare)
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return current.Load(), nil }, nil
}

// userFileSums tells the files of the setting users apart, by what is in them.
func (c *Config) userFileSums() (map[string][sha256.Size]byte, error) {
	sums := make(map[string][sha256.Size]byte)
	for _, element := range c.Users {
		kind, at := splitUserSource(element)
		if _, described := userFiles()[kind]; !described {
			continue
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return nil, inUserFile(element, err)
		}
		sums[element] = sha256.Sum256(text)
	}
	return sums, nil
}
