// Package webhook takes users from a service of the operator's, which is asked over HTTP about each login and each refresh.
//
// A request is a POST of a JSON object that says in "type" what is asked:
//
//	{"type":"login","username":"alice","password":"…"}   is this alice?
//	{"type":"account","subject":"42"}                    how is this account now?
//	{"type":"find","username":"alice"}                   who goes by this name?
//
// The answer is 200 with the account, {"subject":"42","username":"alice","roles":["admin"],"disabled":false}, or 404 when
// there is none; to a login 401 when the password is wrong. "roles", "disabled" and "password_changed_at" (RFC 3339) may be
// left out. Whatever else comes is [identity.ErrUnavailable]; redirects are not followed.
//
// Requests are signed: see [Header]. The receiver must check that before it looks at anything else, and refuse with 403, not
// 401. It should take as long for a name that nobody has as for a wrong password; what authd does is the same for both.
//
// A receiver that does not answer is left alone for a while, so that requests do not pile up.
package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/authd-project/authd/identity"
)

// MinSecret is the shortest secret, in bytes.
const MinSecret = 16

// Config says whom to ask.
type Config struct {
	URL    string         // https, or http on loopback
	Secret []byte         // that the receiver shares; at least MinSecret bytes
	CA     *x509.CertPool // of the receiver's certificate; default: the system's

	Timeout     time.Duration // of each request, with the wait for a connection; default 5 s
	Connections int           // at most; default 32

	// Around returns what makes the requests, given what does by default; for traces. Default: that.
	Around func(http.RoundTripper) http.RoundTripper

	Now func() time.Time // default time.Now
}

// Validate reports every problem at once, each with the name of the setting as files of settings have it.
func (c Config) Validate() error {
	problems := []error{checkURL(c.URL)}
	if len(c.Secret) < MinSecret {
		problems = append(problems, fmt.Errorf("secret_file: the secret has %d bytes, want %d or more", len(c.Secret), MinSecret))
	}
	if c.Timeout < 0 {
		problems = append(problems, fmt.Errorf("timeout %v: must be above 0", c.Timeout))
	}
	if c.Connections < 0 {
		problems = append(problems, fmt.Errorf("connections %d: must be above 0", c.Connections))
	}
	return errors.Join(problems...)
}

// checkURL quotes nothing: the URL may hold a password.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("url: required, such as https://accounts.example.com/authd")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("url: want an https URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("url: want one without user and fragment; requests are signed")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("url: must be https, as it is not on loopback: passwords would cross the network in clear")
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Source implements [identity.Reader]. Its methods may be called concurrently.
type Source struct {
	c       Config
	client  *http.Client
	slots   chan struct{} // holds one element for each request
	circuit circuit
}

var _ identity.Reader = (*Source)(nil)

// New checks the configuration. It does not connect. Close must be called.
func New(c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Timeout, c.Connections = cmp.Or(c.Timeout, 5*time.Second), cmp.Or(c.Connections, 32)
	if c.Now == nil {
		c.Now = time.Now
	}
	var transport http.RoundTripper = &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: c.CA, MinVersion: tls.VersionTLS12},
		MaxConnsPerHost: c.Connections, MaxIdleConnsPerHost: c.Connections, IdleConnTimeout: time.Minute,
		DisableCompression: true, // an answer is no longer than it looks
		ForceAttemptHTTP2:  true,
	}
	if c.Around != nil {
		transport = c.Around(transport)
	}
	return &Source{
		c: c, slots: make(chan struct{}, c.Connections),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close ends the connections that are idle.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// Ping reports whether the receiver has answered when it was asked last. It asks nothing.
func (s *Source) Ping(ctx context.Context) error {
	if err := s.circuit.state(s.c.Now()); err != nil {
		return fmt.Errorf("asking the webhook: %w: %w", identity.ErrUnavailable, err)
	}
	return ctx.Err()
}

// Authenticate implements [identity.Authenticator].
func (s *Source) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	if err := ctx.Err(); err != nil {
		return identity.Account{}, fmt.Errorf("asking the webhook: %w", err)
	}
	// These refusals depend on what was typed alone, so they may come without the work.
	name, err := identity.NormalizeUsername(username)
	if err != nil || password == "" || len(password) > identity.MaxPasswordBytes || !utf8.ValidString(password) {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	account, err := s.ask(ctx, question{Type: "login", Username: name, Password: password})
	if errors.Is(err, identity.ErrNotFound) || err == nil && account.Disabled {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return account, err
}

// Account implements [identity.Authenticator].
func (s *Source) Account(ctx context.Context, subject string) (identity.Account, error) {
	if subject == "" || len(subject) > identity.MaxSubjectLength || !utf8.ValidString(subject) {
		return identity.Account{}, errors.Join(ctx.Err(), identity.ErrNotFound)
	}
	account, err := s.ask(ctx, question{Type: "account", Subject: subject})
	if err == nil && account.Subject != subject {
		return identity.Account{}, fmt.Errorf("asking the webhook: %w: it was asked about one account and answered about another", identity.ErrUnavailable)
	}
	return account, err
}

// Get implements [identity.Reader]. Every account is said to have a password.
func (s *Source) Get(ctx context.Context, username string) (identity.User, error) {
	name, err := identity.NormalizeUsername(username)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return identity.User{}, err
	}
	account, err := s.ask(ctx, question{Type: "find", Username: name})
	return identity.User{Account: account, HasPassword: err == nil}, err
}

// List implements [identity.Reader]: a webhook cannot.
func (s *Source) List(context.Context, string, int) ([]identity.User, error) {
	return nil, identity.ErrNotListed
}
