package hostileissuer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/authd-project/authd/keys/hostileissuer"
)

// play runs a scenario where time costs nothing.
func play(t *testing.T, s hostileissuer.Scenario, start hostileissuer.Start) (o hostileissuer.Outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if o, err = s.Run(t.Context(), hostileissuer.Pipes(), start); err != nil {
			t.Fatal(err)
		}
	})
	return o
}

func TestEveryScenarioIsTold(t *testing.T) {
	var names []string
	for _, s := range hostileissuer.Scenarios() {
		if s.Name == "" || s.Issuer == "" || s.Client == "" || strings.ContainsAny(s.Name+s.Issuer, "|\n") {
			t.Errorf("%q is not told, or not in a table", s.Name)
		}
		if slices.Contains(names, s.Name) {
			t.Errorf("two are called %q", s.Name)
		}
		names = append(names, s.Name)
	}
}

// One that asks for every token passes where that is all it takes, and nowhere else.
func TestNaiveClientFails(t *testing.T) {
	passes := []string{
		"rotates", "unannounced key", "key withdrawn", "max-age of a year", "ETag never changes", "wrong content type",
		"point off the curve", "member missing", "empty key", "two keys with one kid", "symmetric key",
		"cold start: dead", "cold start: failing", "cold start: empty set", "cold start: 304",
	}
	for _, s := range hostileissuer.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if o := play(t, s, startNaive); o.Passed() != slices.Contains(passes, s.Name) {
				t.Errorf("%s (%d requests, %d bytes, %v)", o, o.Requests, o.Sent, o.LongestWait)
			}
		})
	}
}

// On real connections it is no different.
func TestOnLoopback(t *testing.T) {
	hostileissuer.Test(t, startNaive, "unannounced key", "key withdrawn", "wrong content type", "cold start: failing")
}

type verifierFunc func(context.Context, string) error

func (f verifierFunc) Verify(ctx context.Context, raw string) error { return f(ctx, raw) }

// Nobody passes by refusing everything.
func TestRefusingAllFails(t *testing.T) {
	refuseAll := verifierFunc(func(context.Context, string) error { return errors.New("no") })
	for _, s := range hostileissuer.Scenarios() {
		o := play(t, s, func(context.Context, hostileissuer.Settings) (hostileissuer.Verifier, error) { return refuseAll, nil })
		if o.Passed() {
			t.Errorf("%s: %s", s.Name, o)
		}
	}
}

// A client that cannot be started, hangs or panics is a fault of its own, not of the kit.
func TestBrokenClients(t *testing.T) {
	honest := hostileissuer.Scenarios()[0]
	for want, start := range map[string]hostileissuer.Start{
		"refused": func(context.Context, hostileissuer.Settings) (hostileissuer.Verifier, error) {
			return nil, errors.New("no")
		},
		"refused after": func(context.Context, hostileissuer.Settings) (hostileissuer.Verifier, error) {
			return verifierFunc(func(ctx context.Context, _ string) error {
				<-ctx.Done()
				return ctx.Err()
			}), nil
		},
		"good token": func(context.Context, hostileissuer.Settings) (hostileissuer.Verifier, error) {
			return verifierFunc(func(context.Context, string) error { panic("oh") }), nil
		},
	} {
		if o := play(t, honest, start); o.Passed() || !strings.Contains(o.Fault, want) {
			t.Errorf("want %q, have %s", want, o)
		}
	}
}

// A client is closed when the scenario is over, and its context ended before.
func TestClientIsClosed(t *testing.T) {
	var closed atomic.Bool
	play(t, hostileissuer.Scenarios()[0], func(ctx context.Context, _ hostileissuer.Settings) (hostileissuer.Verifier, error) {
		return closer{ctx, &closed}, nil
	})
	if !closed.Load() {
		t.Error("the client was left open")
	}
}

type closer struct {
	ctx    context.Context //nolint:containedctx // to see it end
	closed *atomic.Bool
}

func (c closer) Verify(context.Context, string) error { return errors.New("no") }

func (c closer) Close() error {
	<-c.ctx.Done()
	c.closed.Store(true)
	return nil
}
