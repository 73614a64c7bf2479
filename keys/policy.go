package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Policy is the timetable of a ring. The letters in brackets are those of the inequalities that [Policy.Validate]
// checks; with them no valid token is refused by a verifier that caches the JWKS as it was told.
//
// [Policy.WithDefaults] fills in what is zero; everything else takes the values as they stand.
//
// A ring may go on under another policy. Shorter tokens or idle times need no care: each key is kept for the longest it
// was made for. Before PublishAhead is lowered, lower what it must exceed, and wait until no verifier holds a JWKS from
// before.
type Policy struct {
	// Algorithm of the keys made from now on: ES256 (default), EdDSA or RS256. After a change the ring moves to it as
	// soon as a new key has been published for long enough; keys of the old algorithm retire as usual.
	Algorithm string

	// RotateEvery is how long a key signs. Default 30 days; at least PublishAhead.
	RotateEvery time.Duration
	// PublishAhead is how long a key is in the JWKS before it signs. Default 1 h, or 7/8 of RotateEvery if that is
	// less. It must exceed M + P + S, where M is JWKSMaxAge + JWKSOverstay.
	PublishAhead time.Duration
	// PublishAheadLeast, if not zero, lets a key sign sooner, once it has been in the JWKS for this long and every
	// verifier is known to hold it, see [Reports]. It must exceed P + S and what a report takes, 10 s. It is sound only
	// where every verifier reports: standard JWKS clients never do. Default 0: the timetable alone decides.
	PublishAheadLeast time.Duration

	// JWKSMaxAge is the longest max-age the JWKS is served with, at least 1 s. Default 10 min, or less if PublishAhead
	// leaves no room for it.
	JWKSMaxAge time.Duration
	// JWKSOverstay is how much longer than its max-age verifiers may use a JWKS. Default 5 min, likewise.
	JWKSOverstay time.Duration
	// ViewAge is the oldest view of the ring that a process may act on: how long it goes on signing when the ring's
	// store is out of reach (P). Default 10 min, likewise.
	ViewAge time.Duration
	// Skew is the largest difference between two processes' clocks (S). Default 30 s, likewise.
	Skew time.Duration

	// TokenLife is the longest life of an access token (A). Default 10 min.
	TokenLife time.Duration
	// Leeway is how long after its expiry verifiers may accept a token (L). Default 30 s.
	Leeway time.Duration
	// SessionIdle is how long a refresh token may lie unused and still be good; the MAC keys are kept for it. Default
	// 7 days.
	SessionIdle time.Duration

	// RevokedFor is how long the revocation set keeps the kid of a key revoked in an emergency. Whoever stole the key
	// mints new tokens at will, so what counts is not the life of a token but how long any verifier might trust a JWKS
	// from before. Default 7 days or more; it must exceed M and RetiredFor.
	RevokedFor time.Duration
}

const (
	// maxPublished bounds the JWKS: verifiers, [Remote] among them, take 64 keys and no more.
	maxPublished = 60
	// spareKeys are published beside the retired ones: the active key, the standby, and one more in a change of
	// algorithm.
	spareKeys = 3
	// macsPerIdle is how many MAC keys at most come into use during SessionIdle, however short RotateEvery is.
	macsPerIdle = 8
)

// WithDefaults returns p with each zero duration filled in. Those that must stay below PublishAhead are derived from it,
// so that it is enough to set, say, RotateEvery and TokenLife to a few seconds for a drill.
func (p Policy) WithDefaults() Policy {
	fill := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	if p.Algorithm == "" {
		p.Algorithm = Algorithms()[0]
	}
	fill(&p.RotateEvery, 30*24*time.Hour)
	fill(&p.PublishAhead, min(time.Hour, p.RotateEvery/8*7))
	fill(&p.JWKSMaxAge, min(10*time.Minute, max((p.PublishAhead/6).Truncate(time.Second), time.Second)))
	rest := max(p.PublishAhead-p.JWKSMaxAge, 0)
	fill(&p.ViewAge, min(10*time.Minute, rest/2))
	fill(&p.JWKSOverstay, min(5*time.Minute, rest/8))
	fill(&p.Skew, min(30*time.Second, rest/16))
	fill(&p.TokenLife, 10*time.Minute)
	fill(&p.Leeway, 30*time.Second)
	fill(&p.SessionIdle, 7*24*time.Hour)
	fill(&p.RevokedFor, max(7*24*time.Hour, 2*p.RetiredFor(), 2*p.cachedFor()))
	return p
}

// Validate reports every problem at once, each naming the setting to change.
func (p Policy) Validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(slices.Contains(Algorithms(), p.Algorithm), "algorithm %q: want one of %v", p.Algorithm, Algorithms())
	require(p.JWKSMaxAge >= time.Second, "jwks-max-age %v: must be at least 1s", p.JWKSMaxAge)
	require(p.ViewAge > 0, "view-age %v: must be positive", p.ViewAge)
	require(p.TokenLife > 0, "access-ttl %v: must be positive", p.TokenLife)
	require(p.SessionIdle > 0, "session-idle %v: must be positive", p.SessionIdle)
	require(min(p.JWKSOverstay, p.Skew, p.Leeway) >= 0, "jwks-overstay %v, skew %v, leeway %v: must not be negative",
		p.JWKSOverstay, p.Skew, p.Leeway)
	require(p.PublishAhead > p.spreadFor(),
		"publish-ahead %v: must exceed jwks-max-age %v + jwks-overstay %v + view-age %v + skew %v = %v",
		p.PublishAhead, p.JWKSMaxAge, p.JWKSOverstay, p.ViewAge, p.Skew, p.spreadFor())
	require(p.PublishAheadLeast == 0 || p.PublishAheadLeast > p.settledFor() && p.PublishAheadLeast < p.PublishAhead,
		"publish-ahead-least %v: must exceed view-age %v + skew %v + %v = %v, and be below publish-ahead %v; 0 turns it off",
		p.PublishAheadLeast, p.ViewAge, p.Skew, reportDelay, p.settledFor(), p.PublishAhead)
	require(p.RotateEvery >= p.PublishAhead, "rotate-every %v: must be at least publish-ahead %v",
		p.RotateEvery, p.PublishAhead)
	require(p.RevokedFor > p.RetiredFor() && p.RevokedFor > p.cachedFor(),
		"revoked-for %v: must exceed what a retired key is kept for, %v, and what a JWKS may be cached for, %v",
		p.RevokedFor, p.RetiredFor(), p.cachedFor())
	// Keys come into use no faster than one in PublishAhead, also when rotated by hand.
	if p.PublishAhead > 0 {
		held := p.RetiredFor()/p.PublishAhead + 1 + spareKeys
		require(held <= maxPublished, "publish-ahead %v: with access-ttl %v the JWKS could grow to %d keys, and "+
			"verifiers take %d; rotate less often or shorten access-ttl", p.PublishAhead, p.TokenLife, held, maxPublished)
	}
	return errors.Join(errs...)
}

// RetiredFor is what the age of a retired key must exceed before it leaves the ring: A + L + P + 2S. A process with an
// old view (P) may have signed with it for that long after the leader retired it; one S lies between the clocks of
// signer and verifier, the other between those of the leader that stamped the key and the one that drops it.
func (p Policy) RetiredFor() time.Duration { return p.TokenLife + p.Leeway + p.ViewAge + 2*p.Skew }

// macRetiredFor is the same for a MAC key: refresh tokens may lie unused for SessionIdle.
func (p Policy) macRetiredFor() time.Duration { return p.SessionIdle + p.ViewAge + 2*p.Skew }

// cachedFor is how long a verifier may use a JWKS (M).
func (p Policy) cachedFor() time.Duration { return p.JWKSMaxAge + p.JWKSOverstay }

// spreadFor is how long it may take until every verifier that keeps to the rules has a key that was just published:
// M + P, and S between the leader that stamped it and the one that asks.
func (p Policy) spreadFor() time.Duration { return p.cachedFor() + p.ViewAge + p.Skew }

// PollEvery is how often the leader asks [Policy.Next]: often enough that the timetable is kept to a twentieth, at
// most every 5 s and at least every 20 ms.
func (p Policy) PollEvery() time.Duration {
	return max(min(p.PublishAhead/20, p.RetiredFor()/20, 5*time.Second), 20*time.Millisecond)
}

// signing is the life cycle of the signing keys.
func (p Policy) signing() cycle {
	return cycle{publishAhead: p.PublishAhead, rotateEvery: p.RotateEvery, retiredFor: p.RetiredFor(), revokedFor: p.RevokedFor}
}

// macs is the life cycle of the MAC keys. No verifier sees them, but each process must know one before any uses it; and
// the ring must not fill up with them while old refresh tokens are still good.
func (p Policy) macs() cycle {
	return cycle{
		publishAhead: p.PublishAhead,
		rotateEvery:  max(p.RotateEvery, p.SessionIdle/macsPerIdle),
		retiredFor:   p.macRetiredFor(),
	}
}
