package dpop

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
	"time"
)

// Bounds of a proof, in bytes.
const (
	maxProof = 4 << 10 // room for RSA keys of 4096 bits and a long URL
	maxID    = 128     // of jti
	maxURL   = 2 << 10
	maxNonce = 256
)

// Defaults of [Policy].
const (
	DefaultMaxAge = time.Minute
	DefaultLeeway = 30 * time.Second
)

// Policy says which proofs may pass. The zero value means the defaults.
type Policy struct {
	// Algorithms is the allow-list of alg, by default all of [Algorithms].
	Algorithms []string
	// MaxAge is how long a proof is good, by its iat; whole seconds, DefaultMaxAge if zero. So long, and for the leeway, it
	// must be remembered that it was used.
	MaxAge time.Duration
	// Leeway is how far the clock of a client may be ahead or behind; whole seconds, DefaultLeeway if zero.
	Leeway time.Duration
}

func (p Policy) withDefaults() Policy {
	if len(p.Algorithms) == 0 {
		p.Algorithms = Algorithms()
	}
	if p.MaxAge == 0 {
		p.MaxAge = DefaultMaxAge
	}
	if p.Leeway == 0 {
		p.Leeway = DefaultLeeway
	}
	return p
}

// keep is how long it must be remembered that a proof was used: its iat may lie ahead by the leeway. The second is for the
// fractions that comparing whole seconds leaves out.
func (p Policy) keep() time.Duration { return p.MaxAge + 2*p.Leeway + time.Second }

// Request is what a proof must be about.
type Request struct {
	Method string
	// URL is that by which the client knows the resource: absolute, as it was before any proxy. Query and fragment do not
	// count.
	URL string
	// AccessToken is the token that the proof came with; the proof's ath must be its hash. Empty where there is none, as at
	// login and refresh.
	AccessToken string
}

// Proof is what a good proof says.
type Proof struct {
	Thumbprint string // of the key that signed it, as in cnf.jkt
	ID         string // jti
	Nonce      string // of the server; empty if it has none. Check does not judge it
	IssuedAt   time.Time
}

// FromHeader returns the proof of a request's one DPoP header (RFC 9449 section 4.3): [ErrMissing] when there is none, and
// ErrInvalid when there are several. h is an http.Header.
func FromHeader(h map[string][]string) (string, error) {
	switch values := h["Dpop"]; len(values) {
	case 0:
		return "", ErrMissing
	case 1:
		return values[0], nil
	default:
		return "", defect("there are several")
	}
}

// Check decides whether raw is a proof of the request, by all that RFC 9449 section 4.3 asks for but the nonce, and that
// nobody used it before. The cheap comes first, the signature last.
func Check(raw string, r Request, p Policy, now time.Time) (*Proof, error) {
	p = p.withDefaults()
	header, payload, signature, err := split(raw)
	if err != nil {
		return nil, err
	}
	alg, key, err := readHeader(header, p.Algorithms)
	if err != nil {
		return nil, err
	}
	proof, err := readClaims(payload, r, p, now.Unix())
	if err != nil {
		return nil, err
	}
	signed := raw[:len(raw)-1-base64url.EncodedLen(len(signature))]
	if method(alg).Verify(signed, signature, key) != nil {
		return nil, defect("the signature does not match")
	}
	if proof.Thumbprint, err = Thumbprint(key); err != nil {
		return nil, defect("jwk cannot be hashed")
	}
	return proof, nil
}

// split takes a compact JWS (RFC 7515 section 7.1) apart.
func split(raw string) (header, payload, signature []byte, err error) {
	if len(raw) > maxProof {
		return nil, nil, nil, defect("it is too long")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || strings.ContainsAny(raw, "\r\n") { // Go's decoder would skip the two
		return nil, nil, nil, defect("it is not a compact JWS")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64url.DecodeString(part); err != nil {
			return nil, nil, nil, defect("it is not base64url without padding")
		}
	}
	return decoded[0], decoded[1], decoded[2], nil
}

// readHeader returns the algorithm and the key. Nothing else that a header may name (kid, jku, x5u, x5c) is looked at: the
// key of a proof is in the proof.
func readHeader(text []byte, algorithms []string) (alg string, key crypto.PublicKey, err error) {
	// crit announces extensions that must be understood (none is), b64 unencodes the payload (RFC 7797), enc and zip belong
	// to JWE, cty to nested JWTs.
	refused := []string{"crit", "b64", "enc", "zip", "cty"}
	h, err := readObject("the header", text, append([]string{"typ", "alg", "jwk"}, refused...)...)
	if err != nil {
		return "", nil, err
	}
	for _, name := range refused {
		if _, have := h[name]; have {
			return "", nil, defect(name + " is not supported")
		}
	}
	typ, err := h.text("typ", 32)
	if err != nil {
		return "", nil, err
	}
	if !strings.EqualFold(typ, "dpop+jwt") && !strings.EqualFold(typ, "application/dpop+jwt") {
		return "", nil, defect("typ is not dpop+jwt")
	}
	if alg, err = h.text("alg", 16); err != nil {
		return "", nil, err
	}
	if !slices.Contains(algorithms, alg) || method(alg) == nil {
		return "", nil, defect("alg is not accepted")
	}
	jwk, have := h["jwk"]
	if !have {
		return "", nil, defect("jwk is missing")
	}
	if key, err = readKey(jwk); err != nil {
		return "", nil, err
	}
	if !fits(alg, key) {
		return "", nil, defect("jwk is not for alg")
	}
	return alg, key, nil
}

// readClaims returns the claims if they are about the request.
func readClaims(text []byte, r Request, p Policy, now int64) (*Proof, error) {
	c, err := readObject("the claims", text, "jti", "htm", "htu", "iat", "ath", "nonce")
	if err != nil {
		return nil, err
	}
	var proof Proof
	if proof.ID, err = c.text("jti", maxID); err != nil {
		return nil, err
	}
	if err := c.checkRequest(r); err != nil {
		return nil, err
	}
	iat, err := c.number("iat")
	if err != nil {
		return nil, err
	}
	leeway := int64(p.Leeway / time.Second)
	switch {
	case iat > now+leeway:
		return nil, defect("iat lies in the future")
	case now-iat > int64(p.MaxAge/time.Second)+leeway:
		return nil, defect("iat is too long ago")
	}
	proof.IssuedAt = time.Unix(iat, 0).UTC()
	proof.Nonce, err = c.optional("nonce", maxNonce)
	return &proof, err
}

// checkRequest compares htm, htu and ath.
func (o object) checkRequest(r Request) error {
	htm, err := o.text("htm", 32)
	if err != nil {
		return err
	}
	if htm != r.Method { // methods are case-sensitive (RFC 9110 section 9.1)
		return defect("htm is not the method of the request")
	}
	htu, err := o.text("htu", maxURL)
	if err != nil {
		return err
	}
	have, ok1 := target(htu)
	want, ok2 := target(r.URL)
	if !ok1 || !ok2 || have != want {
		return defect("htu is not the URL of the request")
	}
	if r.AccessToken == "" {
		return nil
	}
	ath, err := o.text("ath", 64)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(ath), []byte(hashOf(r.AccessToken))) != 1 {
		return defect("ath is not the hash of the access token")
	}
	return nil
}

// hashOf is the ath of an access token (RFC 9449 section 4.2).
func hashOf(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64url.EncodeToString(sum[:])
}
