package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/audit/webhook"
	"github.com/authd-project/authd/internal/boltfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("sixteen bytes or more") //nolint:gochecknoglobals // of all tests

// receiver is an HTTP server that takes events, or answers with a status.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	ids      []string
	status   int // 0 for 204
	requests int
	problems []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if err == nil {
		err = webhook.Verify(secret, req.Header.Get(webhook.Header), body, time.Now(), 5*time.Minute)
	}
	var batch struct {
		Events []struct{ ID, Sid string }
	}
	err = errors.Join(err, json.Unmarshal(body, &batch))
	if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
		r.problems = append(r.problems, fmt.Sprint(req.Method, " ", err))
	}
	if r.status != 0 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(r.status)
		return
	}
	for _, e := range batch.Events {
		r.ids = append(r.ids, e.Sid)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) got(t *testing.T) (ids []string, requests int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.problems {
		t.Error(p)
	}
	return append([]string(nil), r.ids...), r.requests
}

func openSpool(t *testing.T, path string) *boltfile.File {
	t.Helper()
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t *testing.T, url string, file *boltfile.File) *webhook.Webhook {
	t.Helper()
	w, err := webhook.Open(webhook.Config{URL: url, Secret: secret, Spool: file})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w *webhook.Webhook, from, to int) {
	t.Helper()
	var entries []audit.Entry
	for i := from; i < to; i++ {
		line, err := audit.Encode(audit.Event{Type: audit.Logout, SessionID: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, audit.Entry{Line: line})
	}
	if kept, err := w.Write(t.Context(), entries); kept != len(entries) || err != nil {
		t.Fatalf("kept %d of %d: %v", kept, len(entries), err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// wantAll waits until the receiver has got the events 0 to n-1, in order, each once.
func wantAll(t *testing.T, r *receiver, n int) {
	t.Helper()
	until(t, "all events", func() bool { ids, _ := r.got(t); return len(ids) >= n })
	ids, _ := r.got(t)
	for i, id := range ids {
		if id != fmt.Sprint(i) || len(ids) != n {
			t.Fatalf("got %d events, number %d is %s", len(ids), i, id)
		}
	}
}

func TestDeliversInOrder(t *testing.T) {
	file := openSpool(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	r := newReceiver(t)
	w := open(t, r.URL, file)
	defer w.Close()
	write(t, w, 0, 1)
	write(t, w, 1, 250)
	wantAll(t, r, 250)
	until(t, "an empty spool", func() bool { return w.Backlog() == 0 })
	if _, requests := r.got(t); requests > 10 {
		t.Errorf("%d requests for 250 events", requests)
	}
}

// A receiver that is away, refuses, redirects or fails gets everything when it is back, also after a restart of authd.
func TestNothingIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	file := openSpool(t, path)
	r := newReceiver(t)
	w := open(t, r.URL, file)
	n := 0
	for _, status := range []int{500, 404, 301, 307} {
		r.answer(status)
		write(t, w, n, n+3)
		n += 3
		_, before := r.got(t)
		until(t, "another try", func() bool { _, requests := r.got(t); return requests > before })
	}
	if ids, _ := r.got(t); len(ids) != 0 || w.Backlog() != n {
		t.Errorf("got %v, %d of %d events wait", ids, w.Backlog(), n)
	}
	w.Close()
	file.Close()
	r.answer(0)

	file = openSpool(t, path)
	defer file.Close()
	w = open(t, r.URL, file)
	defer w.Close()
	wantAll(t, r, n)
}

func TestSpoolIsPerReceiver(t *testing.T) {
	file := openSpool(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	one, two := newReceiver(t), newReceiver(t)
	two.answer(500)
	a, b := open(t, one.URL, file), open(t, two.URL, file)
	defer a.Close()
	defer b.Close()
	write(t, a, 0, 5)
	write(t, b, 0, 7)
	wantAll(t, one, 5)
	if b.Backlog() != 7 {
		t.Errorf("%d wait for the other", b.Backlog())
	}
	two.answer(0)
	wantAll(t, two, 7)
}

func TestVerify(t *testing.T) {
	file := openSpool(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	type seen struct {
		header string
		body   []byte
	}
	requests := make(chan seen, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Header.Get(webhook.Header), body}
	}))
	defer server.Close()
	now := time.Unix(1_800_000_000, 0)
	w, err := webhook.Open(webhook.Config{URL: server.URL, Secret: secret, Spool: file, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write(t, w, 0, 1)
	r := <-requests
	check := func(secret []byte, header string, body []byte, now time.Time) error {
		return webhook.Verify(secret, header, body, now, time.Minute)
	}
	if err := check(secret, r.header, r.body, now.Add(time.Minute)); err != nil {
		t.Errorf("a good request: %v", err)
	}
	for name, err := range map[string]error{
		"another secret": check([]byte("another secret of that size"), r.header, r.body, now),
		"another body":   check(secret, r.header, append(r.body, ' '), now),
		"too late":       check(secret, r.header, r.body, now.Add(time.Minute+time.Second)),
		"too early":      check(secret, r.header, r.body, now.Add(-time.Minute-time.Second)),
		"another time":   check(secret, "t=1800000001"+r.header[len("t=1800000000"):], r.body, now),
		"empty":          check(secret, "", r.body, now),
		"no MAC":         check(secret, "t=1800000000", r.body, now),
		"not hex":        check(secret, "t=1800000000,v1=zz", r.body, now),
	} {
		if !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURLs(t *testing.T) {
	for url, good := range map[string]bool{
		"https://hooks.example.com/x?y=z": true, "http://127.0.0.1:1/x": true, "http://localhost/": true, "http://[::1]:1/": true,
		"http://hooks.example.com/": false, "ftp://127.0.0.1/": false, "https://user:pass@example.com/": false, "": false, "https:///x": false,
		"http://127.0.0.1.example.com/": false,
	} {
		if err := webhook.CheckURL(url); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := webhook.Open(webhook.Config{URL: "https://example.com", Secret: []byte("short")}); err == nil {
		t.Error("a short secret is taken")
	}
}

// As a sink of a log it is not what anybody waits for longer than for the spool.
func TestAsSink(t *testing.T) {
	file := openSpool(t, filepath.Join(t.TempDir(), "authd.db"))
	defer file.Close()
	r := newReceiver(t)
	r.answer(503)
	w := open(t, r.URL, file)
	defer w.Close()
	l, err := audit.New(audit.Config{Wait: time.Minute, Targets: []audit.Target{{Name: "webhook", Sink: w, Only: []audit.Type{audit.LoginNewAddress}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []audit.Type{audit.Login, audit.LoginNewAddress} {
		if err := l.Record(t.Context(), audit.Event{Type: kind, SessionID: "0"}); err != nil {
			t.Error(err)
		}
	}
	if s := l.Stats().Sinks[0]; s.Waiting != 1 || s.Lost != 0 || s.Stuck {
		t.Errorf("stats %+v", s)
	}
	r.answer(0)
	wantAll(t, r, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}
