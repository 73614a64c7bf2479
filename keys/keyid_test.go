package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/authd-project/authd/keys"
)

// The examples of RFC 7638 section 3.1 and RFC 8037 appendix A.3.
func TestThumbprintVectors(t *testing.T) {
	modulus := "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o" +
		"knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6" +
		"qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awap" +
		"JzKnqDKgw"
	for name, v := range map[string]struct {
		key  crypto.PublicKey
		want string
	}{
		"RFC 7638": {
			&rsa.PublicKey{N: new(big.Int).SetBytes(decode(t, modulus)), E: 65537},
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		},
		"RFC 8037": {
			ed25519.PublicKey(decode(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		},
	} {
		got, err := keys.Thumbprint(v.key)
		if err != nil || got != v.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, v.want)
		}
	}
}

// Neither RFC has an example for an EC key; another implementation stands in. Enough keys to meet coordinates with
// leading zeros, which must not be cut (RFC 7518 section 6.2.1.2).
func TestThumbprintOfECKeysAgreesWithGoJose(t *testing.T) {
	for range 600 {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		want, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keys.Thumbprint(private.Public())
		if err != nil || got != base64.RawURLEncoding.EncodeToString(want) {
			t.Fatalf("got %q, %v, want %q", got, err, base64.RawURLEncoding.EncodeToString(want))
		}
	}
}

func TestThumbprintRefusesOtherKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{"P-384": p384.Public(), "private": p384, "octets": []byte("k"), "nil": nil} {
		if got, err := keys.Thumbprint(key); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestKeyIDShape(t *testing.T) {
	key := ed25519.PublicKey(decode(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
	kid, err := keys.KeyID("abcd2345", key)
	if err != nil || kid != "abcd2345-kPrK_qmxVWaYVA9wwBF6Iu" {
		t.Fatalf("got %q, %v", kid, err)
	}
	if epoch, ok := keys.ParseKeyID(kid); !ok || epoch != "abcd2345" {
		t.Errorf("got epoch %q, %v", epoch, ok)
	}
	for name, junk := range map[string]string{
		"empty":               "",
		"no epoch":            kid[8:],
		"no thumbprint":       kid[:9],
		"too short":           kid[:30],
		"too long":            kid + "A",
		"upper case epoch":    "A" + kid[1:],
		"digit of no base32":  "1" + kid[1:],
		"other separator":     strings.Replace(kid, "-", "_", 1),
		"not base64url":       kid[:30] + "+",
		"line feed":           kid[:30] + "\n",
		"not ASCII":           kid[:29] + "é",
		"a flag":              "-" + kid[1:],
		"begins with a blank": " " + kid[1:],
	} {
		if epoch, ok := keys.ParseKeyID(junk); ok {
			t.Errorf("%s: %q passed with epoch %q", name, junk, epoch)
		}
	}
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
