package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// front is the load balancer before several authd, and their issuer: each question goes to the next one that is up.
type front struct {
	*httptest.Server
	client *http.Client
	slots  atomic.Pointer[[]*slot]
	turn   atomic.Uint64
}

// frontPatience is how long one authd may take; then the next one is asked. So no answer that a client gets is older.
const frontPatience = 500 * time.Millisecond

func newFront(t *testing.T) *front {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	f := &front{client: &http.Client{Transport: transport}}
	f.slots.Store(new([]*slot))
	feed := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			to, _ := url.Parse("http://127.0.0.1:1")
			if s := f.next(); s != nil {
				to, _ = url.Parse(s.URL)
			}
			r.SetURL(to)
		},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/revocations" {
			feed.ServeHTTP(w, r)
			return
		}
		f.ask(w, r)
	}))
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
		transport.CloseIdleConnections()
	})
	return f
}

func (f *front) serve(slots []*slot) { f.slots.Store(&slots) }

// next returns an authd that is up, each in turn; nil when there is none.
func (f *front) next() *server {
	slots := *f.slots.Load()
	for range slots {
		if s := slots[f.turn.Add(1)%uint64(len(slots))].current(); s != nil {
			return s
		}
	}
	return nil
}

// ask hands on the first answer that is one, or the last.
func (f *front) ask(w http.ResponseWriter, r *http.Request) {
	status, header, body := http.StatusServiceUnavailable, http.Header{}, []byte(nil)
	for range fireReplicas {
		s := f.next()
		if s == nil {
			break
		}
		if st, h, b, err := f.forward(r, s); err == nil {
			status, header, body = st, h, b
		}
		if status < http.StatusInternalServerError {
			break
		}
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (f *front) forward(r *http.Request, s *server) (int, http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(r.Context(), frontPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, s.URL+r.URL.RequestURI(), nil)
	if err != nil {
		return 0, nil, nil, err
	}
	for _, name := range []string{"Accept", "Authorization", "If-None-Match"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

// call sends a request to one authd itself and decodes an answer of 200. It never fails the test.
func (f *front) call(ctx context.Context, timeout time.Duration, method, url string, body, result any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data := []byte(nil)
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK && result != nil {
		err = json.NewDecoder(resp.Body).Decode(result)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
