package keys_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
)

// remoteIssuer serves a JWKS that tests change as they go. It runs in a synctest bubble over pipes: the real HTTP stack,
// and no real time.
type remoteIssuer struct {
	mu       sync.Mutex
	handler  http.HandlerFunc
	requests []remoteRequest

	conns chan net.Conn
	done  chan struct{}
}

type remoteRequest struct {
	at     time.Time
	header http.Header
}

func newRemoteIssuer(t *testing.T, handler http.HandlerFunc) *remoteIssuer {
	i := &remoteIssuer{handler: handler, conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(i.serve)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(i) // http.ErrServerClosed, after Close
	}()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return i
}

func (i *remoteIssuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests = append(i.requests, remoteRequest{time.Now(), r.Header})
	handler := i.handler
	i.mu.Unlock()
	handler(w, r)
}

// now changes what the issuer answers.
func (i *remoteIssuer) now(handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler = handler
}

// take returns the requests since it was called last.
func (i *remoteIssuer) take() []remoteRequest {
	i.mu.Lock()
	defer i.mu.Unlock()
	r := i.requests
	i.requests = nil
	return r
}

func (i *remoteIssuer) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

func (i *remoteIssuer) Close() error { close(i.done); return nil }

func (i *remoteIssuer) Addr() net.Addr { return &net.UnixAddr{Name: "issuer", Net: "pipe"} }

func (i *remoteIssuer) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case i.conns <- theirs:
		return ours, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

// follow runs a client of i until the test ends.
func (i *remoteIssuer) follow(t *testing.T, cfg keys.RemoteConfig) *keys.Remote {
	t.Helper()
	transport := &http.Transport{DialContext: i.dial, MaxResponseHeaderBytes: 64 << 10}
	cfg.URL = "http://issuer.test/jwks.json"
	cfg.Client = &http.Client{Transport: transport}
	r, err := keys.NewRemote(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		transport.CloseIdleConnections()
	})
	synctest.Wait() // the first fetch is done, or hangs
	return r
}

// okp is the public key that okpJWK describes for kid.
func okp(kid string) ed25519.PublicKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, kid)
	return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
}

// publish answers a JWKS of Ed25519 keys with these kids.
func publish(maxAge string, kids ...string) http.HandlerFunc {
	jwks := []map[string]string{}
	for _, kid := range kids {
		x := base64.RawURLEncoding.EncodeToString(okp(kid))
		jwks = append(jwks, map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": x})
	}
	doc, err := json.Marshal(map[string]any{"keys": jwks})
	if err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if maxAge != "" {
			w.Header().Set("Cache-Control", "public, max-age="+maxAge)
		}
		_, _ = w.Write(doc)
	}
}

// answer answers a body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// hang answers nothing until the client is gone.
func hang(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// inProcess is a RoundTripper that calls a handler, for tests that need no connection.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	return w.Result(), nil
}
