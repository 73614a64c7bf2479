package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/authd-project/authd/token"
)

func forEachAlgorithm(b *testing.B, f func(b *testing.B, k oneKey)) {
	for _, alg := range token.Algorithms() {
		b.Run(alg, func(b *testing.B) { f(b, newKey(b, alg)) })
	}
}

// BenchmarkBare is the floor: hashing and the bare signature check.
func BenchmarkBare(b *testing.B) {
	forEachAlgorithm(b, func(b *testing.B, k oneKey) {
		raw := issue(b, k)
		dot := strings.LastIndexByte(raw, '.')
		signed := []byte(raw[:dot])
		signature, err := base64.RawURLEncoding.DecodeString(raw[dot+1:])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			var ok bool
			switch key := k.public.(type) {
			case *ecdsa.PublicKey:
				sum := sha256.Sum256(signed)
				ok = ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
			case ed25519.PublicKey:
				ok = ed25519.Verify(key, signed, signature)
			case *rsa.PublicKey:
				sum := sha256.Sum256(signed)
				ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
			}
			if !ok {
				b.Fatal("bad signature")
			}
		}
	})
}

func BenchmarkVerifyNew(b *testing.B) {
	forEachAlgorithm(b, func(b *testing.B, k oneKey) {
		raw := issue(b, k)
		verifier := newVerifier(b, k, func(c *token.VerifierConfig) { c.CacheBytes = -1 })
		b.ReportAllocs()
		for b.Loop() {
			if _, err := verifier.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerifySeen(b *testing.B) {
	for name, n := range map[string]int{"1k": 1000, "100k": 100_000} {
		b.Run(name, func(b *testing.B) {
			k := newKey(b, "EdDSA") // the quickest to sign with
			issuer := newIssuer(b, k)
			verifier := newVerifier(b, k, func(c *token.VerifierConfig) { c.CacheBytes = 512 << 20 })
			tokens := make([]string, n)
			for i := range tokens {
				raw, _, err := issuer.Issue(b.Context(), userClaims())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := verifier.Verify(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
				tokens[i] = raw
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				if _, err := verifier.Verify(b.Context(), tokens[i*7919%n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIssue(b *testing.B) {
	forEachAlgorithm(b, func(b *testing.B, k oneKey) {
		issuer := newIssuer(b, k)
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := issuer.Issue(b.Context(), userClaims()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
