package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// guards are one that shares memory with the issuer, and one that follows it over HTTP as services do.
func guards(t *testing.T, issuer *middlewaretest.Issuer, opts middleware.Options) map[string]*middleware.Guard {
	opts.Audience = "orders"
	remote, err := middleware.New(t.Context(), issuer.URL, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	return map[string]*middleware.Guard{"in memory": issuer.Guard(opts), "over HTTP": remote}
}

// watch opens a stream, as it were, with a new token of these claims.
func watch(t *testing.T, issuer *middlewaretest.Issuer, g *middleware.Guard, c token.Claims, opts ...middleware.Option) context.Context {
	t.Helper()
	claims, err := g.Verify(t.Context(), issuer.Mint(c), opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := g.Watch(t.Context(), claims, opts...)
	t.Cleanup(cancel)
	return ctx
}

// ends waits until ctx has ended, and checks why.
func ends(ctx context.Context, t *testing.T, what string, want error) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Fatalf("%s: goes on", what)
	}
	if cause := context.Cause(ctx); !errors.Is(cause, want) || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%s: ended by %v, want %v", what, cause, want)
	}
}

func goesOn(ctx context.Context, t *testing.T, what string) {
	t.Helper()
	if ctx.Err() != nil {
		t.Errorf("%s: ended by %v", what, context.Cause(ctx))
	}
}

func TestWatchEndsWithTheToken(t *testing.T) {
	for kind, name := range map[revocation.Kind]string{
		revocation.Session: "s1", revocation.Subject: "bob", revocation.Client: "web", revocation.Everything: "",
		revocation.Token: "of the token", revocation.Key: "of the token",
	} {
		for _, how := range []string{"in memory", "over HTTP"} {
			issuer := newIssuer(t)
			g := guards(t, issuer, middleware.Options{})[how]
			claims, err := g.Verify(t.Context(), issuer.Mint(token.Claims{SessionID: "s1", Subject: "bob", ClientID: "web"}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := g.Watch(t.Context(), claims)
			defer cancel()
			other := watch(t, issuer, g, token.Claims{Subject: "carol"})
			switch kind {
			case revocation.Token:
				name = claims.ID
			case revocation.Key:
				name = claims.KeyID
			}
			issuer.Revoke(kind, name)
			ends(ctx, t, how+", by "+kind.String(), token.ErrRevoked)
			if kind == revocation.Key || kind == revocation.Everything {
				ends(other, t, how+", another's, by "+kind.String(), token.ErrRevoked)
			} else {
				goesOn(other, t, how+", another's, by "+kind.String())
			}
		}
	}
}

func TestWatchEndsWithExpiry(t *testing.T) {
	issuer := newIssuer(t)
	for how, g := range guards(t, issuer, middleware.Options{Leeway: time.Second}) {
		claims, err := g.Verify(t.Context(), issuer.Mint(token.Claims{}))
		if err != nil {
			t.Fatal(err)
		}
		short := *claims
		short.ExpiresAt = time.Now().Truncate(time.Second)
		ctx, cancel := g.Watch(t.Context(), &short)
		defer cancel()
		began := time.Now()
		ends(ctx, t, how, token.ErrExpired)
		if alive := short.ExpiresAt.Add(time.Second); time.Now().Before(alive) {
			t.Errorf("%s: ended %v before the leeway was over", how, alive.Sub(began))
		}
	}
}

func TestWatchInAnOutage(t *testing.T) {
	issuer := newIssuer(t)
	g := issuer.Guard(middleware.Options{})
	closed, online := watch(t, issuer, g, token.Claims{}), watch(t, issuer, g, token.Claims{}, middleware.Online())
	stale := watch(t, issuer, g, token.Claims{}, middleware.Stale(time.Minute))
	strict := watch(t, issuer, g, token.Claims{}, middleware.Stale(time.Second))
	gone := watch(t, issuer, g, token.Claims{SessionID: "gone"}, middleware.Stale(time.Minute))

	issuer.Outage(2 * time.Second)
	ends(strict, t, "stricter", token.ErrUnavailable)
	goesOn(closed, t, "closed, within its bound")
	issuer.Outage(10 * time.Second)
	ends(closed, t, "closed", token.ErrUnavailable)
	ends(online, t, "online", token.ErrUnavailable)
	goesOn(stale, t, "stale, within its bound")
	issuer.Revoke(revocation.Session, "gone")
	ends(gone, t, "revoked", token.ErrRevoked)
	issuer.Outage(2 * time.Minute)
	ends(stale, t, "stale", token.ErrUnavailable)
}

// The same with an issuer that is really gone, and a guard that is closed.
func TestWatchWithoutTheIssuer(t *testing.T) {
	issuer := newIssuer(t)
	g := guards(t, issuer, middleware.Options{MaxStaleness: 3 * time.Second})["over HTTP"]
	closed := watch(t, issuer, g, token.Claims{})
	patient := watch(t, issuer, g, token.Claims{}, middleware.Stale(time.Hour))
	claims, err := g.Verify(t.Context(), issuer.Mint(token.Claims{}))
	if err != nil {
		t.Fatal(err)
	}
	issuer.Close()
	ends(closed, t, "issuer gone", token.ErrUnavailable)
	goesOn(patient, t, "issuer gone, but patient")
	g.Close()
	ends(patient, t, "guard closed", token.ErrUnavailable)
	late, cancel := g.Watch(t.Context(), claims, middleware.Stale(time.Hour))
	defer cancel()
	ends(late, t, "opened after that", token.ErrUnavailable)
}

type plainRevocations struct{ middleware.Revocations }

func TestWatchThatCannotBe(t *testing.T) {
	issuer := newIssuer(t)
	mirror := revocation.NewMirror(revocation.MirrorConfig{})
	plain, err := middleware.New(t.Context(), issuer.URL, middleware.Options{
		Audience: "orders", Keys: noKeys{}, Revocations: plainRevocations{mirror},
	})
	if err != nil {
		t.Fatal(err)
	}
	lazy, err := middleware.New(t.Context(), "http://127.0.0.1:1", middleware.Options{Audience: "orders", Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lazy.Close)
	for name, g := range map[string]*middleware.Guard{"no revocations to watch": plain, "no issuer yet": lazy} {
		ctx, cancel := g.Watch(t.Context(), &token.Claims{ExpiresAt: time.Now().Add(time.Hour)})
		ends(ctx, t, name, token.ErrUnavailable)
		cancel()
	}
}

func TestWatchEndsWithItsParent(t *testing.T) {
	issuer := newIssuer(t)
	for how, g := range guards(t, issuer, middleware.Options{}) {
		claims, err := g.Verify(t.Context(), issuer.Mint(token.Claims{SessionID: how}))
		if err != nil {
			t.Fatal(err)
		}
		parent, stop := context.WithCancelCause(t.Context())
		child, cancel := g.Watch(parent, claims)
		stop(http.ErrServerClosed)
		ends(child, t, how+", parent", http.ErrServerClosed)
		cancel()
		own, cancel := g.Watch(t.Context(), claims)
		cancel()
		issuer.Revoke(revocation.Session, how)
		ends(own, t, how+", cancelled", context.Canceled)
	}
}

// silence is a feed that proves itself once.
type silence struct{ heard chan struct{} }

func (f silence) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	if err := apply(revocation.Batch{Position: revocation.Position{Epoch: "e", Seq: 1}, AsOf: time.Now()}); err != nil {
		return err
	}
	close(f.heard)
	<-ctx.Done()
	return ctx.Err()
}

// Nothing is left of a stream that is over.
func TestWatchLeavesNothing(t *testing.T) {
	mirror := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	feed, done := silence{make(chan struct{})}, make(chan error)
	go func() { done <- mirror.Run(ctx, feed) }()
	<-feed.heard
	g, err := middleware.New(t.Context(), "https://issuer.test", middleware.Options{Audience: "orders", Keys: noKeys{}, Revocations: mirror})
	if err != nil {
		t.Fatal(err)
	}
	claims := &token.Claims{ID: "a", SessionID: "s", ExpiresAt: time.Now().Add(time.Hour)}
	for range 10 {
		stream, cancel := g.Watch(t.Context(), claims)
		goesOn(stream, t, "nothing has happened")
		if n := mirror.Watching(); n != 1 {
			t.Errorf("%d are watched", n)
		}
		cancel()
		if n := mirror.Watching(); n != 0 {
			t.Errorf("%d are watched after the end", n)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Only where a route asks for it does the context of its requests end, and the claims are in it all the same.
func TestWhileValid(t *testing.T) {
	issuer := newIssuer(t)
	g := issuer.Guard(middleware.Options{})
	var seen context.Context
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := middleware.ClaimsFrom(r.Context())
		if !ok {
			t.Error("no claims")
			return
		}
		seen = r.Context()
		issuer.Revoke(revocation.Session, claims.SessionID)
		if err := context.Cause(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	})
	for _, c := range []struct {
		opts []middleware.Option
		want int
	}{{nil, http.StatusOK}, {[]middleware.Option{middleware.WhileValid()}, http.StatusTeapot}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Mint(token.Claims{}))
		w := httptest.NewRecorder()
		g.Handler(h, c.opts...).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("with %d options: %d %s", len(c.opts), w.Code, w.Body)
		}
		if len(c.opts) > 0 {
			ends(seen, t, "behind", token.ErrRevoked)
		}
	}
}
