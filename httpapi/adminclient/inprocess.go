package adminclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// InProcess answers requests by a handler of this process, without a network. An answer is passed on as it is written; the
// handler has returned once its body was read to the end or closed.
func InProcess(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t inProcess) RoundTrip(client *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(client.Context())
	r := client.Clone(ctx)
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.RequestURI = client.URL.RequestURI()
	r.RemoteAddr = "127.0.0.1:0"
	if r.Host == "" {
		r.Host = client.URL.Host
	}
	body, pipe := io.Pipe()
	w := &answer{header: make(http.Header), begun: make(chan struct{}), body: pipe}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.Body.Close()
		t.handler.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = pipe.Close() // never fails (io.Pipe)
	}()
	stop := func() {
		cancel()
		_ = body.Close() // likewise
		<-done
	}
	select {
	case <-w.begun:
	case <-client.Context().Done():
		stop()
		return nil, client.Context().Err()
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: &passing{body, stop}, ContentLength: -1, Request: client,
	}, nil
}

// passing is the body of an answer that may still be being written.
type passing struct {
	io.Reader
	stop func() // waits for the handler
}

func (p *passing) Close() error {
	p.stop()
	return nil
}

// answer passes on what a handler writes.
type answer struct {
	header http.Header
	sent   http.Header // the header as it was when the answer began
	status int
	once   sync.Once
	begun  chan struct{} // closed when the answer has begun: sent and status do not change any more
	body   *io.PipeWriter
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
