package httpfeed_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		method, target, lastEventID string
		status                      int
		detail                      string // part of the answer's
	}{
		"method":           {"POST", "/", "", 405, ""},
		"after":            {"GET", "/?after=junk", "", 400, "after: "},
		"after too long":   {"GET", "/?after=" + strings.Repeat("e", 65) + "-1", "", 400, "after: "},
		"last event id":    {"GET", "/?after=e-1", "junk", 400, "Last-Event-ID: "},
		"nonce characters": {"GET", "/?nonce=%0Adata:", "", 400, "nonce: "},
		"nonce length":     {"GET", "/?nonce=" + strings.Repeat("n", 65), "", 400, "nonce: "},
	} {
		r := httptest.NewRequest(test.method, test.target, nil)
		if test.lastEventID != "" {
			r.Header.Set("Last-Event-ID", test.lastEventID)
		}
		w := httptest.NewRecorder()
		httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: script{}}).ServeHTTP(w, r)
		var problem struct {
			Status int
			Detail string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
			t.Errorf("%s: %v in %q", name, err, w.Body)
		}
		if w.Code != test.status || problem.Status != test.status || !strings.Contains(problem.Detail, test.detail) {
			t.Errorf("%s: got %d %q, want %d %q", name, w.Code, w.Body, test.status, test.detail)
		}
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: content type %q", name, got)
		}
		if strings.Contains(w.Body.String(), "junk") {
			t.Errorf("%s: the answer repeats what was sent: %q", name, w.Body)
		}
		if allow := w.Header().Get("Allow"); test.status == 405 && allow != "GET, HEAD" {
			t.Errorf("%s: Allow %q", name, allow)
		}
	}
}

func TestHead(t *testing.T) {
	w := httptest.NewRecorder()
	httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: script{}}).ServeHTTP(w, httptest.NewRequest("HEAD", "/", nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || w.Body.Len() != 0 {
		t.Errorf("got %d %v %q", w.Code, w.Header(), w.Body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

// asked is a feed that notes where it was asked to begin.
type asked struct{ from revocation.Position }

func (f *asked) Follow(_ context.Context, from revocation.Position, _ func(revocation.Batch) error) error {
	f.from = from
	return nil
}

// A browser's EventSource asks for the same URL again and adds the header, so the header is the later word.
func TestResumeFrom(t *testing.T) {
	for _, test := range []struct{ query, header, want string }{
		{"", "", ""}, {"?after=e-1", "", "e-1"}, {"", "e-2", "e-2"}, {"?after=e-1", "e-2", "e-2"},
	} {
		var feed asked
		r := httptest.NewRequest("GET", "/"+test.query, nil)
		r.Header.Set("Last-Event-ID", test.header)
		httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: &feed}).ServeHTTP(httptest.NewRecorder(), r)
		if feed.from.String() != test.want {
			t.Errorf("%q with header %q: from %q, want %q", test.query, test.header, feed.from, test.want)
		}
	}
}

// get opens a stream and reads its first line.
func get(t *testing.T, url string) (*http.Response, *bufio.Reader) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	body := bufio.NewReader(resp.Body)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestStreamsAreBounded(t *testing.T) {
	server, _ := serve(t, httpfeed.HandlerConfig{Feed: make(source), MaxStreams: 1})
	first, body := get(t, server.URL)
	second, _ := get(t, server.URL)
	if second.StatusCode != http.StatusServiceUnavailable || second.Header.Get("Retry-After") == "" {
		t.Errorf("a second stream got %s", second.Status)
	}
	first.Body.Close()
	_, _ = io.Copy(io.Discard, body)
	for range 1000 { // the server notices that the first is gone
		if third, _ := get(t, server.URL); third.StatusCode == http.StatusOK {
			return
		}
	}
	t.Error("a stream that had ended still counts")
}

// A server that shuts down does not wait for streams that never end.
func TestDrain(t *testing.T) {
	server, stop := serve(t, httpfeed.HandlerConfig{Feed: make(source)})
	_, body := get(t, server.URL)
	stop()
	if _, err := io.Copy(io.Discard, body); err != nil {
		t.Errorf("the stream did not end in good order: %v", err)
	}
	if again, _ := get(t, server.URL); again.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("while shutting down: got %s", again.Status)
	}
}

// flood is a feed that sends all the time, and tells when its follower has stopped it.
type flood chan error

func (f flood) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	entries := make([]revocation.Entry, 4096)
	for i := range entries {
		entries[i] = revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 1}
	}
	for {
		if err := apply(revocation.Batch{Entries: entries}); err != nil {
			f <- err
			return err
		}
	}
}

// A client that does not read is disconnected, and not buffered for.
func TestSlowClient(t *testing.T) {
	feed := make(flood, 1)
	server, _ := serve(t, httpfeed.HandlerConfig{Feed: feed, WriteTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: feed\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-feed; err == nil {
		t.Error("no error")
	}
}

// A stream outlives the limits that its server sets for ordinary requests.
func TestOutlivesServerTimeouts(t *testing.T) {
	const limit = 300 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	server := httptest.NewUnstartedServer(httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: beats{}, Context: ctx}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
	server.Start()
	defer server.Close()
	defer stop()
	_, body := get(t, server.URL)
	for start := time.Now(); time.Since(start) < 2*limit; {
		if _, err := body.ReadString('\n'); err != nil {
			t.Fatalf("the stream ended after %v: %v", time.Since(start), err)
		}
	}
}
