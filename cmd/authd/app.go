package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/tracing"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// app is authd, wired: everything that runs but the sockets.
type app struct {
	cfg Config
	log *slog.Logger

	public, admin *httpapi.Server
	adminToken    string
	audit         *audit.Log
	signals       httpapi.SharedSignals // nil where nobody is told
	identity      string                // names this process
	tokenLife     time.Duration         // the longest life of any token still alive, whoever issued it
	traces        *tracing.Tracer       // nil for none
	registry      *prometheus.Registry
	metrics       *httpapi.Metrics
	connections   *connections
	users         userStore
	notes         identity.Notes      // of the changes of users; nil where none can be changed here
	ends          httpapi.AccountEnds // acts on them
	ring          keys.Store
	codec         *keys.Codec            // of the ring
	keks          atomic.Pointer[string] // that the codec seals and opens with, as their file has them
	backups       httpapi.Backups        // of the files and the ring
	view          *keys.View
	rotator       *keys.Rotator
	reports       keys.Reports // what verifiers say they hold; nil when nobody asks
	leadership    *election.Observer
	mirror        *revocation.Mirror
	statusLists   httpapi.StatusLists // nil where tokens have no status
	factors       *mfa.Service
	oauthClients  *oauthRegistry // nil where there are none
	limits        limits
	known         knownPasswords
	publicConfig  httpapi.PublicConfig // what the listeners are made of
	adminConfig   httpapi.AdminConfig
	reloads       *reloader                     // nil where nobody can ask for one
	stopping      func() error                  // nil until the process has been told to stop
	listening     func() error                  // nil once the public port is open
	jobs          []func(context.Context) error // each runs until its context ends
	storeChecks   []httpapi.Check               // of the stores, for readiness
	closers       []func() error                // closed last to first, also when construction stops half-way
}

// newApp opens the stores and wires the parts. issuer is the URL under which clients reach the public API.
func newApp(ctx context.Context, cfg Config, issuer string, log *slog.Logger) (_ *app, err error) {
	log = slog.New(cfg.tracedLog(log.Handler()))
	a := &app{
		cfg: cfg, log: log, identity: processIdentity(), registry: prometheus.NewRegistry(), connections: &connections{cfg: cfg.ConnectionConfig, log: log},
		stopping: ctx.Err, listening: func() error { return nil },
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err := a.openTraces(ctx); err != nil {
		return nil, err
	}
	a.connections.traces = a.traces
	a.closers = append(a.closers, a.connections.close)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.metrics, err = httpapi.NewMetrics(a.registry); err != nil {
		return nil, err
	}
	file, err := a.openFile(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.openAudit(ctx, issuer, file); err != nil {
		return nil, err
	}
	policy, err := a.startPolicy(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := a.openUsers(ctx); err != nil {
		return nil, err
	}
	a.mirror = revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: cfg.MaxStaleness, Logger: log})
	st, err := a.openStores(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := a.openKeys(policy, st.revocations); err != nil {
		return nil, err
	}
	if err := a.openBackups(issuer, file); err != nil {
		return nil, err
	}
	a.jobs = append(a.jobs, a.watchPresence)
	if st, err = a.openOAuthClients(ctx, issuer, file, st); err != nil {
		return nil, err
	}
	status, err := a.openStatusLists(issuer, file)
	if err != nil {
		return nil, err
	}
	sessions, err := a.openSessions(issuer, st, status)
	if err != nil {
		return nil, err
	}
	if err := a.openEnds(sessions); err != nil {
		return nil, err
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Issuer: issuer, Audience: cfg.Audience, Keys: a.view, Revocations: a.mirror, Leeway: cfg.Leeway,
	})
	if err != nil {
		return nil, err
	}
	if err := a.openFactors(ctx, issuer); err != nil {
		return nil, err
	}
	if a.limits, err = a.openLimits(cfg.LimitConfig, limits{}); err != nil {
		return nil, err
	}
	if err := a.openPublic(issuer, sessions, verifier, st.revocations); err != nil {
		return nil, err
	}
	return a, a.openAdmin(sessions, verifier, st.revocations)
}

func (a *app) openFile(ctx context.Context) (*boltfile.File, error) {
	name := filepath.Join(a.cfg.Data, "authd.db")
	if err := refuseUnfinished(a.cfg.Data); err != nil {
		return nil, err
	}
	file, err := boltfile.Open(name)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	a.closers = append(a.closers, file.Close)
	if err := file.Upgrade(ctx, boltfile.Schema{Steps: fileSteps(), Release: buildVersion()}); err != nil {
		return nil, fmt.Errorf("data folder: %s: %w", name, err)
	}
	return file, nil
}

func (a *app) openSessions(issuer string, st stores, status token.StatusAllocator) (*session.Service, error) {
	issuerOf, err := token.NewIssuer(token.IssuerConfig{
		Issuer: issuer, Audience: a.cfg.Audience, TTL: a.cfg.AccessTTL, Keys: a.view, Status: status,
	})
	if err != nil {
		return nil, err
	}
	// Revocations are kept for the leeway that a verifier may have at most, whatever that of this authd is.
	return session.NewService(session.ServiceConfig{
		Store: st.sessions, Accounts: a.users, Tokens: a.tracedTokens(issuerOf), MACKeys: a.view, Revocations: st.revocations, Mirror: a.mirror,
		Limits: a.cfg.sessionLimits(), AccessTTL: a.tokenLife, Leeway: token.DefaultLeeway, Logger: a.log,
		Ended: auditedEnds{a.tracedAudit()},
	})
}

// listenerClients are those that may introspect and revoke.
func (a *app) listenerClients(c Config) ([]httpapi.Client, error) {
	clients, err := c.oauthClients()
	if c.Demo {
		clients = append(clients, httpapi.Client{ID: demoClient, SecretSHA256: sha256.Sum256([]byte(demoSecret))})
	}
	return clients, err
}

func (a *app) openPublic(issuer string, sessions *session.Service, verifier *token.Verifier, revocations revocation.Store) error {
	clients, err := a.listenerClients(a.cfg)
	if err != nil {
		return err
	}
	proxies, err := a.cfg.trustedProxies()
	if err != nil {
		return err
	}
	proofs, err := a.openProofs()
	if err != nil {
		return err
	}
	pages, err := a.cfg.PagesConfig.open(issuer)
	if err != nil {
		return err
	}
	a.publicConfig = httpapi.PublicConfig{
		Pages: pages, ReturnTo: a.cfg.ReturnTo, Passwords: a.passwords(sessions), OAuth: a.oauthProvider(issuer, sessions),
		Issuer: issuer, Algorithms: token.Algorithms(), Clients: clients, Scopes: a.cfg.Scopes, RefreshLife: a.cfg.SessionIdle,
		RateLimits: a.tracedLimits(a.limits), Logins: a.tracedLogins(a.limits), DPoP: proofs,
		Sessions: sessions, Verifier: a.tracedVerifier(verifier), Keys: a.view, Revocations: revocations, Mirror: a.mirror,
		Feed:        httpfeed.NewHandler(a.feedConfig()),
		StatusLists: a.statusLists,
		Factors:     a.factorConfig(sessions),
		Audit:       a.tracedAudit(), Tracing: a.requestTraces(), AuditStrict: a.cfg.AuditStrict, Names: a.users, SSF: a.signals,
		Accounts: a.users, TrustedProxies: proxies, Metrics: a.metrics, Log: a.log,
		Limits: httpapi.Limits{Connections: a.cfg.MaxConnections, Linger: a.cfg.ShutdownDelay, Drain: a.cfg.DrainTimeout},
	}
	a.public, err = httpapi.NewPublic(a.publicConfig)
	return err
}

func (a *app) openAdmin(sessions *session.Service, verifier *token.Verifier, revocations revocation.Store) error {
	var err error
	own := a.cfg.AdminTokenFile == filepath.Join(a.cfg.Data, "admin-token")
	if a.adminToken, err = readOrMakeSecret(a.cfg.AdminTokenFile, own); err != nil {
		return fmt.Errorf("admin-token-file: %w", err)
	}
	err = errors.Join(
		httpapi.RegisterState(a.registry, a.mirror, a.view, nil),
		httpapi.RegisterLeadership(a.registry, a.leadership, nil),
		httpapi.RegisterAudit(a.registry, a.audit.Stats),
	)
	if err != nil {
		return err
	}
	a.adminConfig = httpapi.AdminConfig{
		TokenSHA256: sha256.Sum256([]byte(a.adminToken)),
		Users:       a.users, Sessions: sessions, Logins: a.limits.logins, Ends: a.ends, Revocations: revocations, Mirror: a.mirror,
		Ring: a.view, Tokens: verifier, Keys: a.rotator, Leadership: a.leadership, TokenLife: a.tokenLife + token.DefaultLeeway, Factors: a.factors, Backups: a.backups, Sealing: sealing{a},
		Console: a.openConsole(a.publicConfig), Audit: a.tracedAudit(), Tracing: a.requestTraces(), Gatherer: a.registry, Checks: a.readyz(), Metrics: a.metrics, Log: a.log,
		Limits: httpapi.Limits{Linger: a.cfg.ShutdownDelay, Drain: a.cfg.DrainTimeout},
	}
	if err := a.openReload(); err != nil {
		return err
	}
	a.admin, err = httpapi.NewAdmin(a.adminConfig)
	return err
}

// run does the background work until ctx ends.
func (a *app) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, job := range a.jobs {
		g.Go(func() error { return job(ctx) })
	}
	return g.Wait()
}

// checks are what must hold before requests can be answered.
func (a *app) checks() []httpapi.Check {
	return append([]httpapi.Check{
		{Name: "shutdown", Probe: func(context.Context) error { return a.stopping() }},
		{Name: "keys", Probe: func(context.Context) error { return a.view.Check() }},
		{Name: "users", Probe: a.users.Ping},
		{Name: "revocations", Probe: func(context.Context) error {
			if !a.mirror.Status().Fresh {
				return errors.New("the mirror is not fresh")
			}
			return nil
		}},
	}, a.storeChecks...)
}

// readyz are what must hold before requests should come: that they can be answered, and that there is a port for them.
func (a *app) readyz() []httpapi.Check {
	return append(a.checks(), httpapi.Check{Name: "listen", Probe: func(context.Context) error { return a.listening() }})
}

// awaitReady returns once all checks pass, or tells which did not when ctx ended.
func (a *app) awaitReady(ctx context.Context) error {
	for {
		var failed []error
		for _, c := range a.checks() {
			if err := c.Probe(ctx); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", c.Name, err))
			}
		}
		if len(failed) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", errors.Join(failed...))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (a *app) close() error {
	var errs []error
	for _, c := range slices.Backward(a.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}
