package tokentest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"

	"github.com/authd-project/authd/token"
)

// forged appends the good token with another signature.
func (c *corpus) forged(name string, signature []byte) {
	c.add(name, c.with(signature), token.ErrSignature)
}

// signatures: the real signature, cut, stretched or turned. None of these depends on the algorithm.
func (c *corpus) signatures() {
	c.about("signature", "RFC 7515 section 5.2")
	s := c.signature
	n := len(s)
	c.forged("empty", nil)
	c.forged("one-zero", []byte{0})
	c.forged("zeros", make([]byte, n))
	c.forged("ones", bytes.Repeat([]byte{0xff}, n))
	for _, cut := range []int{1, 2, 3, 4, 8, 16, n / 2, n - 1} {
		c.forged(fmt.Sprint("cut-by-", cut), s[:n-cut])
	}
	c.forged("first-byte-lost", s[1:])
	c.forged("second-half", s[n/2:])
	for _, more := range []struct {
		name string
		tail []byte
	}{{"zero", []byte{0}}, {"byte-ff", []byte{0xff}}, {"line-end", []byte("\n")}, {"32-zeros", make([]byte, 32)}, {"itself", s}, {"4096-zeros", make([]byte, 4096)}} {
		c.forged("followed-by-"+more.name, slices.Concat(s, more.tail))
		if more.name != "itself" {
			c.forged("preceded-by-"+more.name, slices.Concat(more.tail, s))
		}
	}
	for _, at := range []int{0, 1, n/2 - 1, n / 2, n - 2, n - 1} {
		for _, bit := range []byte{0x01, 0x80} {
			flipped := bytes.Clone(s)
			flipped[at] ^= bit
			c.forged(fmt.Sprintf("bit-%02x-of-byte-%d", bit, at), flipped)
		}
	}
	reversed := bytes.Clone(s)
	slices.Reverse(reversed)
	c.forged("reversed", reversed)
	c.forged("halves-swapped", slices.Concat(s[n/2:], s[:n/2]))
	c.forged("first-half-twice", slices.Concat(s[:n/2], s[:n/2]))
	c.forged("second-half-twice", slices.Concat(s[n/2:], s[n/2:]))
	c.forged("hex", []byte(hex.EncodeToString(s)))
	c.forged("base64", []byte(base64.StdEncoding.EncodeToString(s)))
	c.forged("base64url", []byte(base64url.EncodeToString(s)))
	c.forged("octet-string", derOf(c, s))
	c.forged("bit-string", derOf(c, asn1.BitString{Bytes: s, BitLength: 8 * n}))
	c.forged("sequence-of-octet-strings", derOf(c, struct{ A, B []byte }{s[:n/2], s[n/2:]}))
	for _, word := range []string{"null", "{}", "signature", "valid"} {
		c.forged("word-"+word, []byte(word))
	}
}

// derOf encodes in DER.
func derOf(c *corpus, value any) []byte {
	der, err := asn1.Marshal(value)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("encoding in DER: %w", err)
	}
	return der
}

// signedOtherwise: a signature of the real key, but of something else.
func (c *corpus) signedOtherwise() {
	c.about("signature-of", "RFC 7515 section 5.2")
	of := func(name, text string, hash crypto.Hash) {
		signature, err := sign(c.Key, text, hash)
		if err != nil && c.err == nil {
			c.err = err
		}
		c.forged(name, signature)
	}
	signing := c.headPart + "." + c.bodyPart
	for _, other := range []struct{ name, text string }{
		{"nothing", ""}, {"the-header", c.headPart}, {"the-claims", c.bodyPart}, {"the-token", c.Good}, {"no-dot", c.headPart + c.bodyPart},
		{"a-dot-more", signing + "."}, {"claims-first", c.bodyPart + "." + c.headPart}, {"decoded", c.header.String() + "." + c.claims.String()},
		{"decoded-claims", c.claims.String()}, {"a-line-end-more", signing + "\n"}, {"padded", c.headPart + "=." + c.bodyPart + "="},
		{"another-token", encode(c.header.String()) + "." + encode(c.claims.set("jti", `"another"`).String())},
		{"another-header", encode(c.header.set("typ", `"JWT"`).String()) + "." + c.bodyPart},
	} {
		of(other.name, other.text, crypto.SHA256)
	}
	of("another-hash", signing, crypto.SHA512)
	sum := sha256.Sum256([]byte(signing))
	of("the-hash", string(sum[:]), crypto.SHA256)
	if _, ed := c.Key.(ed25519.PrivateKey); !ed {
		of("SHA-384", signing, crypto.SHA384)
	}
}

// curveSignatures: the special values of ECDSA.
func (c *corpus) curveSignatures() {
	key, ok := c.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return
	}
	params := key.Params()
	numbers := []struct {
		name string
		n    *big.Int
	}{
		{"0", big.NewInt(0)}, {"1", big.NewInt(1)}, {"n-1", new(big.Int).Sub(params.N, big.NewInt(1))}, {"n", params.N},
		{"n+1", new(big.Int).Add(params.N, big.NewInt(1))}, {"p", params.P},
	}
	half := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
	r, s := c.signature[:32], c.signature[32:]
	c.about("psychic", "FIPS 186-5 section 6.4.2; CVE-2022-21449")
	for _, a := range numbers {
		for _, b := range numbers {
			if a.name != "0" || b.name != "0" { // that one is "signature/zeros"
				c.forged("r="+a.name+",s="+b.name, slices.Concat(half(a.n), half(b.n)))
			}
		}
		c.forged("r="+a.name, slices.Concat(half(a.n), s))
		c.forged("s="+a.name, slices.Concat(r, half(a.n)))
	}
	gx := elliptic.P256().Params().Gx
	c.forged("r-of-the-base-point", slices.Concat(half(gx), s))
	c.curveForms(r, s)
}

// curveForms: the same numbers, written otherwise than RFC 7518 section 3.4 says.
func (c *corpus) curveForms(r, s []byte) {
	c.about("signature-form", "RFC 7518 section 3.4")
	type pair struct{ R, S *big.Int }
	numbers := pair{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)}
	der := derOf(c, numbers)
	c.forged("DER", der)
	c.forged("DER-long-length", slices.Concat([]byte{0x30, 0x81}, der[1:]))
	c.forged("DER-indefinite-length", slices.Concat([]byte{0x30, 0x80}, der[2:], []byte{0, 0}))
	c.forged("DER-and-more", slices.Concat(der, []byte{0}))
	c.forged("DER-cut-to-64", der[:64])
	c.forged("DER-base64", []byte(base64.StdEncoding.EncodeToString(der)))
	c.forged("DER-of-zeros", derOf(c, pair{big.NewInt(0), big.NewInt(0)}))
	c.forged("DER-of-ones", derOf(c, pair{big.NewInt(1), big.NewInt(1)}))
	c.forged("DER-negative", derOf(c, pair{new(big.Int).Neg(numbers.R), new(big.Int).Neg(numbers.S)}))
	for _, width := range []int{33, 48, 66} {
		c.forged(fmt.Sprint("numbers-of-", width), slices.Concat(numbers.R.FillBytes(make([]byte, width)), numbers.S.FillBytes(make([]byte, width))))
	}
	for _, v := range []byte{27, 28, 31} {
		c.forged(fmt.Sprint("recoverable-", v), slices.Concat([]byte{v}, r, s))
		c.forged(fmt.Sprint("recoverable-at-the-end-", v), slices.Concat(r, s, []byte{v}))
	}
	little := func(b []byte) []byte {
		b = bytes.Clone(b)
		slices.Reverse(b)
		return b
	}
	c.forged("little-endian", slices.Concat(little(r), little(s)))
	c.forged("JSON", fmt.Appendf(nil, `{"r":"%x","s":"%x"}`, r, s))
	c.forged("decimal", []byte(numbers.R.String()+","+numbers.S.String()))
}

// edwardsSignatures: the special values of Ed25519.
func (c *corpus) edwardsSignatures() {
	if _, ok := c.Key.Public().(ed25519.PublicKey); !ok {
		return
	}
	c.about("psychic", "RFC 8032 section 5.1.7")
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	r, s := c.signature[:32], c.signature[32:]
	little := func(n *big.Int) []byte {
		b := n.FillBytes(make([]byte, 32))
		slices.Reverse(b)
		return b
	}
	number := func(b []byte) *big.Int {
		b = bytes.Clone(b)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	for i := range int64(8) {
		more := new(big.Int).Add(number(s), new(big.Int).Mul(order, big.NewInt(i+1)))
		c.forged(fmt.Sprintf("s+%d-times-the-order", i+1), slices.Concat(r, little(more)))
	}
	c.forged("s=0", slices.Concat(r, make([]byte, 32)))
	c.forged("s=order", slices.Concat(r, little(order)))
	c.forged("minus-s", slices.Concat(r, little(new(big.Int).Sub(order, number(s)))))
	for name, point := range smallPoints {
		encoded, err := hex.DecodeString(point)
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("reading a point: %w", err)
		}
		c.forged("r-of-small-order/"+name+",s=0", slices.Concat(encoded, make([]byte, 32)))
		c.forged("r-of-small-order/"+name, slices.Concat(encoded, s))
	}
}

// smallPoints are encodings of the points of small order, some of them not canonical.
var smallPoints = map[string]string{
	"identity":               "0100000000000000000000000000000000000000000000000000000000000000",
	"identity-not-canonical": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"identity-sign-bit":      "0100000000000000000000000000000000000000000000000000000000000080",
	"order-2":                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order-2-sign-bit":       "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"order-4-sign-bit":       "0000000000000000000000000000000000000000000000000000000000000080",
	"order-8-a":              "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"order-8-b":              "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}

// rsaSignatures: the special values of RSA, and forgeries of PKCS #1 v1.5.
func (c *corpus) rsaSignatures() {
	key, ok := c.Key.Public().(*rsa.PublicKey)
	if !ok {
		return
	}
	c.about("psychic", "RFC 8017 section 8.2.2")
	size := key.Size()
	fill := func(n *big.Int) []byte { return n.FillBytes(make([]byte, size)) }
	one := big.NewInt(1)
	c.forged("1", fill(one))
	c.forged("n", fill(key.N))
	c.forged("n-1", fill(new(big.Int).Sub(key.N, one)))
	c.forged("n+1", fill(new(big.Int).Add(key.N, one)))
	c.forged("n-s", fill(new(big.Int).Sub(key.N, new(big.Int).SetBytes(c.signature))))
	c.forged("s+n", new(big.Int).Add(key.N, new(big.Int).SetBytes(c.signature)).FillBytes(make([]byte, size+1)))
	sum := sha256.Sum256([]byte(c.headPart + "." + c.bodyPart))
	info, err := hex.DecodeString("3031300d060960864801650304020105000420")
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("reading a constant: %w", err)
	}
	info = append(info, sum[:]...)
	padding := bytes.Repeat([]byte{0xff}, size-len(info)-3)
	c.forged("message-itself", slices.Concat([]byte{0, 1}, padding, []byte{0}, info))
	short := slices.Concat([]byte{0, 1}, padding[:8], []byte{0}, info)
	c.forged("cube-root", cubeRoot(slices.Concat(short, make([]byte, size-len(short)))).FillBytes(make([]byte, size)))
}

// cubeRoot is the least number whose cube is not below that of b: with e = 3 its cube would begin like b.
func cubeRoot(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), uint(n.BitLen()/3+2))
	three := big.NewInt(3)
	for low.Cmp(high) < 0 {
		mid := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Int).Exp(mid, three, nil).Cmp(n) < 0 {
			low = mid.Add(mid, big.NewInt(1))
		} else {
			high = mid
		}
	}
	return low
}

// tampered: the claims were changed, the signature is that of the good token.
func (c *corpus) tampered() {
	c.about("tampered", "RFC 7515 section 5.2")
	for name, claims := range map[string]fmt.Stringer{
		"sub":        c.claims.set("sub", `"mallory"`),
		"aud":        c.claims.set("aud", `["*"]`),
		"exp":        c.claims.set("exp", fmt.Sprint(c.iat+24*60*60)),
		"iat":        c.claims.set("iat", fmt.Sprint(c.iat-1)),
		"jti":        c.claims.set("jti", `"another"`),
		"sid":        c.claims.set("sid", `"another"`),
		"scope":      c.claims.set("scope", `"admin"`),
		"roles":      c.claims.set("roles", `["admin"]`),
		"acr":        c.claims.set("acr", `"3"`),
		"client_id":  c.claims.set("client_id", `"another"`),
		"a-claim":    c.claims.last("admin", `true`),
		"less":       c.claims.without("jti"),
		"spaces":     text(" " + c.claims.String()),
		"line-end":   text(c.claims.String() + "\n"),
		"other-way":  text(c.claims.String()[:1] + " " + c.claims.String()[1:]),
		"mostly":     text(`{"sub":"mallory",` + c.claims.String()[1:]),
		"no-claims":  text(`{}`),
		"two-tokens": text(c.claims.String() + c.claims.String()),
	} {
		c.add("claims/"+name, c.headPart+"."+encode(claims.String())+"."+c.sig, token.ErrSignature)
	}
	for name, header := range map[string]fmt.Stringer{
		"a-member": c.header.last("x", `1`), "spaces": text(" " + c.header.String()), "line-end": text(c.header.String() + "\n"),
		"typ-upper-case": c.header.set("typ", `"AT+JWT"`),
	} {
		c.add("header/"+name, encode(header.String())+"."+c.bodyPart+"."+c.sig, token.ErrSignature)
	}
}
