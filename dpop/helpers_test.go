package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"
)

var (
	b64 = base64.RawURLEncoding.EncodeToString
	now = time.Unix(1_800_000_000, 0)
)

// forger makes proofs that need not be right, without the package under test.
type forger struct {
	t      testing.TB
	signer *ecdsa.PrivateKey
}

func newForger(t testing.TB) forger {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return forger{t, signer}
}

type object map[string]any

// with returns a copy in which members have other values; nil removes one.
func (o object) with(members ...any) object {
	c := object{}
	for k, v := range o {
		c[k] = v
	}
	for i := 0; i < len(members); i += 2 {
		if name := members[i].(string); members[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = members[i+1]
		}
	}
	return c
}

func (f forger) jwk() object {
	point, err := f.signer.PublicKey.Bytes()
	must(f.t, err)
	return object{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
}

func (f forger) header() object { return object{"typ": "dpop+jwt", "alg": "ES256", "jwk": f.jwk()} }

// claims are those of a proof for the request of the tests.
func claims() object {
	return object{"jti": "a-random-name", "htm": "POST", "htu": "https://api.example.com/orders", "iat": now.Unix()}
}

// sign makes a proof of two JSON texts.
func (f forger) sign(header, claims string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, f.signer, sum[:])
	must(f.t, err)
	return signed + "." + b64(append(fill(r), fill(s)...))
}

func (f forger) proof(header, claims object) string {
	return f.sign(text(f.t, header), text(f.t, claims))
}

func fill(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

func text(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
