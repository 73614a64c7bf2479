package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
)

const leeway = 30 * time.Second

// userClaims are read by every peer that decodes into a struct: the same twelve as authd reads.
type userClaims struct {
	SessionID string   `json:"sid"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	AuthTime  int64    `json:"auth_time"`
	AMR       []string `json:"amr"`
	Roles     []string `json:"roles"`
}

// bare is the floor: the hash and the check of the signature, nothing decoded but the signature beforehand.
func bare(f *fixture) (func(i int) error, error) {
	type parts struct{ signed, signature []byte }
	tokens := make([]parts, len(f.tokens))
	for i, raw := range f.tokens {
		signed, signature, err := split(raw)
		if err != nil {
			return nil, err
		}
		tokens[i] = parts{signed, signature}
	}
	public := f.private.Public()
	return func(i int) error {
		p := tokens[i%len(tokens)]
		if !checkSignature(public, p.signed, p.signature) {
			return errors.New("bad signature")
		}
		return nil
	}, nil
}

func checkSignature(public crypto.PublicKey, signed, signature []byte) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(signed)
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, sum[:], r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(key, signed, signature)
	case *rsa.PublicKey:
		sum := sha256.Sum256(signed)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}

// golangJWT is golang-jwt with every option set that it has.
func golangJWT(f *fixture, find jwt.Keyfunc) func(i int) error {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{f.alg}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithLeeway(leeway),
	)
	return func(i int) error {
		var claims struct {
			jwt.RegisteredClaims
			userClaims
		}
		_, err := parser.ParseWithClaims(f.tokens[i%len(f.tokens)], &claims, find)
		return err
	}
}

// knownKey is the key function that golang-jwt's documentation asks for: it looks at kid and alg.
func knownKey(f *fixture) jwt.Keyfunc {
	public := f.private.Public()
	return func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != f.kid || t.Method.Alg() != f.alg {
			return nil, errors.New("unknown key")
		}
		return public, nil
	}
}

func withKeyfunc(f *fixture) (jwt.Keyfunc, error) {
	k, err := keyfunc.NewJWKSetJSON(f.jwks)
	if err != nil {
		return nil, fmt.Errorf("keyfunc: %w", err)
	}
	return k.Keyfunc, nil
}

func goJose(f *fixture) func(i int) error {
	public := f.private.Public()
	algs := []jose.SignatureAlgorithm{jose.SignatureAlgorithm(f.alg)}
	want := josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{audience}}
	return func(i int) error {
		t, err := josejwt.ParseSigned(f.tokens[i%len(f.tokens)], algs)
		if err != nil {
			return err
		}
		if t.Headers[0].KeyID != f.kid {
			return errors.New("unknown key")
		}
		var (
			claims josejwt.Claims
			more   userClaims
		)
		if err := t.Claims(public, &claims, &more); err != nil {
			return err
		}
		return claims.ValidateWithLeeway(want.WithTime(time.Now()), leeway)
	}
}

func jwx(f *fixture) (func(i int) error, error) {
	set, err := jwk.Parse(f.jwks)
	if err != nil {
		return nil, fmt.Errorf("jwx: %w", err)
	}
	return func(i int) error {
		_, err := jwxjwt.ParseString(f.tokens[i%len(f.tokens)], jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(issuer),
			jwxjwt.WithAudience(audience), jwxjwt.WithAcceptableSkew(leeway))
		return err
	}, nil
}

func goOIDC(ctx context.Context, f *fixture) func(i int) error {
	set := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{f.private.Public()}}
	verifier := oidc.NewVerifier(issuer, set, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{f.alg}})
	return func(i int) error {
		t, err := verifier.Verify(ctx, f.tokens[i%len(f.tokens)])
		if err != nil {
			return err
		}
		var more userClaims
		return t.Claims(&more)
	}
}
