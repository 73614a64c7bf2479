package main_test

import (
	"crypto"
	"encoding/json"
	"io"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// publicKeys reads a JWKS with go-jose, which shares no code with authd.
func publicKeys(r io.Reader) (*oidc.StaticKeySet, error) {
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(r).Decode(&set); err != nil {
		return nil, err
	}
	keys := make([]crypto.PublicKey, 0, len(set.Keys))
	for i := range set.Keys {
		keys = append(keys, set.Keys[i].Public().Key)
	}
	return &oidc.StaticKeySet{PublicKeys: keys}, nil
}

func keyID(t *testing.T, raw string) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Signatures[0].Header.KeyID
}

// claims are those that tests look at, read without authd's code.
type claims struct {
	ID        string `json:"jti"`
	SessionID string `json:"sid"`
	Subject   string `json:"sub"`
	ClientID  string `json:"client_id"`
}

func claimsOf(t *testing.T, raw string) claims {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}
