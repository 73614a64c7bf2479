package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
)

// fireVerifier verifies as one kind of service does.
type fireVerifier struct {
	name string
	// verify returns nil for a good token, and an error that wraps errOutage where the verifier has no keys to tell by.
	verify func(ctx context.Context, raw string) error
	// holds tells whether the verifier has the key; nil where that cannot be seen.
	holds func(kid string) bool

	verified, unavailable atomic.Int64
}

// errOutage is no verdict on the token.
var errOutage = errors.New("it cannot be told")

// oidcVerifier is go-oidc with a cache of the JWKS that does as it is told.
func oidcVerifier(f *front) *fireVerifier {
	cache := &honestCache{url: f.URL + "/.well-known/jwks.json"}
	return &fireVerifier{name: "go-oidc", verify: func(ctx context.Context, raw string) error {
		keySet := &frankCache{cache: cache}
		_, err := oidc.NewVerifier(f.URL, keySet, &oidc.Config{ClientID: "authd", SupportedSigningAlgs: []string{"ES256"}}).Verify(ctx, raw)
		if keySet.outage != nil {
			return fmt.Errorf("%w: %w", errOutage, keySet.outage)
		}
		return err
	}}
}

// frankCache tells apart that there are no keys and that a token is bad.
type frankCache struct {
	cache  *honestCache
	outage error
}

// VerifySignature implements go-oidc's KeySet.
func (c *frankCache) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	set, err := c.cache.current(ctx)
	if err != nil {
		c.outage = err
		return nil, err
	}
	return set.VerifySignature(ctx, jwt)
}

// current returns the keys, fetched if the last ones are too old.
func (c *honestCache) current(ctx context.Context) (*oidc.StaticKeySet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.expires) {
		if err := c.fetch(ctx); err != nil {
			return nil, err
		}
	}
	return c.keys, nil
}

// joseVerifier is npm's jose, told to keep the JWKS for its max-age, and not to look again for an unknown kid.
func joseVerifier(t *testing.T, f *front) *fireVerifier {
	t.Helper()
	node := testenv.Jose(t, fmt.Sprintf(`{"cacheMaxAge": %d}`, fireMaxAge.Milliseconds()))
	outages := []string{"ERR_JWKS_TIMEOUT", "ERR_JOSE_GENERIC", "fetch failed"}
	return &fireVerifier{name: "jose", verify: func(_ context.Context, raw string) error {
		_, err := node.Verify(f.URL, "authd", raw)
		if err != nil && slices.Contains(outages, err.Error()) {
			return fmt.Errorf("%w: %w", errOutage, err)
		}
		return err
	}}
}

// guardVerifier is a service behind the middleware. Its copy of the revocations may be old: keys are what counts here.
func guardVerifier(t *testing.T, f *front) *fireVerifier {
	t.Helper()
	guard, err := middleware.New(context.Background(), f.URL, middleware.Options{Audience: "authd", StartTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	service := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), middleware.Stale(time.Hour))
	return &fireVerifier{
		name: "middleware",
		verify: func(_ context.Context, raw string) error {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+raw)
			service.ServeHTTP(w, r)
			return verdict(w.Code, w.Body.String())
		},
		holds: func(kid string) bool { return slices.Contains(guard.Status().Keys.KeyIDs, kid) },
	}
}

// forwardAuth asks authd itself.
func forwardAuth(f *front) *fireVerifier {
	return &fireVerifier{name: "forward-auth", verify: func(ctx context.Context, raw string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/v1/verify", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+raw)
		resp, err := f.client.Do(req)
		if err != nil {
			return fmt.Errorf("%w: %w", errOutage, err)
		}
		defer resp.Body.Close()
		return verdict(resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}}
}

func verdict(status int, detail string) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", errOutage, strings.TrimSpace(detail))
	}
	return fmt.Errorf("status %d: %s", status, strings.TrimSpace(detail))
}
