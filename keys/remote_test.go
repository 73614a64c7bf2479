package keys_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/hostileissuer"
)

// verdict is what a Remote says about a kid, in one word.
func verdict(t *testing.T, r *keys.Remote, kid string) string {
	t.Helper()
	key, known, err := r.VerificationKey(t.Context(), kid, "EdDSA")
	switch {
	case errors.Is(err, keys.ErrUnavailable) && !known && key == nil:
		return "unavailable"
	case err != nil:
		t.Fatalf("VerificationKey(%q): %v", kid, err)
	case !known && key == nil:
		return "unknown"
	case known && okp(kid).Equal(key.(ed25519.PublicKey)):
		return "known"
	}
	t.Fatalf("VerificationKey(%q) = %v, %v, %v", kid, key, known, err)
	return ""
}

func wantVerdict(t *testing.T, r *keys.Remote, kid, want string) {
	t.Helper()
	if have := verdict(t, r, kid); have != want {
		t.Errorf("%s: kid %q is %s, want %s (%v)", time.Now().Format(time.TimeOnly), kid, have, want, r.Status().Err)
	}
}

func TestRemoteConfigIsChecked(t *testing.T) {
	const ok = "https://issuer.test/jwks.json"
	for want, cfg := range map[string]keys.RemoteConfig{
		"absolute http":    {URL: "/jwks.json"},
		"http or https":    {URL: "file:///etc/jwks.json"},
		"JWKS URL":         {URL: "http://[::1"},
		"user information": {URL: "https://user:hunter2@issuer.test/jwks.json"},
		"negative":         {URL: ok, Wait: -time.Second},
		"MaxAge":           {URL: ok, MaxAge: time.Second},
		"MaxRefresh":       {URL: ok, MaxRefresh: 2 * time.Hour},
	} {
		if _, err := keys.NewRemote(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: have %v, want an error with %q", cfg, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("password in %q", err)
		}
	}
	if _, err := keys.NewRemote(keys.RemoteConfig{URL: ok}); err != nil {
		t.Error(err)
	}
}

func TestRemoteAnswersByKidAndAlgorithm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemoteIssuer(t, publish("60", "a", "b")).follow(t, keys.RemoteConfig{})
		wantVerdict(t, r, "a", "known")
		wantVerdict(t, r, "b", "known")
		for _, alg := range []string{"", "none", "ES256", "HS256"} {
			if key, known, err := r.VerificationKey(t.Context(), "a", alg); key != nil || known || err != nil {
				t.Errorf("alg %q: have %v, %v, %v", alg, key, known, err)
			}
		}
		if st := r.Status(); !st.Usable || !slices.Equal(st.KeyIDs, []string{"a", "b"}) || st.Err != nil || !st.AsOf.Equal(time.Now()) {
			t.Errorf("status %+v", st)
		}
	})
}

// The set is fetched again before its max-age ends, within the bounds, and less what it spent in a cache.
func TestRemoteRefreshesByMaxAge(t *testing.T) {
	for name, c := range map[string]struct {
		maxAge, spent     string
		shortest, longest time.Duration
	}{
		"max-age":            {"60", "", 48 * time.Second, 57 * time.Second},
		"less Age":           {"90", "30", 48 * time.Second, 57 * time.Second},
		"none given":         {"", "", 4 * time.Minute, 285 * time.Second},
		"not a number":       {"soon", "", 4 * time.Minute, 285 * time.Second},
		"longer than bound":  {"604800", "", 8 * time.Minute, 570 * time.Second},
		"shorter than bound": {"0", "", 500 * time.Millisecond, 500 * time.Millisecond},
		"older than max-age": {"60", "4000", 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := publish(c.maxAge, "a")
				issuer := newRemoteIssuer(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Age", c.spent)
					page(w, r)
				})
				r := issuer.follow(t, keys.RemoteConfig{})
				time.Sleep(20 * c.longest)
				requests := issuer.take()
				for i := range requests[1:] {
					if d := requests[i+1].at.Sub(requests[i].at); d < c.shortest || d > c.longest {
						t.Errorf("refreshed after %v, want %v to %v", d, c.shortest, c.longest)
					}
				}
				if len(requests) < 20 {
					t.Errorf("%d fetches in %v", len(requests), 20*c.longest)
				}
				wantVerdict(t, r, "a", "known")
			})
		})
	}
}

// A slow answer is as old as its question.
func TestRemoteAgeCountsFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := newRemoteIssuer(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			publish("60", "a")(w, r)
		}).follow(t, keys.RemoteConfig{})
		<-r.Ready()
		if asOf := r.Status().AsOf; !asOf.Equal(start) {
			t.Errorf("as of %v after the request", asOf.Sub(start))
		}
	})
}

func TestRemoteAsksWhetherTheSetChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			publish("60", "a")(w, r)
		})
		r := issuer.follow(t, keys.RemoteConfig{})
		whole := 0
		issuer.now(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") == `"v1"` {
				w.Header().Set("Cache-Control", "max-age=60")
				w.WriteHeader(http.StatusNotModified)
				return
			}
			whole++
			w.Header().Set("ETag", `"v1"`)
			publish("60", "a")(w, r)
		})
		time.Sleep(125 * time.Minute) // longer than MaxAge: each 304 renews the trust
		wantVerdict(t, r, "a", "known")
		if whole != 4 {
			t.Errorf("the whole set was fetched %d times in two hours, want every half of MaxAge", whole)
		}
		if st := r.Status(); time.Since(st.AsOf) > time.Minute {
			t.Errorf("as of %v ago", time.Since(st.AsOf))
		}
	})
}

// A key that signs at once, without having been published ahead, costs its first request one fetch.
func TestRemoteFetchesForAnUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("600", "a"))
		r := issuer.follow(t, keys.RemoteConfig{})
		time.Sleep(6 * time.Second)
		issuer.now(publish("600", "a", "b"))
		issuer.take()
		wantVerdict(t, r, "b", "known")
		requests := issuer.take()
		if len(requests) != 1 || requests[0].header.Get("Cache-Control") != "no-cache" {
			t.Errorf("requests %v, want one past the caches", requests)
		}
	})
}

func TestRemoteForgetsAWithdrawnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("60", "a", "b"))
		r := issuer.follow(t, keys.RemoteConfig{})
		wantVerdict(t, r, "a", "known")
		issuer.now(publish("60", "b"))
		time.Sleep(time.Minute)
		wantVerdict(t, r, "a", "unknown")
		wantVerdict(t, r, "b", "known")
	})
}

// With an issuer that is down from the start nothing is known and nothing is refused; it recovers by itself.
func TestRemoteColdStart(t *testing.T) {
	for name, dead := range map[string]http.HandlerFunc{
		"failing": hostileissuer.Says(http.StatusServiceUnavailable, "starting"),
		"hanging": hostileissuer.Hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newRemoteIssuer(t, dead)
				r := issuer.follow(t, keys.RemoteConfig{})
				start := time.Now()
				wantVerdict(t, r, "a", "unavailable")
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("waited %v", waited)
				}
				time.Sleep(time.Minute)
				if n := len(issuer.take()); n < 3 || n > 20 {
					t.Errorf("%d tries in the first minute", n)
				}
				select {
				case <-r.Ready():
					t.Error("ready without a set")
				default:
				}
				issuer.now(publish("60", "a"))
				start = time.Now()
				<-r.Ready()
				if waited := time.Since(start); waited > 40*time.Second {
					t.Errorf("recovered after %v", waited)
				}
				wantVerdict(t, r, "a", "known")
			})
		})
	}
}

// A cut-off verifier trusts its keys for MaxAge, by whichever clock runs faster, and then says that it cannot tell.
func TestRemoteHardMaximumAge(t *testing.T) {
	const maxAge = 10 * time.Minute
	setup := func(t *testing.T, now func() time.Time) (*remoteIssuer, *keys.Remote) {
		issuer := newRemoteIssuer(t, publish("60", "a"))
		r := issuer.follow(t, keys.RemoteConfig{MaxAge: maxAge, Now: now})
		issuer.now(hostileissuer.Hang)
		return issuer, r
	}
	t.Run("monotonic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			issuer, r := setup(t, nil)
			time.Sleep(maxAge - 10*time.Second)
			wantVerdict(t, r, "a", "known")
			time.Sleep(10 * time.Second)
			wantVerdict(t, r, "a", "unavailable")
			wantVerdict(t, r, "b", "unavailable")
			if st := r.Status(); st.Usable || st.Err == nil || !st.AsOf.IsZero() {
				t.Errorf("status %+v", st)
			}
			issuer.now(publish("60", "a"))
			time.Sleep(40 * time.Second)
			wantVerdict(t, r, "a", "known")
		})
	})
	t.Run("wall clock after sleep", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var slept atomic.Int64 // on the wall clock only
			_, r := setup(t, func() time.Time { return time.Now().Round(0).Add(time.Duration(slept.Load())) })
			time.Sleep(time.Second)
			slept.Store(int64(time.Hour))
			time.Sleep(11 * time.Second)
			wantVerdict(t, r, "a", "unavailable")
		})
	})
}

func TestRemoteAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("60", "a"))
		transport := issuer.Transport()
		r, err := keys.NewRemote(keys.RemoteConfig{URL: issuer.URL, Client: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, r, "a", "unavailable") // before Run, after Wait
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-r.Ready()
			cancel()
		}()
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		transport.CloseIdleConnections()
		start := time.Now()
		wantVerdict(t, r, "a", "unavailable")
		if time.Since(start) != 0 {
			t.Error("a stopped client was waited for")
		}
	})
}
