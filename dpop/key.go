package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"time"
)

// Key is a client's key, to which its tokens are bound. Methods may be called concurrently.
type Key struct {
	signer     crypto.Signer
	alg        string
	public     string // as JWK
	thumbprint string
}

// GenerateKey makes a key for ES256. It lives in memory only: tokens that are bound to it end with it.
func GenerateKey() (*Key, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("DPoP key: %w", err)
	}
	return NewKey(signer)
}

// NewKey makes a Key of an *ecdsa.PrivateKey on P-256, an ed25519.PrivateKey or an *rsa.PrivateKey of 2048 to 4096 bits.
func NewKey(signer crypto.Signer) (*Key, error) {
	k := &Key{signer: signer}
	switch key := signer.(type) {
	case *ecdsa.PrivateKey:
		k.alg = "ES256"
	case ed25519.PrivateKey:
		k.alg = "EdDSA"
	case *rsa.PrivateKey:
		k.alg = "RS256"
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.E != rsaExponent {
			return nil, fmt.Errorf("DPoP key: RSA key of %d bits with exponent %d: want 2048 to 4096, and 65537", bits, key.E)
		}
	default:
		return nil, fmt.Errorf("DPoP key: %T is of no kind that proofs are signed with", signer)
	}
	var err error
	if k.public, err = writeKey(signer.Public()); err != nil {
		return nil, err
	}
	k.thumbprint, err = Thumbprint(signer.Public())
	return k, err
}

// Thumbprint returns what cnf.jkt of the key's tokens is.
func (k *Key) Thumbprint() string { return k.thumbprint }

// Statement is what a proof is to say.
type Statement struct {
	Method      string    // of the request
	URL         string    // of the request; query and fragment are left out of the proof
	AccessToken string    // that goes with the request; empty at login and refresh
	Nonce       string    // from the server's last DPoP-Nonce header; empty if it sent none
	ID          string    // jti; random if empty
	IssuedAt    time.Time // now if zero
}

// Prove makes a proof. Each is good for one request.
func (k *Key) Prove(s Statement) (string, error) {
	if s.ID == "" {
		s.ID = rand.Text()
	}
	if s.IssuedAt.IsZero() {
		s.IssuedAt = time.Now()
	}
	htu, ok := target(s.URL)
	if !ok {
		return "", fmt.Errorf("DPoP proof: %q is no absolute http or https URL", s.URL)
	}
	claims := struct {
		ID     string `json:"jti"`
		Method string `json:"htm"`
		URL    string `json:"htu"`
		Issued int64  `json:"iat"`
		Hash   string `json:"ath,omitempty"`
		Nonce  string `json:"nonce,omitempty"`
	}{ID: s.ID, Method: s.Method, URL: htu, Issued: s.IssuedAt.Unix(), Nonce: s.Nonce}
	if s.AccessToken != "" {
		claims.Hash = hashOf(s.AccessToken)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("DPoP proof: %w", err)
	}
	header := fmt.Sprintf(`{"typ":"dpop+jwt","alg":"%s","jwk":%s}`, k.alg, k.public)
	signed := base64url.EncodeToString([]byte(header)) + "." + base64url.EncodeToString(payload)
	signature, err := method(k.alg).Sign(signed, k.signer)
	if err != nil {
		return "", fmt.Errorf("DPoP proof: signing: %w", err)
	}
	return signed + "." + base64url.EncodeToString(signature), nil
}
