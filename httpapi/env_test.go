package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/outbox"
	"github.com/authd-project/authd/identity/sqlstore"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	keysbolt "github.com/authd-project/authd/keys/boltstore"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/revocation"
	revocationbolt "github.com/authd-project/authd/revocation/boltstore"
	"github.com/authd-project/authd/revocation/httpfeed"
	"github.com/authd-project/authd/session"
	sessionbolt "github.com/authd-project/authd/session/boltstore"
	"github.com/authd-project/authd/token"
)

const (
	aliceName     = "alice"
	alicePassword = "orange kettle on the roof"
	bobName       = "bob"
	bobPassword   = "seven quiet lighthouses"
	adminToken    = "the-admin-token-of-the-tests"
	clientID      = "orders"
	clientSecret  = "the-client-secret-of-the-tests"
)

// env is authd's real parts behind both listeners on loopback.
type env struct {
	t           testing.TB
	public      *httpapi.Server
	admin       *httpapi.Server
	publicURL   string
	adminURL    string
	http        *http.Client // holds every answer against the OpenAPI documents
	users       *sqlstore.Store
	sessions    *session.Service
	mirror      *revocation.Mirror
	ring        *keys.View
	issuer      *token.Issuer
	revocations *flaky
	registry    *prometheus.Registry
	log         *logBuffer
	alice       identity.Account
	factors     *mfa.Service
	clock       *movableClock // of the factors

	publicConfig httpapi.PublicConfig // what public is made of
	adminConfig  httpapi.AdminConfig  // and admin
}

// options change what an env is made of.
type options struct {
	public func(*httpapi.PublicConfig)
	admin  func(*httpapi.AdminConfig)
}

// newEnv starts everything, with the users alice (role editor) and bob, and stops it when the test ends.
func newEnv(t testing.TB, change ...options) *env {
	t.Helper()
	e := &env{t: t, log: &logBuffer{}, registry: prometheus.NewRegistry()}
	run := runner(t)
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	must(t, err)
	t.Cleanup(func() { must(t, file.Close()) })
	rotator := e.startKeys(run, file)
	e.startRevocations(run, file)
	e.openUsers()
	e.startSessions(file)

	verifier, err := token.NewVerifier(token.VerifierConfig{
		Issuer: issuerURL, Audience: []string{"authd"}, Keys: e.ring, Revocations: e.mirror,
	})
	must(t, err)
	metrics, err := httpapi.NewMetrics(e.registry)
	must(t, err)
	must(t, httpapi.RegisterState(e.registry, e.mirror, e.ring, nil))
	must(t, httpapi.RegisterLeadership(e.registry, rotatorLeads{}, nil))
	log := slog.New(slog.NewJSONHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	ends := e.startEnds(run)
	pages, err := web.New(web.Config{Site: "auth.example.com"})
	must(t, err)
	publicConfig := httpapi.PublicConfig{
		Pages:     pages,
		Passwords: &httpapi.PasswordConfig{Users: e.users, Ends: ends, Sessions: e.sessions},
		Issuer:    issuerURL, Algorithms: []string{"ES256"}, Scopes: []string{"orders:read", "orders:write"},
		Clients:  []httpapi.Client{{ID: clientID, SecretSHA256: sha256.Sum256([]byte(clientSecret))}},
		Logins:   newLogins(t, memoryLimits{}),
		Sessions: e.sessions, Verifier: verifier, Keys: e.ring, Revocations: e.revocations, Mirror: e.mirror,
		Feed: httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: e.mirror}), Accounts: e.users,
		Metrics: metrics, Log: log,
	}
	publicConfig.Factors = e.openFactors()
	adminConfig := httpapi.AdminConfig{
		Factors:     e.factors,
		Backups:     pretendedBackups{},
		Sealing:     pretendedSealing{},
		TokenSHA256: sha256.Sum256([]byte(adminToken)), Logins: publicConfig.Logins.(httpapi.LoginAdmin),
		Users: e.users, Ends: ends, Sessions: e.sessions, Revocations: e.revocations, Mirror: e.mirror, Ring: e.ring,
		Tokens: verifier, Keys: rotator, Leadership: rotatorLeads{}, TokenLife: 11 * time.Minute, Gatherer: e.registry,
		Reload:  func(context.Context) ([]string, error) { return nil, nil },
		Checks:  []httpapi.Check{{Name: "keys", Probe: func(context.Context) error { return e.ring.Check() }}},
		Metrics: metrics, Log: log,
	}
	for _, c := range change {
		if c.public != nil {
			c.public(&publicConfig)
		}
		if c.admin != nil {
			c.admin(&adminConfig)
		}
	}
	if publicConfig.Sessions != httpapi.Sessions(e.sessions) { // the test has its own idea of logins
		publicConfig.Factors = nil
	}
	e.publicConfig, e.adminConfig = publicConfig, adminConfig
	e.public, err = httpapi.NewPublic(publicConfig)
	must(t, err)
	e.admin, err = httpapi.NewAdmin(adminConfig)
	must(t, err)
	e.publicURL, e.adminURL = listen(t, run, e.public), listen(t, run, e.admin)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	e.http = &http.Client{
		Transport:     newContract(t, transport, e.publicURL, e.adminURL),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e
}

// issuerURL is the issuer of all tokens in tests. It is no address: nothing here asks the issuer over the network.
const issuerURL = "https://auth.example.com"

// runner returns a function that starts long work, which ends and is waited for when the test ends.
func runner(t testing.TB) func(work func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return func(work func(context.Context) error) {
		wg.Go(func() {
			if err := work(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("background work: %v", err)
			}
		})
	}
}

func (e *env) startKeys(run func(func(context.Context) error), file *boltfile.File) *keys.Rotator {
	store, err := keysbolt.Open(file, keys.NewCodec(keys.GenerateKEK()))
	must(e.t, err)
	policy := keys.Policy{}.WithDefaults()
	e.ring, err = keys.NewView(keys.ViewConfig{Store: store, Policy: policy})
	must(e.t, err)
	rotator, err := keys.NewRotator(keys.RotatorConfig{
		Store: store, Policy: policy, Holder: "test",
		Revocations: keys.KeyRevokerFunc(func(ctx context.Context, kid string, until time.Time) error {
			entry := revocation.Entry{
				Kind: revocation.Key, ID: revocation.IDOf(revocation.Key, kid), Expires: until.Unix(),
			}
			e.mirror.Merge(entry)
			return e.revocations.Add(ctx, entry)
		}),
	})
	must(e.t, err)
	run(func(ctx context.Context) error { return election.NewSolo("test", time.Now).Lead(ctx, rotator.Lead) })
	run(e.ring.Run)
	<-e.ring.Ready()
	return rotator
}

func (e *env) startRevocations(run func(func(context.Context) error), file *boltfile.File) {
	store, err := revocationbolt.Open(file, revocationbolt.Options{})
	must(e.t, err)
	e.revocations = &flaky{Store: store}
	e.mirror = revocation.NewMirror(revocation.MirrorConfig{})
	run(func(ctx context.Context) error { return e.mirror.Run(ctx, store) })
	await(e.t, "a fresh mirror", func() bool { return e.mirror.Status().Fresh })
}

func (e *env) openUsers() {
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	must(e.t, err)
	e.users, err = sqlstore.OpenSQLite(e.t.Context(), filepath.Join(e.t.TempDir(), "users.db"), sqlstore.Config{Hasher: hasher})
	must(e.t, err)
	e.t.Cleanup(func() { must(e.t, e.users.Close()) })
	e.alice, err = e.users.Add(e.t.Context(), aliceName, alicePassword, "editor")
	must(e.t, err)
	_, err = e.users.Add(e.t.Context(), bobName, bobPassword)
	must(e.t, err)
}

func (e *env) startSessions(file *boltfile.File) {
	store, err := sessionbolt.Open(file, sessionbolt.Options{})
	must(e.t, err)
	e.issuer, err = token.NewIssuer(token.IssuerConfig{Issuer: issuerURL, Audience: []string{"authd"}, Keys: e.ring})
	must(e.t, err)
	e.sessions, err = session.NewService(session.ServiceConfig{
		Store: store, Accounts: e.users, Tokens: e.issuer, MACKeys: e.ring, Revocations: e.revocations, Mirror: e.mirror,
	})
	must(e.t, err)
}

func (e *env) startEnds(run func(func(context.Context) error)) *outbox.Outbox {
	ends, err := outbox.New(outbox.Config{Notes: e.users, Sessions: e.sessions})
	must(e.t, err)
	run(ends.Run)
	return ends
}

// listen serves s on a free port and returns its URL.
func listen(t testing.TB, run func(func(context.Context) error), s *httpapi.Server) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	run(func(ctx context.Context) error { return s.Serve(ctx, l) })
	return "http://" + l.Addr().String()
}

// flaky is a revocation store that can be made to fail.
type flaky struct {
	revocation.Store
	failing atomic.Bool
}

func (f *flaky) Add(ctx context.Context, entries ...revocation.Entry) error {
	if f.failing.Load() {
		return revocation.ErrUnavailable
	}
	return f.Store.Add(ctx, entries...)
}

// rotatorLeads answers as the elector of a process that leads.
type rotatorLeads struct{}

func (rotatorLeads) Sight() election.Sight {
	return election.Sight{Name: "test", Self: true, Term: 1, Since: time.Now(), AsOf: time.Now(), ValidFor: 5 * time.Second, Changes: 1}
}

// logBuffer collects the log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await polls for what background work brings about.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
