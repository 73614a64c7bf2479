package keys_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
)

// Whatever the issuer answers after a good set, the known key keeps working at once, and a kid that is not in the set is
// neither accepted nor refused. When the issuer comes to its senses, so does the client.
func TestRemoteKeepsTheLastGoodSet(t *testing.T) {
	good := publish("60", "a")
	for name, bad := range map[string]http.HandlerFunc{
		"empty object":        answer(200, `{}`),
		"null":                answer(200, `null`),
		"null keys":           answer(200, `{"keys":null}`),
		"no keys":             answer(200, `{"keys":[]}`),
		"error document":      answer(200, `{"error":"server_error"}`),
		"HTML":                answer(200, `<html>Sign in</html>`),
		"empty body":          answer(200, ``),
		"no content":          answer(204, ``),
		"set with status 404": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); publish("60", "a", "b")(w, r) },
		"failing":             answer(500, ``),
		"unasked for 304":     answer(304, ``),
		"only bad keys":       answer(200, `{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`),
		"hanging":             hang,
		"dripping":            drip,
		"endless":             endless,
		"gzip bomb":           gzipBomb(),
		"too long header":     func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 100<<10)) },
		"cut off": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(200)
		},
		"other origin":     redirect("http://evil.test/jwks.json"),
		"other port":       redirect("http://issuer.test:81/jwks.json"),
		"other scheme":     redirect("https://issuer.test/jwks.json"),
		"redirect to self": redirect("/jwks.json"),
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

// drip sends a byte a second.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Second)
	}
}

// endless sends a gibibyte, or as much of it as is taken.
func endless(w http.ResponseWriter, r *http.Request) {
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 1 << 10 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestRemoteReadsNoMoreThanItMust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		newRemoteIssuer(t, func(w http.ResponseWriter, r *http.Request) {
			for block := bytes.Repeat([]byte(" "), 64<<10); sent < 8<<20; sent += len(block) {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}).follow(t, keys.RemoteConfig{})
		if sent > 2<<20 {
			t.Errorf("%d bytes were taken", sent)
		}
	})
}

// gzipBomb sends a set with a second key, behind 4 MiB of white space in 4 KiB.
func gzipBomb() http.HandlerFunc {
	set := httptest.NewRecorder()
	publish("60", "a", "b")(set, nil)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 4<<20)) // to memory: cannot fail
	_, _ = z.Write(set.Body.Bytes())
	_ = z.Close()
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}
}

// redirect sends the client elsewhere; who comes by another host name is given a second key.
func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "issuer.test" {
			publish("60", "a", "b")(w, r)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	}
}

func TestRemoteFollowsRedirectsWithinTheOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemoteIssuer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/jwks.json" {
				redirect("/moved.json")(w, r)
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
		"hanging issuer": {hang, "unavailable"},
		"failing issuer": {answer(500, ""), "unavailable"},
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
		issuer.now(hang)
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
		issuer.now(hang)
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
