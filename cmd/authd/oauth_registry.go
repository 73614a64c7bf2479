package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/oauth"
)

// clientReload is how often the file of clients is read again.
const clientReload = 2 * time.Second

// oauthRegistry holds the OAuth clients of a file, which is read again when it changes: a broken file changes nothing.
// Methods may be called concurrently.
type oauthRegistry struct {
	file    string // empty: there are no clients
	log     *slog.Logger
	mu      sync.Mutex // guards what follows, for whoever reads the file
	text    []byte     // as read last, good or bad
	missing bool       // the file could not be read
	current atomic.Pointer[registered]
}

// registered are the clients at one time.
type registered struct {
	*oauth.Registry
	told      []string // clients that want to hear of logouts
	audiences []string // of all clients that have some of their own
}

// openOAuthRegistry reads the file for the first time.
func openOAuthRegistry(file string, log *slog.Logger) (*oauthRegistry, error) {
	r := &oauthRegistry{file: file, log: log}
	if file == "" {
		empty, err := oauth.NewRegistry(nil)
		r.current.Store(&registered{Registry: empty})
		return r, err
	}
	_, err := r.read()
	return r, err
}

// read reads the file, and tells whether it has changed. The caller holds mu once others may read too.
func (r *oauthRegistry) read() (changed bool, err error) {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return false, fmt.Errorf("oauth-clients: %w", err)
	}
	if r.text != nil && bytes.Equal(text, r.text) {
		return false, nil
	}
	r.text = text
	next, err := r.parse(text)
	if err != nil {
		return true, err
	}
	r.current.Store(next)
	return true, nil
}

func (r *oauthRegistry) parse(text []byte) (*registered, error) {
	clients, err := parseOAuthClients(r.file, text)
	if err != nil {
		return nil, fmt.Errorf("oauth-clients:\n%w", err)
	}
	registry, err := oauth.NewRegistry(clients)
	if err != nil {
		return nil, fmt.Errorf("oauth-clients: %w", err)
	}
	next := &registered{Registry: registry}
	for _, c := range clients {
		if c.BackchannelLogoutURI != "" {
			next.told = append(next.told, c.ID)
		}
		next.audiences = slices.Concat(next.audiences, c.Audiences, c.ExchangeAudiences)
	}
	return next, nil
}

// prepare reads the file for a reload, which takes over all or nothing.
func (r *oauthRegistry) prepare() (swap func(), err error) {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return keep, fmt.Errorf("oauth-clients: %w", err)
	}
	next, err := r.parse(text)
	if err != nil {
		return keep, err
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.text, r.missing = text, false
		r.current.Store(next)
	}, nil
}

// run reads the file again and again until ctx ends, which is no error.
func (r *oauthRegistry) run(ctx context.Context) error {
	if r.file == "" {
		return nil
	}
	tick := time.NewTicker(clientReload)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.look()
		case <-ctx.Done():
			return nil
		}
	}
}

// look reads the file once more, and complains once of what is wrong.
func (r *oauthRegistry) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, err := r.read()
	switch {
	case err != nil && (changed || !r.missing):
		r.log.Error("the file of OAuth clients is not taken over; what was read before stays", "err", err)
	case err == nil && changed:
		r.log.Info("OAuth clients read again", "file", r.file)
	}
	r.missing = err != nil && !changed
}

// Client returns the client of that ID, or nil.
func (r *oauthRegistry) Client(id string) *oauth.Client { return r.current.Load().Client(id) }

// LogoutURI implements [backchannel.Clients].
func (r *oauthRegistry) LogoutURI(id string) string {
	if c := r.Client(id); c != nil {
		return c.BackchannelLogoutURI
	}
	return ""
}

// AnyLogoutURI implements [backchannel.Clients].
func (r *oauthRegistry) AnyLogoutURI() bool { return len(r.told()) > 0 }

// told returns the clients that want to hear of logouts.
func (r *oauthRegistry) told() []string { return r.current.Load().told }
