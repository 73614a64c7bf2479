package redisstore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// A refresh is one round trip, whether it rotates or answers a retry, and a refused one is too.
func TestRefreshIsOneRoundTrip(t *testing.T) {
	proxy := testenv.NewProxy(t, testenv.Redis(t))
	var sent atomic.Int64
	proxy.Inspect(func([]byte) { sent.Add(1) }) // a client writes all of a round trip at once
	store := newStore(t, Config{Client: testenv.ConnectRedis(t, proxy.Addr)})
	for name, grace := range map[string]time.Duration{"rotated": time.Microsecond, "replayed": time.Minute} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, store, session.Limits{Grace: grace})
			g, err := s.Login(t.Context(), session.LoginRequest{Username: "alice"})
			if err != nil {
				t.Fatal(err)
			}
			refresh := func() (err error) {
				next, err := s.Refresh(t.Context(), g.RefreshToken, session.Use{})
				if err == nil {
					g = next
				}
				return err
			}
			if err := refresh(); err != nil { // the server gets the script
				t.Fatal(err)
			}
			for range 3 {
				before := sent.Load()
				if err := refresh(); err != nil || g.Outcome.String() != name {
					t.Fatalf("%v, %v; want %s", g.Outcome, err, name)
				}
				if trips := sent.Load() - before; trips != 1 {
					t.Errorf("%d round trips, want one", trips)
				}
			}
			if err := s.EndSessions(t.Context(), g.Session.ID); err != nil {
				t.Fatal(err)
			}
			before := sent.Load()
			if err := refresh(); err == nil {
				t.Error("an ended session was refreshed")
			}
			if trips := sent.Load() - before; trips != 1 {
				t.Errorf("%d round trips for an ended session, want one", trips)
			}
		})
	}
}

// newService returns a service that keeps nothing but sessions.
func newService(t *testing.T, store session.Store, l session.Limits) *session.Service {
	t.Helper()
	s, err := session.NewService(session.ServiceConfig{
		Store: store, Accounts: anybody{}, Tokens: unsigned{}, MACKeys: oneKey{}, Limits: l,
		Revocations: nowhere{}, Mirror: knowsAll{revocation.NewMirror(revocation.MirrorConfig{})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// anybody has an account of every name, with any password.
type anybody struct{}

func (anybody) Authenticate(_ context.Context, username, _ string) (identity.Account, error) {
	return identity.Account{Subject: username, Username: username}, nil
}

func (a anybody) Account(ctx context.Context, subject string) (identity.Account, error) {
	return a.Authenticate(ctx, subject, "")
}

type unsigned struct{}

func (unsigned) Issue(_ context.Context, c token.Claims) (string, token.Claims, error) {
	c.ExpiresAt = time.Now().Add(time.Minute)
	return "token", c, nil
}

type oneKey struct{}

func (oneKey) MACKey(context.Context) (uint32, []byte, error) { return 1, make([]byte, 32), nil }

func (oneKey) MACKeyByID(context.Context, uint32) ([]byte, bool, error) {
	return make([]byte, 32), true, nil
}

type nowhere struct{}

func (nowhere) Add(context.Context, ...revocation.Entry) error { return nil }

// knowsAll is a mirror that is always fresh.
type knowsAll struct{ *revocation.Mirror }

func (m knowsAll) Check(ctx context.Context, c revocation.Claims) error {
	if err := m.Mirror.Check(ctx, c); errors.Is(err, revocation.ErrRevoked) {
		return err
	}
	return nil
}
