package keys_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/hostileissuer"
)

// tagged is publish with an ETag.
func tagged(etag string, page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		page(w, r)
	}
}

// What is confirmed is what the issuer publishes, and was not got from a cache on the way.
func TestRemoteConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, tagged(`"one"`, publish("600", "a")))
		r := issuer.follow(t, keys.RemoteConfig{})
		issuer.take()
		confirm := func(want string, fetches int) {
			t.Helper()
			if etag, err := r.Confirm(t.Context()); etag != want || err != nil {
				t.Errorf("confirmed %q, %v; want %q", etag, err, want)
			}
			requests := issuer.take()
			if len(requests) != fetches {
				t.Errorf("%d fetches, want %d", len(requests), fetches)
			}
			for _, q := range requests {
				if q.header.Get("Cache-Control") != "no-cache" {
					t.Errorf("a cache may answer: %v", q.header)
				}
			}
		}
		confirm(`"one"`, 0) // it was fetched a moment ago
		time.Sleep(time.Minute)
		issuer.now(tagged(`"two"`, publish("600", "a", "b")))
		confirm(`"two"`, 1)
		confirm(`"two"`, 0)
		wantVerdict(t, r, "b", "known")
	})
}

// Without an answer of the issuer nothing is confirmed, in bounded time, though there is a set to verify with.
func TestRemoteCannotConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		took   time.Duration
	}{
		"an error": {hostileissuer.Says(http.StatusBadGateway, ""), 0},
		"silence":  {hostileissuer.Hang, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newRemoteIssuer(t, tagged(`"one"`, publish("600", "a")))
				r := issuer.follow(t, keys.RemoteConfig{})
				time.Sleep(time.Minute)
				issuer.now(c.answer)
				began := time.Now()
				etag, err := r.Confirm(t.Context())
				if etag != "" || !errors.Is(err, keys.ErrUnavailable) || time.Since(began) != c.took {
					t.Errorf("confirmed %q, %v, after %v", etag, err, time.Since(began))
				}
				wantVerdict(t, r, "a", "known")
			})
		})
	}
}
