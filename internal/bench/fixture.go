package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/token"
)

const (
	issuer   = "https://auth.example.com"
	audience = "orders"
	jwksURL  = issuer + "/.well-known/jwks.json"
)

// fixture is one key with tokens that it signed.
type fixture struct {
	alg, kid string
	private  crypto.Signer
	jwks     []byte
	tokens   []string
}

func newFixture(ctx context.Context, alg string, tokens int) (*fixture, error) {
	private, err := newPrivateKey(alg)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	f := &fixture{alg: alg, kid: "Jt3vQ0aX-Zx81nUq0hBmC5w", private: private}
	f.jwks, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: private.Public(), KeyID: f.kid, Algorithm: alg, Use: "sig"},
	}})
	if err != nil {
		return nil, fmt.Errorf("writing the JWKS: %w", err)
	}
	f.tokens, err = f.issue(ctx, tokens)
	return f, err
}

func newPrivateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("no keys for %s", alg)
}

// SigningKey implements token.SigningKeys.
func (f *fixture) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return f.kid, f.alg, f.private, nil
}

// issue makes n tokens of different sessions, each with twelve claims, as a login does.
func (f *fixture) issue(ctx context.Context, n int) ([]string, error) {
	i, err := token.NewIssuer(token.IssuerConfig{
		Issuer: issuer, Audience: []string{audience}, TTL: time.Hour, Keys: f,
	})
	if err != nil {
		return nil, err
	}
	tokens := make([]string, n)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for j := range tokens {
		workers.Go(func() (err error) {
			tokens[j], _, err = i.Issue(ctx, token.Claims{
				Subject: "8d0f9a1c-4f56-4ab5-9f39-6c1f2a4b7e55", SessionID: sessionID(), ClientID: "web-frontend",
				Scope: "orders:read orders:write profile", AuthTime: time.Now(), AMR: []string{"pwd", "otp"},
				Roles: []string{"customer", "beta-tester"},
			})
			return err
		})
	}
	return tokens, workers.Wait()
}

func sessionID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// RoundTrip serves the JWKS to the clients of it, without a network.
func (f *fixture) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != jwksURL {
		return nil, fmt.Errorf("no such page: %s", r.URL)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/jwk-set+json"}},
		Body: io.NopCloser(bytes.NewReader(f.jwks)), Request: r,
	}, nil
}

// keys returns authd's JWKS client, filled, and what ends it.
func (f *fixture) keys(ctx context.Context) (token.VerificationKeys, func() error, error) {
	remote, err := keys.NewRemote(keys.RemoteConfig{URL: jwksURL, Client: &http.Client{Transport: f}})
	if err != nil {
		return nil, nil, err
	}
	stop := background(ctx, remote.Run)
	select {
	case <-remote.Ready():
		return remote, stop, nil
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("waiting for keys: %w", ctx.Err())
	}
}

// background runs f until the returned function is called, which waits for it.
func background(ctx context.Context, f func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// split returns what the signature of a token covers, and the signature.
func split(raw string) (signed, signature []byte, err error) {
	cut := strings.LastIndexByte(raw, '.')
	signature, err = base64.RawURLEncoding.DecodeString(raw[cut+1:])
	return []byte(raw[:cut]), signature, err
}
