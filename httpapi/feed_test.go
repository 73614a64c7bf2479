package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

// A mirror in another process learns of a logout through the public listener.
func TestRevocationsReachAnotherMirror(t *testing.T) {
	e := newEnv(t)
	client, err := httpfeed.NewClient(e.publicURL+"/v1/revocations", nil)
	must(t, err)
	other := revocation.NewMirror(revocation.MirrorConfig{})
	runner(t)(func(ctx context.Context) error { return other.Run(ctx, client) })
	await(t, "a fresh mirror", func() bool { return other.Status().Fresh })
	g := e.loginAlice()
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}), http.StatusNoContent)
	await(t, "revocation in the other mirror", func() bool { return other.Status().Entries[revocation.Session] == 1 })
}

// A stream outlives the time limits of other answers.
func TestStreamOutlivesTheTimeLimits(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Limits.ReadTimeout, c.Limits.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	}})
	resp, err := e.http.Do(e.newRequest(e.publicURL, request{method: "GET", path: "/v1/revocations"}))
	must(t, err)
	defer resp.Body.Close()
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	began, buf := time.Now(), make([]byte, 4<<10)
	for time.Since(began) < 500*time.Millisecond { // events come several times a second
		if _, err := resp.Body.Read(buf); err != nil {
			t.Fatalf("the stream ended after %v: %v", time.Since(began), err)
		}
	}
}

func TestFeedRefusals(t *testing.T) {
	e := newEnv(t)
	for _, r := range []request{
		{method: "GET", path: "/v1/revocations?after=nonsense"},
		{method: "GET", path: "/v1/revocations", header: http.Header{"Last-Event-Id": {"a b c"}}},
	} {
		wantProblem(t, e.do(r), http.StatusBadRequest, "bad_request")
	}
	full := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Feed = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "full", http.StatusServiceUnavailable) })
	}})
	a := full.do(request{method: "GET", path: "/v1/revocations"})
	wantProblem(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
	broken := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Feed = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "MARK", http.StatusInternalServerError) })
	}})
	wantProblem(t, broken.do(request{method: "GET", path: "/v1/revocations"}), http.StatusInternalServerError, "internal")
}
