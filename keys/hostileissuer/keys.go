package hostileissuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/authd-project/authd/token"
)

// Algorithm is that of the keys and tokens of all scenarios: the one that most libraries know.
const Algorithm = "ES256"

// signer is one key. It implements [token.SigningKeys].
type signer struct {
	kid     string
	private *ecdsa.PrivateKey
}

func newSigner(kid string) (signer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signer{}, fmt.Errorf("making a key: %w", err)
	}
	return signer{kid, private}, nil
}

// SigningKey implements [token.SigningKeys].
func (s signer) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return s.kid, Algorithm, s.private, nil
}

// jwk is the public key as a JSON Web Key, to be spoilt by who likes.
type jwk map[string]any

func (s signer) jwk() (jwk, error) {
	point, err := s.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return jwk{
		"kty": "EC", "crv": "P-256", "alg": Algorithm, "use": "sig", "kid": s.kid, "x": b64(point[1:33]), "y": b64(point[33:]),
	}, nil
}

func jwks(keys []jwk) string {
	doc, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err) // strings only
	}
	return string(doc)
}

// set answers a JWK set, as an honest issuer does.
func set(cacheControl, doc string) http.HandlerFunc {
	return With("Cache-Control", cacheControl, With("Content-Type", "application/jwk-set+json", Says(http.StatusOK, doc)))
}

// issue makes a token that says it was signed by s for the settings' audience. It is a new one each time, as verifiers may
// remember tokens.
func (s Settings) issue(ctx context.Context, by signer) (string, error) {
	i, err := token.NewIssuer(token.IssuerConfig{Issuer: s.Issuer, Audience: []string{s.Audience}, Keys: by})
	if err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	raw, _, err := i.Issue(ctx, token.Claims{Subject: "alice", ClientID: "web"})
	return raw, err
}

// confuse signs a token again, with an HMAC under a secret that stands in the set (RFC 8725 section 2.1).
func confuse(raw, kid string, secret []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	header := b64([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"` + kid + `"}`))
	signing := header + "." + strings.Split(raw, ".")[1]
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signing))
	return signing + "." + b64(mac.Sum(nil))
}
