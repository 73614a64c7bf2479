package token

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/authd-project/authd/revocation"
)

// Defaults of [VerifierConfig].
const (
	DefaultLeeway     = 30 * time.Second
	DefaultMaxLife    = 24 * time.Hour
	DefaultCacheBytes = 32 << 20
)

// VerifierConfig says whose tokens a [Verifier] accepts. Nothing in it switches a check off.
type VerifierConfig struct {
	// Issuer is the one accepted value of iss, compared as it is. Required.
	Issuer string
	// Audience holds the names of this service: a token must be meant for one of them. Required; without it a token
	// for any other service of the same issuer would pass.
	Audience []string
	// Algorithms is the allow-list of alg, by default all of [Algorithms]. A key has exactly one of them anyway.
	Algorithms []string
	// Keys finds the issuer's public keys. Required.
	Keys VerificationKeys
	// Revocations decides last, about tokens that are good otherwise. Required.
	Revocations revocation.Checker
	// Leeway is how far this clock and the issuer's may differ, in comparing exp, nbf and iat. Whole seconds;
	// DefaultLeeway if zero, which is also the most: the issuer's keys and revocations outlive their tokens by that.
	Leeway time.Duration
	// MaxLife is the longest exp - iat accepted; DefaultMaxLife if zero. An issuer's mistake (milliseconds for
	// seconds) must not make a token that never dies.
	MaxLife time.Duration
	// CacheBytes bounds the memory of the tokens seen before; DefaultCacheBytes if zero, no cache below 256 KiB. An
	// ordinary token takes about 2.5 KiB.
	CacheBytes int
	// Now is the clock; time.Now if nil. A mirror of revocations must go by the same one, as it is told the time.
	Now func() time.Time
}

// Verifier decides whether an access token is good. It needs no network, as far as its sources do not. Its methods may
// be called concurrently.
type Verifier struct {
	issuer      string
	audience    []string
	algorithms  []string
	keys        VerificationKeys
	revocations revocation.Checker
	leeway      int64 // seconds
	maxLife     int64 // seconds
	cache       *cache
	headers     *memo[*header]       // of verified tokens, by their base64url form
	clients     *memo[revocation.ID] // by client_id
	now         func() time.Time
}

// NewVerifier returns a Verifier, or an error that names every setting to change.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("token verifier: %w", err)
	}
	var seed [16]byte
	rand.Read(seed[:]) // never fails
	return &Verifier{
		issuer:      c.Issuer,
		audience:    slices.Clone(c.Audience),
		algorithms:  slices.Clone(c.Algorithms),
		keys:        c.Keys,
		revocations: c.Revocations,
		leeway:      int64(c.Leeway / time.Second),
		maxLife:     int64(c.MaxLife / time.Second),
		cache: newCache(c.CacheBytes, [2]uint64{
			binary.NativeEndian.Uint64(seed[:8]), binary.NativeEndian.Uint64(seed[8:]),
		}),
		headers: newMemo[*header](),
		clients: newMemo[revocation.ID](),
		now:     c.Now,
	}, nil
}

func (c VerifierConfig) withDefaults() VerifierConfig {
	if len(c.Algorithms) == 0 {
		c.Algorithms = Algorithms()
	}
	if c.Leeway == 0 {
		c.Leeway = DefaultLeeway
	}
	if c.MaxLife == 0 {
		c.MaxLife = DefaultMaxLife
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c VerifierConfig) validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.Issuer != "", "issuer: required")
	require(len(c.Audience) > 0, "audience: required; without it every token of the issuer would pass")
	require(!slices.Contains(c.Audience, ""), "audience: an empty name")
	for _, alg := range c.Algorithms {
		require(method(alg) != nil, "algorithms: %q is not one of %s", alg, strings.Join(Algorithms(), ", "))
	}
	require(c.Keys != nil, "keys: required")
	require(c.Revocations != nil, "revocations: required")
	require(c.Leeway >= 0 && c.Leeway <= DefaultLeeway, "leeway %v: must lie between 0 and %v", c.Leeway, DefaultLeeway)
	require(c.MaxLife >= time.Second, "max life %v: must be a second or more", c.MaxLife)
	return errors.Join(errs...)
}

// Verify decides about raw, a token in compact form without any "Bearer". The errors are those of this package: they
// wrap [ErrInvalid], or are [ErrUnavailable]. The claims are shared between callers and must not be changed.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	return v.VerifyWith(ctx, raw, v.revocations)
}

// VerifyWith is Verify with another judge of revocations, such as one that bears more staleness, for a single route.
//
// Checks come in the order of their cost. The cache is asked first, because comparing a token with one that was found
// good answers for its size, alphabet, header, signature and claims at once: all that depends on the token's bytes
// alone. What depends on the moment is checked on every call: time, whether the key is still known, and revocation,
// which goes last, so that the revocation set says nothing about tokens that are not the issuer's.
func (v *Verifier) VerifyWith(ctx context.Context, raw string, revocations revocation.Checker) (*Claims, error) {
	t, now, err := v.verified(ctx, raw)
	if err != nil {
		return nil, err
	}
	if t.bound {
		return nil, ErrBound // as a bearer token it is worth nothing
	}
	if err := checkRevocation(ctx, revocations, &t.ids, now); err != nil {
		return nil, revocationError(err)
	}
	return &t.claims, nil
}

// verified makes all checks but revocation, and tells when.
func (v *Verifier) verified(ctx context.Context, raw string) (*verified, time.Time, error) {
	if t := v.cache.lookup(raw); t != nil {
		now := v.now()
		return t, now, v.recheck(ctx, t, now.Unix())
	}
	t, text, err := v.authenticate(ctx, raw)
	now := v.now() // not before: the key may have been waited for
	if err == nil {
		err = v.checkClaims(text, t, now.Unix())
	}
	if err != nil {
		return nil, now, err
	}
	v.cache.add(t, now.Unix())
	return t, now, nil
}

// checkerAt is a [revocation.Checker] that can be told the time: to read the clock once more would cost as much as the
// rest of a check. [revocation.Mirror] is one.
type checkerAt interface {
	CheckAt(c *revocation.Claims, now time.Time) error
}

func checkRevocation(ctx context.Context, r revocation.Checker, c *revocation.Claims, now time.Time) error {
	if at, ok := r.(checkerAt); ok {
		return at.CheckAt(c, now)
	}
	return r.Check(ctx, *c)
}

// recheck repeats for a token seen before what may have changed since.
func (v *Verifier) recheck(ctx context.Context, t *verified, now int64) error {
	if err := t.checkTime(now); err != nil {
		v.cache.drop(t)
		return err
	}
	key, err := v.key(ctx, t.header.kid, t.header.alg)
	if err == nil && !sameKey(key, t.key) {
		err = fmt.Errorf("%w: replaced", ErrUnknownKey)
	}
	if errors.Is(err, ErrUnknownKey) {
		v.cache.drop(t)
	}
	return err
}

// authenticate finds a token not seen before to be the issuer's, in the order: size, header, key, signature. It returns
// the JSON text of the claims, which are not decoded before: all that an attacker can make us do up to the signature is
// to decode one header.
func (v *Verifier) authenticate(ctx context.Context, raw string) (t *verified, claims string, err error) {
	parts, err := split(raw)
	if err != nil {
		return nil, "", err
	}
	h, known := v.headers.get(parts.header)
	if !known {
		if h, err = v.header(parts.header); err != nil {
			return nil, "", err
		}
	}
	key, err := v.key(ctx, h.kid, h.alg)
	if err != nil {
		return nil, "", err
	}
	if err := parts.verify(key); err != nil {
		return nil, "", err
	}
	if !known {
		v.headers.put(parts.header, h) // not before: others would crowd the memo
	}
	if t, claims, err = own(raw, parts.payload); err != nil {
		return nil, "", err
	}
	t.header, t.key, t.claims.KeyID = h, key, h.kid
	return t, claims, nil
}

// header decodes and checks a header.
func (v *Verifier) header(encoded string) (*header, error) {
	text, err := decodeText("header", encoded)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(text)
	if err != nil {
		return nil, err
	}
	if err := v.checkAlgorithm(h.alg); err != nil {
		return nil, err
	}
	h.id = revocation.IDOf(revocation.Key, h.kid)
	return &h, nil
}

func (v *Verifier) checkAlgorithm(alg string) error {
	if !slices.Contains(v.algorithms, alg) {
		return fmt.Errorf("%w: algorithm not accepted", ErrSignature)
	}
	return nil
}

// key finds the one key that may verify a token with this header.
func (v *Verifier) key(ctx context.Context, kid, alg string) (any, error) {
	return findKey(ctx, v.keys, kid, alg)
}

func findKey(ctx context.Context, keys VerificationKeys, kid, alg string) (any, error) {
	key, known, err := keys.VerificationKey(ctx, kid, alg)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: verification key: %w", ErrUnavailable, err)
	case !known:
		return nil, ErrUnknownKey
	case !fits(alg, key):
		return nil, fmt.Errorf("%w: the key is not for the token's algorithm", ErrUnknownKey)
	}
	return key, nil
}

// checkClaims decodes the claims into t and checks them, and works out what revocations of the token go by.
func (v *Verifier) checkClaims(text string, t *verified, now int64) error {
	c := &t.claims
	if err := decodeClaims(text, c, t.lists[:0]); err != nil {
		return err
	}
	t.notBefore, t.expires = v.window(c)
	if err := t.checkTime(now); err != nil {
		return err
	}
	if err := v.checkIssuer(c); err != nil {
		return err
	}
	if err := v.checkAudience(c); err != nil {
		return err
	}
	if err := v.checkLife(c); err != nil {
		return err
	}
	t.ids = v.revocationClaims(c, t.header.id)
	t.bound = c.KeyThumbprint != ""
	return nil
}

// window returns from when on a token is good and from when on it is dead, in Unix seconds and with the leeway.
func (v *Verifier) window(c *Claims) (notBefore, expires int64) {
	return max(c.IssuedAt.Unix(), unixOrZero(c.NotBefore)) - v.leeway, c.ExpiresAt.Unix() + v.leeway
}

func (v *Verifier) checkIssuer(c *Claims) error {
	if c.Issuer != v.issuer {
		return fmt.Errorf("%w: iss is not the expected one", ErrIssuer)
	}
	return nil
}

func (v *Verifier) checkAudience(c *Claims) error {
	if !slices.ContainsFunc(c.Audience, func(name string) bool { return slices.Contains(v.audience, name) }) {
		return fmt.Errorf("%w: aud does not name this service", ErrAudience)
	}
	return nil
}

func (v *Verifier) checkLife(c *Claims) error {
	expires, issued := c.ExpiresAt.Unix(), c.IssuedAt.Unix()
	switch {
	case expires <= issued:
		return &defect{part: "claims", member: "exp", why: expBeforeIat}
	case expires-issued > v.maxLife:
		return &defect{part: "claims", member: "exp", why: lifeTooLong}
	}
	return nil
}

// checkTime compares exp, nbf and iat with now (RFC 7519 sections 4.1.4 to 4.1.6).
func (t *verified) checkTime(now int64) error {
	switch {
	case now >= t.expires:
		return ErrExpired
	case now < t.notBefore:
		return ErrNotYetValid
	}
	return nil
}

// revocationClaims computes the identifiers that revocations of a token go by.
func (v *Verifier) revocationClaims(c *Claims, key revocation.ID) revocation.Claims {
	client, known := v.clients.get(c.ClientID)
	if !known {
		client = revocation.IDOf(revocation.Client, c.ClientID)
		v.clients.put(c.ClientID, client)
	}
	return revocationIDs(c, client, key)
}

// revocationIDs returns all identifiers, given those that come again and again. A token without a session gets the ID of
// the empty name there, which no session has.
func revocationIDs(c *Claims, client, key revocation.ID) revocation.Claims {
	return revocation.Claims{
		Token:    revocation.IDOf(revocation.Token, c.ID),
		Session:  revocation.IDOf(revocation.Session, c.SessionID),
		Subject:  revocation.IDOf(revocation.Subject, c.Subject),
		Client:   client,
		Key:      key,
		IssuedAt: c.IssuedAt.Unix(),

		StatusURI: c.Status.URI, StatusIndex: c.Status.Index,
	}
}

// revocationError puts a revocation checker's answer in this package's terms. Whatever is no clear "revoked" is no
// answer.
func revocationError(err error) error {
	if errors.Is(err, revocation.ErrRevoked) {
		return fmt.Errorf("%w: %w", ErrRevoked, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
