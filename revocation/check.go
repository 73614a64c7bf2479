package revocation

import (
	"context"
	"fmt"
	"time"
)

// Made once, so that a check allocates nothing.
var (
	errStale = fmt.Errorf("%w: the mirror is older than allowed", ErrUnavailable)
	errEmpty = fmt.Errorf("%w: the mirror has not been filled yet", ErrUnavailable)

	errRevoked = [...]error{
		Token:      fmt.Errorf("%w: by %v", ErrRevoked, Token),
		Session:    fmt.Errorf("%w: by %v", ErrRevoked, Session),
		Subject:    fmt.Errorf("%w: by %v", ErrRevoked, Subject),
		Client:     fmt.Errorf("%w: by %v", ErrRevoked, Client),
		Key:        fmt.Errorf("%w: by %v", ErrRevoked, Key),
		Everything: fmt.Errorf("%w: by %v", ErrRevoked, Everything),
	}
)

// Check decides about one token, from memory and without allocating, with the configured MaxStaleness. It implements
// [Checker] and needs no context.
func (m *Mirror) Check(_ context.Context, c Claims) error { return m.CheckAt(&c, m.cfg.Now()) }

// CheckAt is Check for a caller that has just read the clock: now is a reading of the mirror's own clock, taken when
// the check began.
func (m *Mirror) CheckAt(c *Claims, now time.Time) error { return m.check(c, now, m.cfg.MaxStaleness) }

// Within returns a checker of the same mirror with another bound on its age: a route that would rather accept a token
// revoked up to maxAge ago than refuse everybody during an outage.
func (m *Mirror) Within(maxAge time.Duration) Checker { return within{m, maxAge} }

type within struct {
	mirror *Mirror
	maxAge time.Duration
}

func (w within) Check(_ context.Context, c Claims) error { return w.CheckAt(&c, w.mirror.cfg.Now()) }

// CheckAt is [Mirror.CheckAt] with the other bound.
func (w within) CheckAt(c *Claims, now time.Time) error { return w.mirror.check(c, now, w.maxAge) }

func (m *Mirror) check(c *Claims, now time.Time, maxAge time.Duration) error {
	// Before the look into the set: a proof that arrives after the look says nothing about what was seen.
	asOf := m.asOf.Load()
	if k := m.set.Hit(c); k != 0 {
		return errRevoked[k] // however old the mirror is
	}
	switch {
	case asOf == nil:
		return errEmpty
	case age(*asOf, now) > maxAge:
		return errStale
	}
	return nil
}

// fresh tells whether a mirror that is complete as of then is as new as it should be.
func (m *Mirror) fresh(asOf *time.Time, now time.Time) bool {
	return asOf != nil && age(*asOf, now) <= m.cfg.MaxStaleness
}

// age is how long ago t was by the monotonic or by the wall clock, whichever says longer: the first stands still while
// a machine is suspended, the second can be set.
func age(t, now time.Time) time.Duration {
	return max(now.Sub(t), time.Duration(now.UnixNano()-t.UnixNano()))
}

// NotBefore returns the latest cut-off, in Unix seconds, that applies to tokens of this subject and client; zero when
// there is none. An issuer stamps "iat" not below it.
func (m *Mirror) NotBefore(subject, client ID) int64 { return m.set.NotBefore(subject, client) }

// LatestCutoff returns the latest cut-off that the mirror ever held, on any axis and of anybody, in Unix seconds; zero when
// there was none. No token is stamped beyond it on account of a cut-off.
func (m *Mirror) LatestCutoff() int64 { return m.set.LatestCutoff() }

// Status is what a mirror says about itself.
type Status struct {
	Position Position     // reached in the feed; zero before the first batch
	AsOf     time.Time    // the mirror holds all that was acknowledged before; zero until it has been filled
	Fresh    bool         // AsOf is within MaxStaleness
	Entries  map[Kind]int // held in memory, by kind, expired ones that have not been forgotten yet included
}

// Status returns the mirror's state, for metrics and readiness.
func (m *Mirror) Status() Status {
	s := Status{Position: m.position(), Entries: make(map[Kind]int, Everything)}
	if asOf := m.asOf.Load(); asOf != nil {
		s.AsOf = *asOf
		s.Fresh = m.fresh(asOf, m.cfg.Now())
	}
	for k := Token; k <= Everything; k++ {
		s.Entries[k] = m.set.Len(k)
	}
	return s
}
