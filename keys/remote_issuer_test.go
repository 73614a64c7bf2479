package keys_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/hostileissuer"
)

// remoteIssuer serves a JWKS that tests change as they go, and remembers the requests. It runs in a synctest bubble over
// pipes: the real HTTP stack, and no real time.
type remoteIssuer struct {
	*hostileissuer.Issuer

	mu       sync.Mutex
	requests []remoteRequest
}

type remoteRequest struct {
	at     time.Time
	header http.Header
}

func newRemoteIssuer(t *testing.T, handler http.HandlerFunc) *remoteIssuer {
	t.Helper()
	i := &remoteIssuer{}
	var err error
	if i.Issuer, err = hostileissuer.NewIssuer(hostileissuer.Pipes(), i.noting(handler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func (i *remoteIssuer) noting(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.requests = append(i.requests, remoteRequest{time.Now(), r.Header})
		i.mu.Unlock()
		handler(w, r)
	}
}

// now changes what the issuer answers.
func (i *remoteIssuer) now(handler http.HandlerFunc) { i.Answer(i.noting(handler)) }

// take returns the requests since it was called last.
func (i *remoteIssuer) take() []remoteRequest {
	i.mu.Lock()
	defer i.mu.Unlock()
	r := i.requests
	i.requests = nil
	return r
}

// follow runs a client of i until the test ends.
func (i *remoteIssuer) follow(t *testing.T, cfg keys.RemoteConfig) *keys.Remote {
	t.Helper()
	transport := i.Transport()
	transport.MaxResponseHeaderBytes = 64 << 10
	cfg.URL = i.URL + "/jwks.json"
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

// inProcess is a RoundTripper that calls a handler, for tests that need no connection.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	return w.Result(), nil
}
