package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// Bounds of what a fetched JWKS may hold. They are far above what an honest issuer publishes.
const (
	maxJWKSBytes = 1 << 20
	maxJWKSKeys  = 64
	maxKIDBytes  = 128
	minRSABits   = 2048
	maxRSABits   = 8192 // a check costs the square of it, and the kid in a forged token chooses the key
)

// remoteKey is one usable key of a fetched JWKS.
type remoteKey struct {
	kid    string
	alg    string // the one algorithm it verifies, by its JOSE name
	public crypto.PublicKey
}

// verifies tells whether k may check a token whose header says alg. "Ed25519" is the name that RFC 9864 gives to the one
// algorithm "EdDSA" means for such a key.
func (k remoteKey) verifies(alg string) bool {
	return alg == k.alg || k.alg == "EdDSA" && alg == "Ed25519"
}

// refusedKey says why one JWK of a set is not used.
type refusedKey struct {
	index int    // in the "keys" array
	kid   string // as sent, possibly empty
	err   error
}

// parseRemoteJWKS reads a JWK set (RFC 7517 section 5). A JWK that cannot be trusted is refused alone, as that section
// asks; the set as a whole is refused when it is no JWK set, too large, or without a single usable key.
func parseRemoteJWKS(doc []byte) (map[string]remoteKey, []refusedKey, error) {
	if len(doc) > maxJWKSBytes {
		return nil, nil, fmt.Errorf("JWKS is larger than %d bytes", maxJWKSBytes)
	}
	set, err := jsonMembers(doc)
	if err != nil {
		return nil, nil, fmt.Errorf("JWKS: %w", err)
	}
	var jwks []json.RawMessage
	if err := json.Unmarshal(set["keys"], &jwks); err != nil || jwks == nil {
		return nil, nil, errors.New(`JWKS: "keys" is not an array`)
	}
	if len(jwks) > maxJWKSKeys {
		return nil, nil, fmt.Errorf("JWKS has %d keys, at most %d are read", len(jwks), maxJWKSKeys)
	}

	keys := make(map[string]remoteKey, len(jwks))
	var refused []refusedKey
	seen := make(map[string]int, len(jwks)) // kid → how often, among all JWKs and not only the usable
	for i, raw := range jwks {
		k, err := parseRemoteJWK(raw)
		if k.kid != "" {
			seen[k.kid]++
		}
		if err != nil {
			refused = append(refused, refusedKey{i, k.kid, err})
			continue
		}
		keys[k.kid] = k
	}
	for kid, n := range seen {
		if _, usable := keys[kid]; n > 1 && usable {
			delete(keys, kid) // all of them: two readers might choose differently
			refused = append(refused, refusedKey{-1, kid, fmt.Errorf("%d keys have this kid", n)})
		}
	}
	if len(keys) == 0 {
		return nil, refused, fmt.Errorf("JWKS has no usable key among %d", len(jwks))
	}
	return keys, refused, nil
}

// privateMembers are the members of private and symmetric keys (RFC 7518 sections 6.2.2, 6.3.2, 6.4; RFC 8037). A key
// that was published with one of them is everybody's.
var privateMembers = [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// parseRemoteJWK reads one JWK. The kid is returned with an error too, where there is one.
func parseRemoteJWK(raw []byte) (remoteKey, error) {
	m, err := jsonMembers(raw)
	if err != nil {
		return remoteKey{}, err
	}
	kid, err := m.text("kid")
	if err != nil {
		return remoteKey{}, err
	}
	if !plausibleKID(kid) {
		return remoteKey{}, fmt.Errorf("kid is not 1 to %d printable ASCII characters", maxKIDBytes)
	}
	k := remoteKey{kid: kid}
	for _, name := range privateMembers {
		if _, ok := m[name]; ok {
			return k, fmt.Errorf("private member %q is published", name)
		}
	}
	if err := m.forVerifying(); err != nil {
		return k, err
	}
	kty, err := m.text("kty")
	if err != nil {
		return k, err
	}
	switch kty {
	case "EC":
		k.alg, k.public, err = m.ecKey()
	case "OKP":
		k.alg, k.public, err = m.okpKey()
	case "RSA":
		k.alg, k.public, err = m.rsaKey()
	default:
		err = fmt.Errorf("key type %q is not used here", kty)
	}
	if err != nil {
		return k, err
	}
	return k, m.agreesOn(&k)
}

// plausibleKID is what a kid must look like to be looked up at all, let alone fetched for.
func plausibleKID(kid string) bool {
	if kid == "" || len(kid) > maxKIDBytes {
		return false
	}
	for i := range len(kid) {
		if kid[i] < 0x20 || kid[i] > 0x7e {
			return false
		}
	}
	return true
}

// forVerifying refuses keys that are declared to be for something else than verifying (RFC 7517 sections 4.2, 4.3).
func (m jwkMembers) forVerifying() error {
	use, err := m.optionalText("use")
	if err != nil {
		return err
	}
	if use != "" && use != "sig" {
		return fmt.Errorf("use is %q, not sig", use)
	}
	raw, ok := m["key_ops"]
	if !ok {
		return nil
	}
	var ops []string
	if err := json.Unmarshal(raw, &ops); err != nil || !slices.Contains(ops, "verify") {
		return errors.New("key_ops lacks verify")
	}
	return nil
}

// agreesOn compares the "alg" member, where there is one, with the algorithm that follows from the key itself.
func (m jwkMembers) agreesOn(k *remoteKey) error {
	alg, err := m.optionalText("alg")
	if err != nil {
		return err
	}
	if alg != "" && !k.verifies(alg) {
		return fmt.Errorf("alg is %q, but the key is for %s", alg, k.alg)
	}
	return nil
}

func (m jwkMembers) onCurve(want string) error {
	crv, err := m.text("crv")
	if err == nil && crv != want {
		err = fmt.Errorf("curve %q is not used here", crv)
	}
	return err
}

func (m jwkMembers) ecKey() (alg string, key crypto.PublicKey, err error) {
	if err := m.onCurve("P-256"); err != nil {
		return "", nil, err
	}
	x, err := m.bytes("x", 32)
	if err != nil {
		return "", nil, err
	}
	y, err := m.bytes("y", 32)
	if err != nil {
		return "", nil, err
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return "", nil, errors.New("x and y are not a point of P-256")
	}
	return "ES256", pub, nil
}

func (m jwkMembers) okpKey() (alg string, key crypto.PublicKey, err error) {
	if err := m.onCurve("Ed25519"); err != nil {
		return "", nil, err
	}
	x, err := m.bytes("x", ed25519.PublicKeySize)
	if err != nil {
		return "", nil, err
	}
	return "EdDSA", ed25519.PublicKey(x), nil
}

func (m jwkMembers) rsaKey() (alg string, key crypto.PublicKey, err error) {
	nb, err := m.bytes("n", 0)
	if err != nil {
		return "", nil, err
	}
	eb, err := m.bytes("e", 0)
	if err != nil {
		return "", nil, err
	}
	n, e := new(big.Int).SetBytes(nb), new(big.Int).SetBytes(eb)
	switch {
	case n.BitLen() < minRSABits || n.BitLen() > maxRSABits:
		return "", nil, fmt.Errorf("modulus of %d bits, want %d to %d", n.BitLen(), minRSABits, maxRSABits)
	case n.Bit(0) == 0:
		return "", nil, errors.New("modulus is even")
	case e.BitLen() < 17 || e.BitLen() > 31 || e.Bit(0) == 0: // FIPS 186-5 wants e > 2^16; crypto/rsa takes 31 bits
		return "", nil, errors.New("exponent is even or outside 2^16 to 2^31")
	}
	return "RS256", &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// jwkMembers are the members of one JSON object by their exact names: encoding/json on its own would let "Kid" stand
// for "kid".
type jwkMembers map[string]json.RawMessage

// jsonMembers reads one JSON object and nothing after it. Duplicate names are refused (RFC 7517 section 4).
func jsonMembers(raw []byte) (jwkMembers, error) {
	errNotObject := errors.New("not a JSON object")
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	m := jwkMembers{}
	for dec.More() {
		t, err := dec.Token()
		name, isName := t.(string)
		if err != nil || !isName {
			return nil, errNotObject
		}
		if _, dup := m[name]; dup {
			return nil, fmt.Errorf("duplicate member %.40q", name)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errNotObject
		}
		m[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the JSON object")
	}
	return m, nil
}

// text returns a string member that must be there.
func (m jwkMembers) text(name string) (string, error) {
	var s *string
	if err := json.Unmarshal(m[name], &s); err != nil || s == nil {
		return "", fmt.Errorf("%q is not a string", name)
	}
	return *s, nil
}

// optionalText returns a string member, or "" when there is none.
func (m jwkMembers) optionalText(name string) (string, error) {
	if _, ok := m[name]; !ok {
		return "", nil
	}
	return m.text(name)
}

// bytes decodes a member in base64url without padding (RFC 7515 section 2), of exactly size bytes unless size is 0.
func (m jwkMembers) bytes(name string, size int) ([]byte, error) {
	s, err := m.text(name)
	if err != nil {
		return nil, err
	}
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' { // which package base64 would skip
			return nil, fmt.Errorf("%q is not base64url", name)
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not base64url", name)
	}
	if size > 0 && len(b) != size {
		return nil, fmt.Errorf("%q has %d bytes, want %d", name, len(b), size)
	}
	return b, nil
}
