package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what is driven, and by whom.
type Config struct {
	URLs     []string  // of servers that do the same, one of which is enough; all are asked about logouts. Required
	Services []string  // URLs that services guard with the middleware, for the operation Service
	Accounts []Account // who logs in, in turn. Required
	// ClientID and ClientSecret are an OAuth client's that may introspect; without it there is no operation Introspect.
	ClientID, ClientSecret string
	Audience               string        // of the access tokens. Default "authd"
	Guards                 int           // guards of the middleware that follow the issuer's feed in this process
	MaxStaleness           time.Duration // of the guards: the bound within which a logout must hold everywhere. Default 5 s
	Leeway                 time.Duration // of the guards; must not exceed authd's. Default 30 s
	Connections            int           // requests at once. Default 64
	Timeout                time.Duration // of one request. Default 10 s
	// Patience is how long a server that cannot be reached is tried again. By default not at all; while servers are being
	// restarted a client should have some.
	Patience    time.Duration
	MaxSessions int // at once. Default 100,000
	// MaxReplays is how often a session is refreshed within the grace of its refresh token; authd ends sessions at more
	// than its setting refresh-replays, 64. Default 32.
	MaxReplays int
	// Remote allows targets that are not on this machine.
	Remote bool
	// Metrics are the URLs of the servers' metrics, which are read meanwhile.
	Metrics []string
}

func (c *Config) setDefaults() {
	if c.Audience == "" {
		c.Audience = "authd"
	}
	for value, standard := range map[*time.Duration]time.Duration{&c.MaxStaleness: 5 * time.Second, &c.Timeout: 10 * time.Second} {
		if *value == 0 {
			*value = standard
		}
	}
	for value, standard := range map[*int]int{&c.Connections: 64, &c.MaxSessions: 100_000, &c.MaxReplays: 32} {
		if *value == 0 {
			*value = standard
		}
	}
}

func (c *Config) validate() error {
	var errs []error
	if len(c.URLs) == 0 {
		errs = append(errs, errors.New("no URL to drive"))
	}
	if len(c.Accounts) == 0 {
		errs = append(errs, errors.New("no accounts to log in with"))
	}
	for _, n := range []struct {
		name              string
		have, least, most int
	}{
		{"connections", c.Connections, 1, 10_000}, {"guards", c.Guards, 0, 1000},
		{"sessions", c.MaxSessions, 1, 10_000_000}, {"replays", c.MaxReplays, 1, 1000},
	} {
		if n.have < n.least || n.have > n.most {
			errs = append(errs, fmt.Errorf("%s: want %d to %d", n.name, n.least, n.most))
		}
	}
	if min(c.MaxStaleness, c.Timeout) < time.Millisecond || c.Patience < 0 {
		errs = append(errs, errors.New("bound, timeout and patience must be positive"))
	}
	return errors.Join(errs...)
}

// ErrRemote refuses a target that is not on this machine and was not allowed.
var ErrRemote = errors.New("is not on this machine: a load test can bring a server down")

// Target is a running authd with the sessions that were begun there. Run and Close are for one goroutine.
type Target struct {
	config   Config
	servers  []endpoint
	services []endpoint
	metrics  []endpoint
	issuer   string

	guards    []*guard
	fed       atomic.Int64 // bytes that all guards have read
	transport *http.Transport
	asker     *http.Client // of questions beside the load

	recorder *recorder // of the current run
	sessions pool
	ended    graveyard
	logins   atomic.Int64 // so far; says whose turn it is
	repeated atomic.Int64

	followers sync.WaitGroup // each follows one logout to its verifiers
	following chan struct{}  // holds as many values as there are followers
}

// Open finds the issuer and fills the guards. It begins no session. The caller closes the target.
func Open(ctx context.Context, c Config) (*Target, error) {
	c.setDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	t := &Target{config: c, recorder: newRecorder(), following: make(chan struct{}, 256), ended: graveyard{limit: 4096}}
	for list, urls := range map[*[]endpoint][]string{&t.servers: c.URLs, &t.services: c.Services, &t.metrics: c.Metrics} {
		for _, raw := range urls {
			e, err := parseEndpoint(raw)
			if err != nil {
				return nil, fmt.Errorf("URL %d: %w", len(*list)+1, err)
			}
			if !c.Remote && !loopback(e.url.Hostname()) {
				return nil, fmt.Errorf("%s %w", e.url.Host, ErrRemote)
			}
			*list = append(*list, e)
		}
	}
	t.transport = &http.Transport{MaxIdleConnsPerHost: c.Connections, IdleConnTimeout: time.Minute}
	t.asker = &http.Client{Transport: t.transport, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	if err := t.discover(ctx); err != nil {
		t.transport.CloseIdleConnections()
		return nil, err
	}
	if err := t.openGuards(ctx); err != nil {
		t.closeGuards()
		return nil, err
	}
	return t, nil
}

// discover asks the server for its name.
func (t *Target) discover(ctx context.Context) error {
	var m struct {
		Issuer string `json:"issuer"`
	}
	c := t.newClient()
	defer c.close()
	a, o, detail := c.do(ctx, Request(http.MethodGet, t.servers[0].url.Host, "/.well-known/oauth-authorization-server", "", "", ""))
	if o == good {
		o, detail = a.judge(http.StatusOK)
	}
	if o != good {
		return fmt.Errorf("asking %s for its metadata: %s", t.servers[0].url.Host, orElse(detail, string(o)))
	}
	if err := json.Unmarshal(a.body, &m); err != nil || m.Issuer == "" {
		return fmt.Errorf("%s is no authd: its metadata name no issuer", t.servers[0].url.Host)
	}
	e, err := parseEndpoint(m.Issuer)
	if err != nil {
		return fmt.Errorf("the issuer's name: %w", err)
	}
	if !t.config.Remote && !loopback(e.url.Hostname()) {
		return fmt.Errorf("the issuer %s %w", e.url.Host, ErrRemote)
	}
	t.issuer = m.Issuer
	return nil
}

func (t *Target) newClient() *client {
	return &client{
		servers: t.servers, patience: t.config.Patience, timeout: t.config.Timeout,
		repeated: func() { t.repeated.Add(1) },
	}
}

// ask sends a question beside the load, and returns the status; 0 for none.
func (t *Target) ask(ctx context.Context, url, token string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := t.asker.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection can be used again
	return resp.StatusCode
}

// Close logs out every session that this target began and that lives, and ends the guards. ctx bounds it.
func (t *Target) Close(ctx context.Context) error {
	t.followers.Wait()
	t.sessions.doubts()
	var left atomic.Int64
	var workers sync.WaitGroup
	for i := range min(t.config.Connections, 64) {
		workers.Go(func() {
			c := t.newClient()
			c.at = i
			defer c.close()
			for s := t.sessions.take(anySession); s != nil; s = t.sessions.take(anySession) {
				if !t.end(ctx, c, s) {
					left.Add(1)
				}
				t.sessions.forget()
			}
		})
	}
	workers.Wait()
	t.closeGuards()
	if n := left.Load(); n > 0 {
		return fmt.Errorf("%d sessions could not be logged out; they end by themselves when they are idle", n)
	}
	return nil
}

// end logs one session out; it comes back while the server is busy and ctx lasts.
func (t *Target) end(ctx context.Context, c *client, s *session) bool {
	for pause := 10 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, time.Second) {
		if !t.alive(s) {
			if o, _ := t.refresh(ctx, c, s); o.failed() {
				return o == unauthorized // it has ended already
			}
		}
		a, o, _ := c.do(ctx, t.logoutRequest(s))
		if o == good && (a.status == http.StatusNoContent || a.status == http.StatusUnauthorized) {
			return true // 401: it had ended already
		}
		if o.failed() {
			return false
		}
		if !sleep(ctx, pause) {
			return false
		}
	}
	return false
}

// alive tells whether a session's access token will last for another request.
func (t *Target) alive(s *session) bool { return time.Until(s.expires) > 500*time.Millisecond }

func join(parts ...string) string { return strings.Join(parts, "") }
