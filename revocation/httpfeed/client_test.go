package httpfeed_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

func TestClientURL(t *testing.T) {
	for _, bad := range []string{"", "feed", "ftp://host/feed", "https:///feed", "http://ho st/", "http://[::1"} {
		if _, err := httpfeed.NewClient(bad, nil); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// refused follows a server that answers with h and returns why that failed.
func refused(t *testing.T, h http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	return newClient(t, server.URL+"/feed").Follow(t.Context(), revocation.Position{}, func(b revocation.Batch) error {
		if !b.AsOf.IsZero() || len(b.Entries) > 0 {
			t.Errorf("took %+v", b)
		}
		return nil
	})
}

func TestClientRefuses(t *testing.T) {
	stream := func(format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, strings.ReplaceAll(format, "NONCE", r.URL.Query().Get("nonce")))
		}
	}
	elsewhere := httptest.NewServer(stream("data: now 1 NONCE\n\ndata: as_of 1\n\n"))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		answer  http.HandlerFunc
		problem string
	}{
		"status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "answered 418"},
		"content type": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
		}, "content type other than text/event-stream"},
		"no content type": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusOK)
		}, "content type other than text/event-stream"},
		"redirect to another origin": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}, "redirect to another origin"},
		"redirect without end": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"/on", http.StatusFound)
		}, "too many redirects"},
		"empty":            {stream(""), "EOF"},
		"half a line":      {stream("data: now 1"), "unexpected EOF"},
		"no clock":         {stream("data: as_of 1\n\n"), "does not begin with the server's clock"},
		"cached answer":    {stream("data: now 1 of-before\n\n"), "belongs to another request"},
		"bad line":         {stream("data: now 1 NONCE\n\n:\ndata: sid junk 0 1\n\n"), "line 4: id: want 22"},
		"unknown word":     {stream("data: now 1 NONCE\n\ndata: news of tomorrow now\n\n"), "line 3: unknown kind"},
		"proof too early":  {stream("data: now 1 NONCE\n\ndata: as_of 3600000\n\n"), "line 4: a proof lies in the future"},
		"entry cut in two": {stream("data: now 1 NONCE\n\ndata: sid AAECAwQFBgcICQoLDA0ODw 0 17900"), "unexpected EOF"},
	} {
		if err := refused(t, test.answer); err == nil || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: got %v, want %q", name, err, test.problem)
		}
	}
}

// A redirect within the origin is followed.
func TestClientFollowsRedirect(t *testing.T) {
	feed := httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: script{{AsOf: time.Now()}}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			u := url.URL{Path: "/new", RawQuery: r.URL.RawQuery}
			http.Redirect(w, r, u.String(), http.StatusFound)
			return
		}
		feed.ServeHTTP(w, r)
	}))
	defer server.Close()
	proven := false
	_ = newClient(t, server.URL+"/old").Follow(t.Context(), revocation.Position{}, func(b revocation.Batch) error {
		proven = proven || !b.AsOf.IsZero()
		return nil
	})
	if !proven {
		t.Error("no proof came")
	}
}

// wire is a transport without a network, for tests in a synctest bubble: the test sets how long a request and each
// part of the answer are under way.
type wire struct {
	handler http.Handler
	request time.Duration
	answer  atomic.Int64 // nanoseconds
	urls    []string     // asked for
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.urls = append(w.urls, r.URL.RequestURI())
	time.Sleep(w.request)
	from, to := io.Pipe()
	context.AfterFunc(r.Context(), func() { to.CloseWithError(r.Context().Err()) })
	answer := &answer{header: http.Header{}, body: to, delay: &w.answer}
	go func() {
		w.handler.ServeHTTP(answer, r.Clone(r.Context()))
		to.Close()
	}()
	synctest.Wait() // until the handler has set its headers
	return &http.Response{StatusCode: http.StatusOK, Header: answer.header, Body: from, Request: r}, nil
}

type answer struct {
	header http.Header
	body   io.Writer
	delay  *atomic.Int64
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(int)     {}
func (a *answer) Flush()              {}
func (a *answer) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(a.delay.Load()))
	return a.body.Write(b)
}

// ticks is a feed that is complete at any time and says so every half second.
type ticks struct{}

func (ticks) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	for seq := uint64(1); ; seq++ {
		if err := apply(revocation.Batch{Position: revocation.Position{Epoch: "e", Seq: seq}, AsOf: time.Now()}); err != nil {
			return err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// over returns a client of feed over w.
func over(t *testing.T, w *wire, feed revocation.Feed) *httpfeed.Client {
	t.Helper()
	w.handler = httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: feed})
	client, err := httpfeed.NewClient("http://issuer/feed?tenant=1", &http.Client{Transport: w})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A heartbeat that sat in a buffer says what it said when it was sent, and not when it came.
func TestLateProofsAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		client := over(t, &w, ticks{})
		enough := errors.New("enough")
		var late time.Duration
		var last time.Time
		n := 0
		err := client.Follow(t.Context(), revocation.Position{}, func(b revocation.Batch) error {
			if b.AsOf.IsZero() {
				return nil
			}
			// Written at most as long ago as the delay, and another before that which the feed had to wait for.
			if age := time.Since(b.AsOf); age < late || age > 2*late+10*time.Millisecond {
				t.Errorf("proof %d came %v late and counts as %v old", n, late, age)
			}
			if b.AsOf.Before(last) {
				t.Errorf("proof %d goes back", n)
			}
			last = b.AsOf
			switch n++; n {
			case 5:
				late = 2 * time.Second
				w.answer.Store(int64(late))
			case 10:
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Error(err)
		}
	})
}

// The time of the request itself counts as age, too: the answer may be as old as that.
func TestSlowRequestMakesProofsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := over(t, &wire{request: 3 * time.Second}, ticks{})
		enough := errors.New("enough")
		_ = client.Follow(t.Context(), revocation.Position{}, func(b revocation.Batch) error {
			if b.AsOf.IsZero() {
				return nil
			}
			if age := time.Since(b.AsOf); age < 3*time.Second || age > 3*time.Second+10*time.Millisecond {
				t.Errorf("the request took 3s, the proof counts as %v old", age)
			}
			return enough
		})
	})
}

// silent is a feed that says nothing.
type silent struct{}

func (silent) Follow(ctx context.Context, _ revocation.Position, _ func(revocation.Batch) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// A connection on which nothing comes any more is given up, though nobody closes it.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := over(t, &wire{}, silent{})
		start := time.Now()
		err := client.Follow(t.Context(), revocation.Position{}, func(revocation.Batch) error { return nil })
		if took := time.Since(start); took != 5*time.Second || err == nil || !strings.Contains(err.Error(), "silent for 5s") {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// The clocks may drift, so the client asks anew now and then, from where it is and without its follower noticing.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		client := over(t, w, ticks{})
		enough := errors.New("enough")
		start, last := time.Now(), revocation.Position{}
		err := client.Follow(t.Context(), revocation.Position{Epoch: "e", Seq: 7}, func(b revocation.Batch) error {
			if len(w.urls) == 2 && b.Position == (revocation.Position{}) {
				if !strings.Contains(w.urls[1], "after="+last.String()) {
					t.Errorf("asked for %s, was at %v", w.urls[1], last)
				}
				return enough
			}
			if b.Position != (revocation.Position{}) {
				last = b.Position
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Error(err)
		}
		if took := time.Since(start); took < 4*time.Minute || took > 5*time.Minute+time.Second {
			t.Errorf("asked anew after %v", took)
		}
		if !strings.Contains(w.urls[0], "after=e-7") || !strings.Contains(w.urls[0], "tenant=1") {
			t.Errorf("asked for %s at first", w.urls[0])
		}
	})
}
