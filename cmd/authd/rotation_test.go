package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// fastestRotation is as quick as the rules of package keys allow with a JWKS cached for a second.
var fastestRotation = []string{
	"--rotate-every=2s", "--publish-ahead=1900ms", "--jwks-max-age=1s", "--jwks-overstay=1ms", "--view-age=700ms",
	"--skew=100ms", "--access-ttl=4s", "--refresh-grace=2s", "--leeway=1s",
}

// Keys rotate every two seconds while an independent client that caches the JWKS exactly as long as it is told verifies
// all the time: no valid token is ever rejected, and the client never has to guess that a key is new.
func TestRotationRejectsNoValidToken(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), append(fastestRotation, "--demo")...)
	keySet := &honestCache{url: s.URL + "/.well-known/jwks.json"}
	verifier := oidc.NewVerifier(s.URL, keySet, &oidc.Config{ClientID: "authd", SupportedSigningAlgs: []string{"ES256"}})

	current := s.login(t, demoUser, demoPassword)
	kids := map[string]bool{}
	verified := 0
	for start := time.Now(); time.Since(start) < 20*time.Second; {
		var status int
		if current, status = s.refresh(t, current.RefreshToken); status != http.StatusOK {
			t.Fatalf("refresh: %d", status)
		}
		// A token is verified when it is new and when it is about to expire: keys must be known before and kept after.
		for range 3 {
			if _, err := verifier.Verify(t.Context(), current.AccessToken); err != nil {
				t.Fatalf("after %v and %d keys, a valid token was rejected: %v", time.Since(start), len(kids), err)
			}
			if got := s.verify(t, current.AccessToken); got != http.StatusOK {
				t.Fatalf("forward-auth answered %d to a valid token", got)
			}
			verified++
			wait(t, 300*time.Millisecond)
		}
		kids[keyID(t, current.AccessToken)] = true
	}
	if len(kids) < 5 {
		t.Errorf("only %d keys signed in 20 s: rotation did not happen", len(kids))
	}
	t.Logf("%d verifications over %d keys, %d fetches of the JWKS", verified, len(kids), keySet.fetches)
}

// wait lets time pass that the subject of a test, not its synchronization, needs.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// honestCache is a key set that is fetched when its max-age is over and at no other time.
type honestCache struct {
	url string

	mu      sync.Mutex
	keys    *oidc.StaticKeySet
	expires time.Time
	fetches int
}

func (c *honestCache) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.expires) {
		if err := c.fetch(ctx); err != nil {
			return nil, err
		}
	}
	return c.keys.VerifySignature(ctx, jwt)
}

func (c *honestCache) fetch(ctx context.Context) error {
	c.fetches++
	asked := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("JWKS: %s", resp.Status)
	}
	maxAge, err := maxAge(resp.Header.Get("Cache-Control"))
	if err != nil {
		return err
	}
	c.keys, err = publicKeys(resp.Body)
	c.expires = asked.Add(maxAge)
	return err
}

func maxAge(cacheControl string) (time.Duration, error) {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(directive), "max-age="); ok {
			seconds, err := strconv.Atoi(v)
			return time.Duration(seconds) * time.Second, err
		}
	}
	return 0, errors.New("the JWKS has no max-age")
}
