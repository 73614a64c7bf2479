package adminclient

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// InProcess answers requests by a handler of this process, without a network. The answer is complete before it is
// returned, so it is not for streams.
func InProcess(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t inProcess) RoundTrip(client *http.Request) (*http.Response, error) {
	r := client.Clone(client.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	r.RequestURI = client.URL.RequestURI()
	r.RemoteAddr = "127.0.0.1:0"
	if r.Host == "" {
		r.Host = client.URL.Host
	}
	w := &answer{header: make(http.Header), status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	if err := client.Context().Err(); err != nil {
		return nil, err
	}
	if w.sent == nil {
		w.WriteHeader(http.StatusOK)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: client,
	}, nil
}

// answer collects what a handler writes.
type answer struct {
	header http.Header
	sent   http.Header // the header as it was when the answer began
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.sent != nil || status < http.StatusOK {
		return
	}
	a.status, a.sent = status, a.header.Clone()
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
