package keys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/hostileissuer"
)

// After a good set, an answer that is none leaves the known key at work, without any wait, and a kid that is not in the set
// neither accepted nor refused. When the issuer comes to its senses, so does the client. TestRemoteWithstandsHostileIssuers
// has more such answers; here it is seen to the second, and that it is told.
func TestRemoteKeepsTheLastGoodSet(t *testing.T) {
	good := publish("60", "a")
	for name, bad := range map[string]http.HandlerFunc{
		"no keys":             hostileissuer.Says(200, `{"keys":[]}`),
		"no content":          hostileissuer.Says(204, ``),
		"set with status 404": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); publish("60", "a", "b")(w, r) },
		"unasked for 304":     hostileissuer.Says(304, ``),
		"only bad keys":       hostileissuer.Says(200, `{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`),
		"hanging":             hostileissuer.Hang,
		"endless":             hostileissuer.Padded(1<<30, ""),
		"too long header":     hostileissuer.With("X", strings.Repeat("x", 100<<10), good),
		"other port":          http.RedirectHandler("http://issuer1.test:81/jwks.json", http.StatusFound).ServeHTTP,
		"other scheme":        http.RedirectHandler("https://issuer1.test/jwks.json", http.StatusFound).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newRemoteIssuer(t, good)
				r := issuer.follow(t, keys.RemoteConfig{})
				issuer.now(bad)
				time.Sleep(5 * time.Minute)
				start := time.Now()
				wantVerdict(t, r, "a", "known")
				if time.Since(start) != 0 {
					t.Error("a known key had to wait")
				}
				wantVerdict(t, r, "b", "unavailable")
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("an unknown one waited %v", waited)
				}
				if r.Status().Err == nil {
					t.Error("the status tells of no error")
				}
				issuer.now(publish("60", "a", "b"))
				time.Sleep(time.Minute)
				wantVerdict(t, r, "b", "known")
			})
		})
	}
}

func TestRemoteReadsNoMoreThanItMust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, hostileissuer.Padded(8<<20, ""))
		issuer.follow(t, keys.RemoteConfig{})
		if sent := issuer.Sent(); sent < 1<<20 || sent > 2<<20 {
			t.Errorf("%d bytes were taken", sent)
		}
	})
}

func TestRemoteFollowsRedirectsWithinTheOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemoteIssuer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/jwks.json" {
				http.Redirect(w, r, "/moved.json", http.StatusFound)
				return
			}
			publish("60", "a")(w, r)
		}).follow(t, keys.RemoteConfig{})
		wantVerdict(t, r, "a", "known")
	})
}

// 500 made-up kids at once, and the issuer hears of it once; tokens with a known key never wait, however slow it is.
func TestRemoteFloodOfUnknownKids(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		verdict string
	}{
		"healthy issuer": {publish("600", "a"), "unknown"},
		"hanging issuer": {hostileissuer.Hang, "unavailable"},
		"failing issuer": {hostileissuer.Says(500, ""), "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newRemoteIssuer(t, publish("600", "a"))
				r := issuer.follow(t, keys.RemoteConfig{})
				time.Sleep(10 * time.Second)
				issuer.now(c.handler)
				issuer.take()

				start := time.Now()
				var wg sync.WaitGroup
				for i := range 500 {
					wg.Go(func() { wantVerdict(t, r, fmt.Sprint("junk", i), c.verdict) })
				}
				synctest.Wait()
				wantVerdict(t, r, "a", "known")
				if waited := time.Since(start); waited != 0 {
					t.Errorf("the known key waited %v", waited)
				}
				wg.Wait()
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("a request with an unknown kid waited %v", waited)
				}
				if n := len(issuer.take()); n != 1 {
					t.Errorf("%d fetches for 500 unknown kids, want 1", n)
				}
			})
		})
	}
}

// A flood that does not stop costs one fetch in RefetchAfter, and cannot keep a new key out for longer than that.
func TestRemoteFloodDoesNotStarveANewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("6000", "a"))
		r := issuer.follow(t, keys.RemoteConfig{RefetchAfter: 5 * time.Second})
		for i := range 600 { // a minute
			time.Sleep(100 * time.Millisecond)
			wantVerdict(t, r, fmt.Sprint("junk", i), "unknown")
		}
		if n := len(issuer.take()); n > 13 {
			t.Errorf("%d fetches in a minute", n)
		}
		issuer.now(publish("6000", "a", "b"))
		for i := range 51 {
			time.Sleep(100 * time.Millisecond)
			wantVerdict(t, r, fmt.Sprint("more", i), "unknown")
		}
		wantVerdict(t, r, "b", "known")
	})
}

// One bad token, sent again and again, is looked for once in half a minute.
func TestRemoteRemembersMissingKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("6000", "a"))
		r := issuer.follow(t, keys.RemoteConfig{RefetchAfter: time.Second})
		for range 120 {
			time.Sleep(time.Second)
			wantVerdict(t, r, "b", "unknown")
		}
		if n := len(issuer.take()); n < 4 || n > 6 {
			t.Errorf("%d fetches in two minutes, want 1 and one in 30 s", n)
		}
	})
}

// Junk is told from new keys by its shape where, and only where, all keys of the issuer have authd's shape.
func TestRemoteKidTriage(t *testing.T) {
	const (
		ours    = "abcdefgh-AAAAAAAAAAAAAAAAAAAAAA"
		ours2   = "abcdefgh-BBBBBBBBBBBBBBBBBBBBBB"
		reborn  = "ijklmnop-AAAAAAAAAAAAAAAAAAAAAA"
		foreign = "2024 key"
	)
	for name, c := range map[string]struct {
		published []string
		kid       string
		fetches   int
	}{
		"new key of ours":        {[]string{ours}, ours2, 1},
		"of a ring made anew":    {[]string{ours}, reborn, 1},
		"junk":                   {[]string{ours}, foreign, 0},
		"junk, mixed set":        {[]string{ours, foreign}, "2025 key", 1},
		"junk, foreign set":      {[]string{foreign}, "2025 key", 1},
		"never a kid: too long":  {[]string{foreign}, strings.Repeat("k", 129), 0},
		"never a kid: empty":     {[]string{foreign}, "", 0},
		"never a kid: not ASCII": {[]string{foreign}, "k\u0000", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newRemoteIssuer(t, publish("600", c.published...))
				r := issuer.follow(t, keys.RemoteConfig{})
				time.Sleep(time.Minute)
				issuer.take()
				wantVerdict(t, r, c.kid, "unknown")
				if n := len(issuer.take()); n != c.fetches {
					t.Errorf("%d fetches, want %d", n, c.fetches)
				}
			})
		})
	}
}

func TestRemoteWaitCountsFromTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("600", "a"))
		r := issuer.follow(t, keys.RemoteConfig{})
		time.Sleep(time.Minute)
		issuer.now(hostileissuer.Hang)
		wantVerdict(t, r, "b", "unavailable") // waits a second
		start := time.Now()
		wantVerdict(t, r, "c", "unavailable")
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for a fetch that hangs already", waited)
		}
	})
}

func TestRemoteWaitEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newRemoteIssuer(t, publish("600", "a"))
		r := issuer.follow(t, keys.RemoteConfig{})
		time.Sleep(time.Minute)
		issuer.now(hostileissuer.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		_, known, err := r.VerificationKey(ctx, "b", "EdDSA")
		if known || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Millisecond {
			t.Errorf("have %v, %v after %v", known, err, time.Since(start))
		}
	})
}

const benchKID = "abcdefgh-AAAAAAAAAAAAAAAAAAAAAA"

func BenchmarkRemoteVerificationKey(b *testing.B) {
	r, stop := benchRemote(b)
	defer stop()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, known, err := r.VerificationKey(ctx, benchKID, "EdDSA"); !known || err != nil {
			b.Fatal(err)
		}
	}
}

// benchRemote runs a client with three keys outside any bubble.
func benchRemote(tb testing.TB) (*keys.Remote, func()) {
	tb.Helper()
	page := publish("600", benchKID, "abcdefgh-BBBBBBBBBBBBBBBBBBBBBB", "abcdefgh-CCCCCCCCCCCCCCCCCCCCCC")
	r, err := keys.NewRemote(keys.RemoteConfig{URL: "http://issuer.test", Client: &http.Client{Transport: inProcess{page}}})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx) // always nil
	}()
	<-r.Ready()
	return r, func() {
		cancel()
		<-ended
	}
}

func TestRemoteKnownKeyAllocatesNothing(t *testing.T) {
	r, stop := benchRemote(t)
	defer stop()
	if n := testing.AllocsPerRun(100, func() {
		_, _, _ = r.VerificationKey(t.Context(), benchKID, "EdDSA")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
