package token

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// DefaultTTL is how long an access token lives unless configured.
const DefaultTTL = 10 * time.Minute

// IssuerConfig says what an [Issuer] puts into every token.
type IssuerConfig struct {
	// Issuer is the iss of every token: the URL by which verifiers know this service. Required.
	Issuer string
	// Audience is the aud of tokens whose claims name none.
	Audience []string
	// TTL is the longest life of a token, exp - iat, in whole seconds; DefaultTTL if zero. Tokens live up to 5 % less.
	TTL time.Duration
	// Keys provides the key that signs. Required.
	Keys SigningKeys
	// Status gives each token a place in a status list; nil if there are no such lists.
	Status StatusAllocator
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Rand is the source of token identifiers and of jitter; crypto/rand if nil.
	Rand io.Reader
}

// Issuer signs access tokens. Its methods may be called concurrently if Rand may.
type Issuer struct {
	issuer   string
	audience []string
	ttl      time.Duration
	keys     SigningKeys
	status   StatusAllocator
	now      func() time.Time
	rand     io.Reader
}

// NewIssuer returns an Issuer, or an error that names every setting to change.
func NewIssuer(c IssuerConfig) (*Issuer, error) {
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	var errs []error
	if c.Issuer == "" {
		errs = append(errs, errors.New("issuer: required"))
	}
	if c.TTL < time.Second || c.TTL%time.Second != 0 {
		errs = append(errs, fmt.Errorf("ttl %v: must be whole seconds, one or more", c.TTL))
	}
	if c.Keys == nil {
		errs = append(errs, errors.New("keys: required"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("token issuer: %w", errors.Join(errs...))
	}
	return &Issuer{
		issuer: c.Issuer, audience: slices.Clone(c.Audience), ttl: c.TTL, keys: c.Keys, status: c.Status,
		now: c.Now, rand: c.Rand,
	}, nil
}

// Issue signs c and returns the token and its claims, exactly as a [Verifier] will read them.
//
// It sets iss and jti, and aud where c has none. iat is now, or c.IssuedAt when that is later: a token made in the
// same second as a revocation's cut-off must lie behind it. exp is the TTL from now, less a random part of up to 5 % so
// that refreshes do not come in step; a c.ExpiresAt that is earlier stays.
//
// Errors wrap [ErrClaims] for claims that no Verifier would accept, and [ErrUnavailable] when no key may sign.
func (i *Issuer) Issue(ctx context.Context, c Claims) (raw string, issued Claims, err error) {
	if err := i.complete(&c); err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w", err)
	}
	kid, alg, key, err := i.keys.SigningKey(ctx)
	if err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w: signing key: %w", ErrUnavailable, err)
	}
	if method(alg) == nil || !fits(alg, key.Public()) {
		return "", Claims{}, fmt.Errorf("issuing a token: signing key is not for algorithm %q", alg)
	}
	c.KeyID = kid
	if i.status != nil {
		if c.Status, err = i.status.AllocateStatus(ctx, &c); err != nil {
			return "", Claims{}, fmt.Errorf("issuing a token: %w: finding a place for its status: %w", ErrUnavailable, err)
		}
	}
	signing, issued, err := encode(alg, kid, c)
	if err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: %w", err)
	}
	signature, err := method(alg).Sign(signing, key)
	if err != nil {
		return "", Claims{}, fmt.Errorf("issuing a token: signing: %w", err)
	}
	raw = signing + "." + base64url.EncodeToString(signature)
	if len(raw) > maxSize {
		return "", Claims{}, fmt.Errorf("issuing a token: %w: longer than %d bytes", ErrClaims, maxSize)
	}
	return raw, issued, nil
}

// complete sets what the issuer decides.
func (i *Issuer) complete(c *Claims) error {
	var random [24]byte
	if _, err := io.ReadFull(i.rand, random[:]); err != nil {
		return fmt.Errorf("reading random bytes: %w", err)
	}
	now := i.now()
	jitter := time.Duration(binary.BigEndian.Uint64(random[16:]) % uint64(i.ttl/20+1))
	expires := now.Add(i.ttl - jitter).Truncate(time.Second)

	c.Issuer = i.issuer
	c.ID = base64.RawURLEncoding.EncodeToString(random[:16])
	if len(c.Audience) == 0 {
		c.Audience = i.audience
	}
	if c.IssuedAt.Before(now) {
		c.IssuedAt = now
	}
	if c.ExpiresAt.IsZero() || c.ExpiresAt.After(expires) {
		c.ExpiresAt = expires
	}
	if c.ExpiresAt.Unix() <= c.IssuedAt.Unix() {
		return fmt.Errorf("%w: exp is not after iat", ErrClaims)
	}
	return nil
}

// encode returns the part of a token that is signed, and its claims as they read. It reads back what it wrote, so that
// an issuer's mistake shows at login and not at the first service that is asked.
func encode(alg, kid string, c Claims) (signing string, issued Claims, err error) {
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{alg, kid, "at+jwt"})
	if err != nil {
		return "", Claims{}, fmt.Errorf("encoding the header: %w", err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", Claims{}, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	// The reader's errors say that a token is invalid; here there is none yet, so only their text is kept.
	if _, err := decodeHeader(string(header)); err != nil {
		return "", Claims{}, fmt.Errorf("signing key: %v", err) //nolint:errorlint // see above
	}
	issued.KeyID = kid
	if err := decodeClaims(string(payload), &issued, nil); err != nil {
		return "", Claims{}, fmt.Errorf("%w: %v", ErrClaims, err) //nolint:errorlint // see above
	}
	return base64url.EncodeToString(header) + "." + base64url.EncodeToString(payload), issued, nil
}
