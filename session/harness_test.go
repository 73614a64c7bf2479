package session_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	revocationstore "github.com/authd-project/authd/revocation/boltstore"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/boltstore"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://login.example"
	audience = "orders"
	password = "correct horse battery staple"
	forever  = 1000 * time.Hour
)

var (
	desktop = session.Use{Address: "192.0.2.1", UserAgent: "desktop/1"}
	errDown = errors.New("connection refused")
)

// world is a service on real stores, with a clock that stands still and a switch for each thing that may fail.
type world struct {
	*testing.T
	clock       *clock
	file        *boltfile.File
	store       *watchedStore
	revocations *watchedRevocations
	mirror      *revocation.Mirror
	patient     *patientMirror // mirror as the service sees it
	accounts    *accounts
	macKeys     *macKeys
	tokens      *tokens
	service     *session.Service
	observer    *observer
	verifier    *token.Verifier
	log         *bytes.Buffer
	path        string
	key         signingKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T:        t,
		clock:    &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)},
		accounts: &accounts{byName: map[string]identity.Account{}},
		macKeys:  &macKeys{current: 1, keys: map[uint32][]byte{1: bytes.Repeat([]byte{1}, 32)}},
		log:      new(bytes.Buffer),
		observer: &observer{ended: map[session.EndedBy][]session.Session{}},
		path:     filepath.Join(t.TempDir(), "authd.db"),
		key:      newSigningKey(t),
	}
	w.accounts.set(identity.Account{Subject: "sub-alice", Username: "alice", Roles: []string{"clerk"}})
	w.accounts.set(identity.Account{Subject: "sub-bob", Username: "bob"})
	w.open()
	t.Cleanup(func() { w.file.Close() })
	return w
}

// open builds everything that a restart of the process builds again.
func (w *world) open() {
	w.Helper()
	var err error
	must := func() {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	w.file, err = boltfile.Open(w.path)
	must()
	sessions, err := boltstore.Open(w.file, boltstore.Options{Now: w.clock.Now})
	must()
	w.store = &watchedStore{Store: sessions}
	revocations, err := revocationstore.Open(w.file, revocationstore.Options{Now: w.clock.Now})
	must()
	w.revocations = &watchedRevocations{Store: revocations, store: w.store}
	w.mirror = revocation.NewMirror(revocation.MirrorConfig{Now: w.clock.Now})
	w.patient = &patientMirror{Mirror: w.mirror, bound: forever}
	w.fill(w.mirror)

	signer, err := token.NewIssuer(token.IssuerConfig{
		Issuer: issuer, Audience: []string{audience}, Keys: w.key, Now: w.clock.Now,
	})
	must()
	w.tokens = &tokens{Tokens: signer}
	w.verifier, err = token.NewVerifier(token.VerifierConfig{
		Issuer: issuer, Audience: []string{audience}, Keys: w.key, Revocations: w.mirror.Within(forever), Now: w.clock.Now,
	})
	must()
	w.service, err = session.NewService(session.ServiceConfig{
		Store: w.store, Accounts: w.accounts, Tokens: w.tokens, MACKeys: w.macKeys,
		Revocations: w.revocations, Mirror: w.patient, Now: w.clock.Now,
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)), Ended: w.observer,
	})
	must()
}

// fill brings a mirror up to date with the store, once.
func (w *world) fill(m *revocation.Mirror) {
	w.Helper()
	if err := fill(w.Context(), m, w.revocations); err != nil {
		w.Fatal(err)
	}
}

func fill(ctx context.Context, m *revocation.Mirror, feed revocation.Feed) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return m.Run(ctx, once{feed, cancel})
}

// patientMirror has a bound of its own on how old it may be, as the clocks of these tests make leaps.
type patientMirror struct {
	*revocation.Mirror
	bound time.Duration
}

func (m *patientMirror) Check(ctx context.Context, c revocation.Claims) error {
	return m.Within(m.bound).Check(ctx, c)
}

// once is a feed that ends, with the mirror's Run, after the first proof of completeness.
type once struct {
	revocation.Feed
	done func()
}

func (o once) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return o.Feed.Follow(ctx, from, func(b revocation.Batch) error {
		if !b.AsOf.IsZero() {
			defer o.done()
		}
		return apply(b)
	})
}

func (w *world) login(username string) session.Grant {
	w.Helper()
	g, err := w.service.Login(w.Context(), session.LoginRequest{
		Username: username, Password: password, ClientID: "web", Scope: "read",
		Address: desktop.Address, UserAgent: desktop.UserAgent,
	})
	if err != nil {
		w.Fatalf("login: %v", err)
	}
	return g
}

func (w *world) refresh(refreshToken string) session.Grant {
	w.Helper()
	g, err := w.service.Refresh(w.Context(), refreshToken, desktop)
	if err != nil {
		w.Fatalf("refresh: %v", err)
	}
	return g
}

func (w *world) wantRefreshError(refreshToken string, want error) {
	w.Helper()
	if g, err := w.service.Refresh(w.Context(), refreshToken, desktop); !errors.Is(err, want) {
		w.Errorf("refresh: %v (session %v); want %v", err, g.Session.ID, want)
	}
}

// past moves the clock beyond the grace, so that the next refresh rotates.
func (w *world) past() { w.clock.Advance(time.Minute) }

// wantLive checks that a grant works in every respect.
func (w *world) wantLive(g session.Grant) {
	w.Helper()
	if _, err := w.verifier.Verify(w.Context(), g.AccessToken); err != nil {
		w.Errorf("access token: %v; want a good one", err)
	}
	if _, _, err := w.service.InspectRefreshToken(w.Context(), g.RefreshToken); err != nil {
		w.Errorf("refresh token: %v; want a good one", err)
	}
}

// wantDead checks that nothing of a grant works any more: not here, not for verifiers that only know what is durable.
func (w *world) wantDead(g session.Grant) {
	w.Helper()
	w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
	if _, err := w.verifier.Verify(w.Context(), g.AccessToken); !errors.Is(err, token.ErrRevoked) {
		w.Errorf("access token here: %v; want revoked", err)
	}
	elsewhere := revocation.NewMirror(revocation.MirrorConfig{Now: w.clock.Now})
	w.fill(elsewhere)
	if _, err := w.verifier.VerifyWith(w.Context(), g.AccessToken, elsewhere.Within(forever)); !errors.Is(err, token.ErrRevoked) {
		w.Errorf("access token elsewhere: %v; want revoked", err)
	}
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// watchedStore counts what reaches the store, and can do something right after a step.
type watchedStore struct {
	session.Store
	calls     int
	afterStep func() // after the next Create or Refresh
	ended     []session.ID
}

func (s *watchedStore) step() {
	if f := s.afterStep; f != nil {
		s.afterStep = nil
		f()
	}
}

func (s *watchedStore) Create(ctx context.Context, n session.Session) (session.Session, error) {
	s.calls++
	defer s.step()
	return s.Store.Create(ctx, n)
}

func (s *watchedStore) Get(ctx context.Context, id session.ID, l session.Limits) (session.Session, error) {
	s.calls++
	return s.Store.Get(ctx, id, l)
}

func (s *watchedStore) Refresh(ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits) (
	session.Session, session.Outcome, error,
) {
	s.calls++
	defer s.step()
	n, outcome, err := s.Store.Refresh(ctx, id, presented, use, l)
	if outcome == session.Reused {
		s.ended = append(s.ended, id)
	}
	return n, outcome, err
}

func (s *watchedStore) End(ctx context.Context, ids ...session.ID) error {
	s.calls++
	err := s.Store.End(ctx, ids...)
	if err == nil {
		s.ended = append(s.ended, ids...)
	}
	return err
}

func (s *watchedStore) EndSubject(ctx context.Context, subject string, keep ...session.ID) ([]session.ID, error) {
	s.calls++
	ids, err := s.Store.EndSubject(ctx, subject, keep...)
	s.ended = append(s.ended, ids...)
	return ids, err
}

// watchedRevocations fails while err is set, and checks that records ended before their revocation is written.
type watchedRevocations struct {
	revocation.Store
	store *watchedStore
	err   error
	added []revocation.Entry
	early []revocation.Entry // those of sessions whose record had not ended
}

func (r *watchedRevocations) Add(ctx context.Context, entries ...revocation.Entry) error {
	if r.err != nil {
		return r.err
	}
	for _, e := range entries {
		if e.Kind == revocation.Session && !slices.Contains(r.store.ended, session.ID(e.ID)) {
			r.early = append(r.early, e)
		}
	}
	if err := r.Store.Add(ctx, entries...); err != nil {
		return err
	}
	r.added = append(r.added, entries...)
	return nil
}

// observer remembers what it was told.
type observer struct {
	mu    sync.Mutex
	ended map[session.EndedBy][]session.Session
}

func (o *observer) Ended(_ context.Context, by session.EndedBy, ended ...session.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended[by] = append(o.ended[by], ended...)
}

// accounts has one password for everybody.
type accounts struct {
	byName    map[string]identity.Account
	err       error
	during    func() // while the next password is being checked
	passwords int    // checked
}

func (a *accounts) set(n identity.Account) { a.byName[n.Username] = n }

func (a *accounts) Authenticate(_ context.Context, username, given string) (identity.Account, error) {
	a.passwords++
	if a.err != nil {
		return identity.Account{}, a.err
	}
	n, ok := a.byName[username]
	ok = ok && given == password && !n.Disabled
	if f := a.during; f != nil {
		a.during = nil
		f()
	}
	if !ok {
		return identity.Account{}, identity.ErrInvalidCredentials
	}
	return n, nil
}

func (a *accounts) Account(_ context.Context, subject string) (identity.Account, error) {
	if a.err != nil {
		return identity.Account{}, a.err
	}
	for _, n := range a.byName {
		if n.Subject == subject {
			return n, nil
		}
	}
	return identity.Account{}, identity.ErrNotFound
}

type macKeys struct {
	current uint32
	keys    map[uint32][]byte
	err     error
}

func (k *macKeys) MACKey(context.Context) (uint32, []byte, error) {
	return k.current, k.keys[k.current], k.err
}

func (k *macKeys) MACKeyByID(_ context.Context, id uint32) ([]byte, bool, error) {
	key, known := k.keys[id]
	return key, known, k.err
}

type tokens struct {
	session.Tokens
	err    error
	during func() // before the next token is signed
}

func (s *tokens) Issue(ctx context.Context, c token.Claims) (string, token.Claims, error) {
	if s.err != nil {
		return "", token.Claims{}, s.err
	}
	if f := s.during; f != nil {
		s.during = nil
		f()
	}
	return s.Tokens.Issue(ctx, c)
}

// signingKey is a ring of one key.
type signingKey struct{ private *ecdsa.PrivateKey }

const kid = "test-key"

func newSigningKey(t *testing.T) signingKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{private}
}

func (k signingKey) SigningKey(context.Context) (string, string, crypto.Signer, error) {
	return kid, "ES256", k.private, nil
}

func (k signingKey) VerificationKey(_ context.Context, id, alg string) (crypto.PublicKey, bool, error) {
	return k.private.Public(), id == kid && alg == "ES256", nil
}
