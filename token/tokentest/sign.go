package tokentest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// algorithmOf names the algorithm that a key is for, "" if it is for none.
func algorithmOf(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return "ES256"
		}
	case ed25519.PublicKey:
		return "EdDSA"
	case *rsa.PublicKey:
		return "RS256"
	}
	return ""
}

// sign signs text as the algorithm of the key's type wants it, with another hash than usual if hash says so. The same text
// gets the same signature.
func sign(key crypto.Signer, text string, hash crypto.Hash) ([]byte, error) {
	if _, ed := key.Public().(ed25519.PublicKey); ed {
		if hash == crypto.SHA256 { // what EdDSA uses is its own affair
			return key.Sign(nil, []byte(text), crypto.Hash(0))
		}
		h := crypto.SHA512.New()
		h.Write([]byte(text))
		return key.Sign(nil, h.Sum(nil), crypto.SHA512) // Ed25519ph
	}
	h := hash.New()
	h.Write([]byte(text))
	curve, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return key.Sign(rand.Reader, h.Sum(nil), hash) // PKCS #1 v1.5 makes no use of it
	}
	random := rand.Reader
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		random = nil // by RFC 6979, so the same again for the same text
	}
	der, err := key.Sign(random, h.Sum(nil), hash)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &n); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	size := (curve.Params().BitSize + 7) / 8
	return append(n.R.FillBytes(make([]byte, size)), n.S.FillBytes(make([]byte, size))...), nil
}

// signedBy makes a token in compact form.
func (c *corpus) signedBy(key crypto.Signer, header, claims fmt.Stringer) string {
	return c.signing(key, encode(header.String())+"."+encode(claims.String()))
}

// signed makes a token with the real key.
func (c *corpus) signed(header, claims fmt.Stringer) string { return c.signedBy(c.Key, header, claims) }

// signing appends the signature of text to it.
func (c *corpus) signing(key crypto.Signer, text string) string {
	hash := crypto.SHA256
	if key == crypto.Signer(c.forger.p384) {
		hash = crypto.SHA384
	}
	signature, err := sign(key, text, hash)
	c.err = errors.Join(c.err, err)
	return text + "." + base64url.EncodeToString(signature)
}

// with is the good token with another signature.
func (c *corpus) with(signature []byte) string {
	return c.headPart + "." + c.bodyPart + "." + base64url.EncodeToString(signature)
}

// forger holds the keys of somebody who is not the issuer, one for each algorithm.
type forger struct {
	ec, p384 *ecdsa.PrivateKey
	ed       ed25519.PrivateKey
	rsa      *rsa.PrivateKey
	kid      string
	ids      []string // made-up names of keys that look like authd's
}

//go:embed forger.pem
var forgerPEM []byte

func newForger(seed uint64) (forger, error) {
	draw := func(what string) []byte {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), seed))
		return sum[:]
	}
	var f forger
	block, _ := pem.Decode(forgerPEM)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return forger{}, fmt.Errorf("the forger's RSA key: %w", err)
	}
	f.rsa = key.(*rsa.PrivateKey)
	f.ed = ed25519.NewKeyFromSeed(draw("ed25519"))
	if f.ec, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), draw("p256")); err != nil {
		return forger{}, fmt.Errorf("the forger's key: %w", err)
	}
	if f.p384, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), append(draw("p384")[:16], draw("p384")...)); err != nil {
		return forger{}, fmt.Errorf("the forger's key: %w", err)
	}
	for i := range 6 {
		random := draw(fmt.Sprint("kid", i))
		f.ids = append(f.ids, madeUpKeyID(random))
	}
	f.kid, f.ids = f.ids[0], f.ids[1:]
	return f, nil
}

// madeUpKeyID looks like a kid of authd: 8 letters for the ring, 22 of a thumbprint.
func madeUpKeyID(random []byte) string {
	ring := make([]byte, 8)
	for i := range ring {
		ring[i] = "abcdefghijklmnopqrstuvwxyz234567"[random[i]%32]
	}
	return string(ring) + "-" + base64url.EncodeToString(random[8:24])
}

// like returns the forger's key for the algorithm of the real one.
func (f forger) like(alg string) crypto.Signer {
	switch alg {
	case "ES256":
		return f.ec
	case "EdDSA":
		return f.ed
	}
	return f.rsa
}

// publicJWK is a public key as a JWK set has it (RFC 7517), with the given members before.
func publicJWK(key crypto.PublicKey, before object) object {
	b64 := func(b []byte) string { return quote(base64url.EncodeToString(b)) }
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err) // the point was checked when the key was made
		}
		half := len(point) / 2
		return before.last("kty", `"EC"`).last("crv", quote(key.Params().Name)).
			last("x", b64(point[1:1+half])).last("y", b64(point[1+half:]))
	case ed25519.PublicKey:
		return before.last("kty", `"OKP"`).last("crv", `"Ed25519"`).last("x", b64(key))
	case *rsa.PublicKey:
		return before.last("kty", `"RSA"`).last("n", b64(key.N.Bytes())).last("e", b64(big.NewInt(int64(key.E)).Bytes()))
	}
	panic(fmt.Sprintf("no JWK of a %T", key))
}

// certificate returns one for the forger's key of that algorithm, in DER.
func (f forger) certificate(alg string) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames: []string{"auth.example.com"},
	}
	der, err := x509.CreateCertificate(nil, template, template, f.like(alg).Public(), f.ed) // Ed25519 uses no randomness
	if err != nil {
		return nil, fmt.Errorf("the forger's certificate: %w", err)
	}
	return der, nil
}

// keyText is a public key in one of the forms in which people keep it.
type keyText struct {
	name string
	text []byte
}

// keyTexts are all bytes that a careless verifier might take for the secret of an HMAC.
func (c *corpus) keyTexts() []keyText {
	public := c.Key.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		c.err = errors.Join(c.err, fmt.Errorf("encoding the public key: %w", err))
		return nil
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk := publicJWK(public, nil)
	named := publicJWK(public, object{{"kid", quote(c.kid)}, {"alg", quote(c.alg)}, {"use", `"sig"`}})
	forms := []keyText{
		{"PEM", text},
		{"PEM-without-line-end", text[:len(text)-1]},
		{"PEM-CRLF", replaceAll(text, "\n", "\r\n")},
		{"PEM-one-line", replaceAll(text, "\n", "")},
		{"PEM-escaped", replaceAll(text, "\n", `\n`)},
		{"DER", der},
		{"DER-base64", []byte(base64.StdEncoding.EncodeToString(der))},
		{"DER-base64url", []byte(base64url.EncodeToString(der))},
		{"DER-hex", fmt.Appendf(nil, "%x", der)},
		{"JWK", []byte(jwk.String())},
		{"JWK-of-the-set", []byte(named.String())},
		{"JWKS", []byte(`{"keys":[` + named.String() + `]}`)},
		{"JWK-thumbprint", thumbprint(jwk)},
	}
	return append(forms, rawForms(public)...)
}

func rawForms(public crypto.PublicKey) []keyText {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err) // the point was checked when the key was made
		}
		x, y := point[1:33], point[33:]
		return []keyText{
			{"point", point}, {"x-and-y", point[1:]}, {"x", x}, {"y", y},
			{"compressed-point", append([]byte{2 + y[31]&1}, x...)},
			{"x-base64url", []byte(base64url.EncodeToString(x))},
			{"point-base64", []byte(base64.StdEncoding.EncodeToString(point))},
			{"point-hex", fmt.Appendf(nil, "%x", point)},
		}
	case ed25519.PublicKey:
		return []keyText{
			{"x", key}, {"x-base64url", []byte(base64url.EncodeToString(key))},
			{"x-base64", []byte(base64.StdEncoding.EncodeToString(key))}, {"x-hex", fmt.Appendf(nil, "%x", []byte(key))},
		}
	case *rsa.PublicKey:
		der := x509.MarshalPKCS1PublicKey(key)
		text := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der})
		return []keyText{
			{"PKCS1", der}, {"PKCS1-PEM", text}, {"PKCS1-PEM-without-line-end", text[:len(text)-1]},
			{"n", key.N.Bytes()}, {"n-base64url", []byte(base64url.EncodeToString(key.N.Bytes()))},
			{"n-decimal", []byte(key.N.String())},
		}
	}
	return nil
}

func replaceAll(b []byte, from, to string) []byte {
	return bytes.ReplaceAll(b, []byte(from), []byte(to))
}

// thumbprint is not quite that of RFC 7638, as the members are not sorted for every type: it is for a made-up secret.
func thumbprint(jwk object) []byte {
	sum := sha256.Sum256([]byte(jwk.String()))
	return []byte(base64url.EncodeToString(sum[:]))
}
