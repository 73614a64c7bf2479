package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

// A check's error is told to the observer and not to the client, and is never taken for one of the guard's.
func TestCheckRefuses(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	var seen recorder
	guard := issuer.Guard(middleware.Options{Observer: &seen})
	raw := issuer.Mint(token.Claims{})
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"refuses":                     {errors.New("of another tenant"), 403},
		"like an expired token":       {token.ErrExpired, 403},
		"like a step-up":              {middleware.ErrInsufficientAuthentication, 403},
		"unavailable":                 {fmt.Errorf("the database: %w", token.ErrUnavailable), 503},
		"unavailable and expired":     {errors.Join(token.ErrExpired, token.ErrUnavailable), 503},
		"late":                        {fmt.Errorf("the database: %w", context.DeadlineExceeded), 503},
		"late on the network":         {os.ErrDeadlineExceeded, 503},
		"given up":                    {context.Canceled, 503},
		"refuses, and is a net error": {&net0{}, 403},
	} {
		w := ask(guard, []string{"Bearer " + raw}, middleware.Check(func(context.Context, *token.Claims) error { return c.err }))
		if w.Code != c.want || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d with the header %v, want %d", name, w.Code, w.Header(), c.want)
		}
		checkProblem(t, w)
		if strings.Contains(w.Body.String(), c.err.Error()) {
			t.Errorf("%s: the client is told %s", name, w.Body)
		}
		if d := seen.last(); !errors.Is(d.Err, c.err) || errors.Is(d.Err, middleware.ErrForbidden) != (c.want == 403) {
			t.Errorf("%s: observed %+v", name, d)
		}
	}
}

// net0 is an error that could be a timeout and says that it is none.
type net0 struct{}

func (*net0) Error() string { return "connection refused" }
func (*net0) Timeout() bool { return false }

// Checks are asked in order, and only about what is good otherwise.
func TestChecksComeLast(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	var asked []string
	check := func(name string, err error) middleware.Option {
		return middleware.Check(func(_ context.Context, c *token.Claims) error {
			asked = append(asked, name+" about "+c.Subject)
			return err
		})
	}
	opts := []middleware.Option{
		check("first", nil), check("second", errors.New("no")), check("third", nil), middleware.Scopes("write"), middleware.ACR("gold"),
	}
	for _, raw := range []string{
		"garbage", issuer.MintExpired(token.Claims{}), issuer.Mint(token.Claims{ACR: "gold"}), issuer.Mint(token.Claims{Scope: "write"}),
	} {
		if status := statusOf(guard, raw, opts...); status == http.StatusOK || asked != nil {
			t.Errorf("answered %d, asked %q", status, asked)
		}
	}
	good := issuer.Mint(token.Claims{Subject: "bob", Scope: "write", ACR: "gold"})
	if status := statusOf(guard, good, opts...); status != http.StatusForbidden {
		t.Errorf("answered %d", status)
	}
	if have := strings.Join(asked, ", "); have != "first about bob, second about bob" {
		t.Errorf("asked %s", have)
	}
}

// A check finds the request where there is one, whatever else is in its context.
func TestRequestFrom(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	raw := issuer.Mint(token.Claims{})
	check := middleware.Check(func(ctx context.Context, _ *token.Claims) error {
		r, ok := middleware.RequestFrom(ctx)
		if !ok || r.PathValue("owner") != "alice" || ctx.Value(outer{}) != "outer" {
			return errors.New("no")
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("/of/{owner}", guard.Handler(http.HandlerFunc(whoami), check))
	for path, want := range map[string]int{"/of/alice": 200, "/of/bob": 403} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), outer{}, "outer")))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if _, err := guard.Verify(t.Context(), raw, check); !errors.Is(err, middleware.ErrForbidden) {
		t.Errorf("without a request: %v", err)
	}
}

type outer struct{}

// A check that panics lets nobody through, and what it panics with is not logged, as it may be anything.
func TestCheckPanics(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	var log bytes.Buffer
	var seen recorder
	guard := issuer.Guard(middleware.Options{Observer: &seen, Log: slog.New(slog.NewTextHandler(&log, nil))})
	raw := issuer.Mint(token.Claims{})
	for name, c := range map[string]struct {
		check  middleware.CheckFunc
		logged string
	}{
		"with a secret": {func(ctx context.Context, _ *token.Claims) error {
			r, _ := middleware.RequestFrom(ctx)
			panic(r.Header.Get("Authorization"))
		}, "panic=string"},
		"by mistake": {func(_ context.Context, c *token.Claims) error { return errors.New(c.Audience[len(c.Roles)+1]) }, "index out of range"},
		"nil":        {nil, "nil pointer"},
	} {
		log.Reset()
		w := ask(guard, []string{"Bearer " + raw}, middleware.Check(c.check))
		if w.Code != http.StatusServiceUnavailable || seen.last().Outcome != middleware.Unavailable {
			t.Errorf("%s: %d, observed %+v", name, w.Code, seen.last())
		}
		if !strings.Contains(log.String(), c.logged) || !strings.Contains(log.String(), "check_test.go") && c.check != nil {
			t.Errorf("%s: logged %s", name, log.String())
		}
		if said := log.String() + w.Body.String() + seen.last().Err.Error(); strings.Contains(said, raw[:20]) {
			t.Errorf("%s: the token is in %s", name, said)
		}
	}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("a check that aborts the request: %v", v)
		}
	}()
	ask(guard, []string{"Bearer " + raw}, middleware.Check(func(context.Context, *token.Claims) error { panic(http.ErrAbortHandler) }))
}
