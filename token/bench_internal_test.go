package token

import (
	"testing"

	"github.com/authd-project/authd/revocation"
)

// BenchmarkBeyondSignature measures what a new token costs besides its signature check.
func BenchmarkBeyondSignature(b *testing.B) {
	headerText := `{"alg":"ES256","kid":"Jt3vQ-Zx81nUq0","typ":"at+jwt"}`
	payload := `{"iss":"https://auth.example.com","sub":"8d0f9a1c-4f56-4ab5-9f39-6c1f2a4b7e55","aud":"orders",` +
		`"exp":1772367000,"iat":1772366400,"jti":"3q2-7wAAAAAAAAAAAAAAAA","sid":"Yk7xCu3nWUmCk0dmWBE0qQ",` +
		`"client_id":"web","scope":"orders:read orders:write","auth_time":1772366400,"amr":["pwd"],` +
		`"roles":["buyer","admin"]}`
	raw := base64url.EncodeToString([]byte(headerText)) + "." + base64url.EncodeToString([]byte(payload)) + "." +
		base64url.EncodeToString(make([]byte, 64))
	parts, err := split(raw)
	if err != nil {
		b.Fatal(err)
	}
	verifier := &Verifier{clients: newMemo[revocation.ID](), headers: newMemo[*header]()}
	verifier.headers.put(parts.header, &header{})
	claims := &Claims{}
	if err := decodeClaims(payload, claims, nil); err != nil {
		b.Fatal(err)
	}
	for name, step := range map[string]func() error{
		"split":        func() error { _, err := split(raw); return err },
		"header":       func() error { _, err := decodeHeader(headerText); return err },
		"known header": func() error { verifier.headers.get(parts.header); return nil },
		"copy":         func() error { _, _, err := own(raw, parts.payload); return err },
		"claims":       func() error { return decodeClaims(payload, &Claims{}, make([]string, 0, 6)) },
		"revocation":   func() error { verifier.revocationClaims(claims, revocation.ID{}); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := step(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
