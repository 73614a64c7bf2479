package mfa_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/mfatest"
	"github.com/authd-project/authd/mfa/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer = "https://login.example.com"
	alice  = "sub-alice"
	bob    = "sub-bob"
)

// world is a service on a real store, with a clock that stands still.
type world struct {
	*testing.T
	*mfa.Service
	store *sqlstore.Store
	clock *clock
	log   *logBuffer
	path  string
}

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func (c *clock) forward(d time.Duration) { c.t = c.t.Add(d) }

// ring is a key ring with one key.
type ring struct{}

func (ring) MACKey(context.Context) (uint32, []byte, error) { return 1, make([]byte, 32), nil }

func (ring) MACKeyByID(_ context.Context, id uint32) ([]byte, bool, error) {
	return make([]byte, 32), id == 1, nil
}

type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func master(id string, b byte) mfa.MasterKey {
	return mfa.NewMasterKey(id, [32]byte(bytes.Repeat([]byte{b}, 32)))
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, clock: &clock{time.Now().Truncate(time.Second)}, log: &logBuffer{},
		path: filepath.Join(t.TempDir(), "factors.db"),
	}
	var err error
	w.store, err = sqlstore.OpenSQLite(t.Context(), w.path, sqlstore.Config{Now: w.clock.now})
	must(t, err)
	t.Cleanup(func() { must(t, w.store.Close()) })
	w.Service, err = w.open(issuer, master("a", 1))
	must(t, err)
	return w
}

func (w *world) open(issuer string, masters ...mfa.MasterKey) (*mfa.Service, error) {
	return mfa.Open(w.Context(), mfa.Config{
		Store: w.store, Masters: masters, Seals: ring{}, Issuer: issuer, Now: w.clock.now,
		Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) want(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		w.Errorf("%s: %v, want %v", what, err, want)
	}
}

// code is what an app shows now.
func (w *world) code(secret string) string {
	w.Helper()
	code, err := mfatest.Code(secret, w.clock.t)
	must(w.T, err)
	return code
}

// enrolApp adds an app, and moves on so that its next code is a new one.
func (w *world) enrolApp(subject string) (secret string, added mfa.Added) {
	w.Helper()
	e, err := w.BeginTOTP(w.Context(), subject, "name of "+subject)
	must(w.T, err)
	added, err = w.ConfirmTOTP(w.Context(), subject, e.State, w.code(e.Secret), "phone")
	must(w.T, err)
	w.clock.forward(30 * time.Second)
	return e.Secret, added
}

// enrolPasskey adds a passkey, which the authenticator has from then on.
func (w *world) enrolPasskey(subject string) (*mfatest.Authenticator, mfa.Added) {
	w.Helper()
	a := mfatest.NewAuthenticator(issuer)
	e, err := w.BeginPasskey(w.Context(), subject, "name of "+subject)
	must(w.T, err)
	answer, err := a.Create(e.Options)
	must(w.T, err)
	added, err := w.FinishPasskey(w.Context(), subject, e.State, answer, "laptop")
	must(w.T, err)
	return a, added
}

// check presents something as a second factor.
func (w *world) check(subject string, p mfa.Presented) error {
	_, err := w.Check(w.Context(), subject, p)
	return err
}

// nothingLeaks checks that the log has none of these secrets.
func (w *world) nothingLeaks(secrets ...string) {
	w.Helper()
	for _, secret := range secrets {
		if secret == "" || strings.Contains(w.log.String(), secret) {
			w.Errorf("the log has the secret %q", secret)
		}
	}
}

// reopen opens the store again after it was closed.
func (w *world) reopen() {
	w.Helper()
	var err error
	w.store, err = sqlstore.OpenSQLite(w.Context(), w.path, sqlstore.Config{Now: w.clock.now})
	must(w.T, err)
}

// loginBy logs in by a passkey alone.
func (w *world) loginBy(a *mfatest.Authenticator) error {
	w.Helper()
	_, err := w.passBy(a)
	return err
}

func (w *world) passBy(a *mfatest.Authenticator) (mfa.Passed, error) {
	w.Helper()
	state, options, err := w.BeginLogin(w.Context())
	must(w.T, err)
	answer, err := a.Get(options)
	must(w.T, err)
	return w.FinishLogin(w.Context(), state, answer)
}
