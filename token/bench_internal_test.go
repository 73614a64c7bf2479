package token

import (
	"testing"
)

// BenchmarkBeyondSignature measures what a new token costs besides its signature check.
func BenchmarkBeyondSignature(b *testing.B) {
	header := `{"alg":"ES256","kid":"Jt3vQ-Zx81nUq0","typ":"at+jwt"}`
	payload := `{"iss":"https://auth.example.com","sub":"8d0f9a1c-4f56-4ab5-9f39-6c1f2a4b7e55","aud":"orders",` +
		`"exp":1772367000,"iat":1772366400,"jti":"3q2-7wAAAAAAAAAAAAAAAA","sid":"Yk7xCu3nWUmCk0dmWBE0qQ",` +
		`"client_id":"web","scope":"orders:read orders:write","auth_time":1772366400,"amr":["pwd"],` +
		`"roles":["buyer","admin"]}`
	raw := base64url.EncodeToString([]byte(header)) + "." + base64url.EncodeToString([]byte(payload)) + "." +
		base64url.EncodeToString(make([]byte, 64))
	parts, err := parse(raw)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parse(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("header", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeHeader(parts.header); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("claims", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := decodeClaims(parts.payload, &Claims{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("revocation", func(b *testing.B) {
		c := &Claims{}
		if err := decodeClaims(parts.payload, c); err != nil {
			b.Fatal(err)
		}
		c.KeyID = "Jt3vQ-Zx81nUq0"
		b.ReportAllocs()
		for b.Loop() {
			revocationClaims(c)
		}
	})
}
