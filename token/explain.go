package token

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/authd-project/authd/revocation"
)

// Check names one check of a [Verifier]. The values are part of authd's admin API.
type Check string

// The checks in the order in which a Verifier makes them.
const (
	CheckSize       Check = "size"       // the cap on the whole token
	CheckForm       Check = "form"       // three parts without line breaks
	CheckHeader     Check = "header"     // decoded strictly; typ, a well-formed kid, nothing that must be refused
	CheckAlgorithm  Check = "algorithm"  // alg is in the allow-list
	CheckKey        Check = "key"        // kid names a key for that algorithm
	CheckSignature  Check = "signature"  // by that key
	CheckClaims     Check = "claims"     // decoded strictly; the required ones are there
	CheckExpiry     Check = "expiry"     // exp, with the leeway
	CheckStart      Check = "start"      // iat and nbf, with the leeway
	CheckIssuer     Check = "issuer"     // iss
	CheckAudience   Check = "audience"   // aud
	CheckLife       Check = "life"       // exp - iat
	CheckBinding    Check = "binding"    // not bound to a key, as no proof comes with an explanation
	CheckRevocation Check = "revocation" // all axes
)

// Checks returns all checks in their order.
func Checks() []Check {
	return []Check{
		CheckSize, CheckForm, CheckHeader, CheckAlgorithm, CheckKey, CheckSignature, CheckClaims, CheckExpiry, CheckStart,
		CheckIssuer, CheckAudience, CheckLife, CheckBinding, CheckRevocation,
	}
}

// Finding is how one check went.
type Finding struct {
	Check   Check
	Reached bool  // false when what it looks at is missing or cannot be read
	Err     error // nil when the check passed; else as [Verifier.Verify] would answer it
}

// Explanation is all that can be said about a token at one moment. It holds neither the token nor its signature.
type Explanation struct {
	At       time.Time // by the verifier's clock
	Size     int       // of the token, in bytes
	Findings []Finding // all checks in their order, also those behind the first that failed

	Algorithm string // alg of the header, empty when there is none that can be shown
	KeyID     string // kid, likewise
	// Authentic tells that the signature is good: the issuer wrote header and claims. Otherwise anybody may have.
	Authentic bool
	// Claims are those that could be read: all of them if CheckClaims passed, otherwise those before the first that is
	// refused, or all but a required one that is missing. Nil when there are none.
	Claims *Claims
	// RevocationIDs are what revocations of the token go by; zero unless CheckRevocation was reached.
	RevocationIDs revocation.Claims

	// What the verifier wants: of CheckSize in bytes, CheckExpiry and CheckStart, CheckIssuer, CheckAudience, CheckLife.
	MaxSize  int
	Leeway   time.Duration
	Issuer   string
	Audience []string
	MaxLife  time.Duration
}

// Verdict is what [Verifier.Verify] answers about a token that it has not seen before: nil, or the error of the first
// check that did not pass.
func (e Explanation) Verdict() error {
	for _, f := range e.Findings {
		if f.Err != nil {
			return f.Err
		}
	}
	return nil
}

// Explain makes every check of [Verifier.Verify] that can be made, and goes on behind those that fail: a token that has
// expired may be revoked as well. It is for people who ask why, not for requests: it takes longer than Verify, asks for
// keys also where a defect of the header would have refused the token before, and leaves the caches alone.
func (v *Verifier) Explain(ctx context.Context, raw string) Explanation {
	x := explainer{v: v, e: Explanation{
		Size: len(raw), MaxSize: maxSize, Issuer: v.issuer, Audience: slices.Clone(v.audience),
		Leeway: time.Duration(v.leeway) * time.Second, MaxLife: time.Duration(v.maxLife) * time.Second,
	}}
	for _, c := range Checks() {
		x.e.Findings = append(x.e.Findings, Finding{Check: c})
	}
	x.explain(ctx, raw)
	return x.e
}

// explainer collects the outcomes of the verifier's own checks.
type explainer struct {
	v *Verifier
	e Explanation
}

// note records how a check went, and returns whether it passed.
func (x *explainer) note(c Check, err error) bool {
	for i := range x.e.Findings {
		if x.e.Findings[i].Check == c {
			x.e.Findings[i].Reached, x.e.Findings[i].Err = true, err
		}
	}
	return err == nil
}

func (x *explainer) explain(ctx context.Context, raw string) {
	if !x.note(CheckSize, checkSize(raw)) { // nothing that long is looked at
		x.e.At = x.v.now()
		return
	}
	parts, err := split(raw)
	if x.note(CheckForm, err) {
		x.header(ctx, parts)
	}
	x.e.At = x.v.now() // not before: the key may have been waited for
	if err == nil {
		x.claims(ctx, parts)
	}
}

// header explains all that comes before the claims.
func (x *explainer) header(ctx context.Context, parts compact) {
	text, err := decodeText("header", parts.header)
	var h header
	if err == nil {
		h, err = decodeHeader(text)
	}
	x.note(CheckHeader, err)
	// Behind a defect, what was read may be anything.
	if wellFormedKeyID(h.alg) {
		x.e.Algorithm = h.alg
	}
	if wellFormedKeyID(h.kid) {
		x.e.KeyID = h.kid
	}
	if x.e.Algorithm == "" || !x.note(CheckAlgorithm, x.v.checkAlgorithm(h.alg)) || x.e.KeyID == "" {
		return
	}
	key, err := x.v.key(ctx, h.kid, h.alg)
	if x.note(CheckKey, err) {
		x.e.Authentic = x.note(CheckSignature, parts.verify(key))
	}
}

// claims explains the claims, as far as they could be read, whoever wrote them.
func (x *explainer) claims(ctx context.Context, parts compact) {
	text, err := decodeText("claims", parts.payload)
	if err != nil {
		x.note(CheckClaims, err)
		return
	}
	c := &Claims{KeyID: x.e.KeyID}
	x.e.Claims = c
	all := x.note(CheckClaims, decodeClaims(text, c, nil))
	x.times(c)
	if c.Issuer != "" {
		x.note(CheckIssuer, x.v.checkIssuer(c))
	}
	if len(c.Audience) > 0 {
		x.note(CheckAudience, x.v.checkAudience(c))
	}
	if all || c.KeyThumbprint != "" {
		x.note(CheckBinding, checkUnbound(c))
	}
	if !c.IssuedAt.IsZero() {
		x.revocation(ctx, c)
	}
}

// checkUnbound is what [Verifier.VerifyWith] asks of the entry in the cache.
func checkUnbound(c *Claims) error {
	if c.KeyThumbprint != "" {
		return ErrBound
	}
	return nil
}

// times makes two of the one check of a Verifier, which tells the first thing that is wrong: each bound by itself.
func (x *explainer) times(c *Claims) {
	notBefore, expires := x.v.window(c)
	now := x.e.At.Unix()
	if !c.ExpiresAt.IsZero() {
		expiry := verified{notBefore: math.MinInt64, expires: expires}
		x.note(CheckExpiry, expiry.checkTime(now))
	}
	if !c.IssuedAt.IsZero() {
		start := verified{notBefore: notBefore, expires: math.MaxInt64}
		x.note(CheckStart, start.checkTime(now))
	}
	if !c.ExpiresAt.IsZero() && !c.IssuedAt.IsZero() {
		x.note(CheckLife, x.v.checkLife(c))
	}
}

func (x *explainer) revocation(ctx context.Context, c *Claims) {
	x.e.RevocationIDs = revocationIDs(c, revocation.IDOf(revocation.Client, c.ClientID), revocation.IDOf(revocation.Key, x.e.KeyID))
	err := checkRevocation(ctx, x.v.revocations, &x.e.RevocationIDs, x.e.At)
	if err != nil {
		err = revocationError(err)
	}
	x.note(CheckRevocation, err)
}
