package session

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound the life of sessions and the replay of refresh tokens.
type Limits struct {
	Idle     time.Duration // a session unused for this long has ended; default 7 days
	Absolute time.Duration // a session this old has ended; default 30 days
	Grace    time.Duration // how long a generation is answered again; default 30 s, well below the access token's life
	// MaxReplays of one generation are answered inside the grace; one more ends the session. Default 64: a program that
	// sends 50 requests at once with an expired access token refreshes 50 times at once, and must not be logged out.
	MaxReplays int
}

// WithDefaults returns l with the zero fields set to their defaults.
func (l Limits) WithDefaults() Limits {
	const day = 24 * time.Hour
	if l.Idle == 0 {
		l.Idle = 7 * day
	}
	if l.Absolute == 0 {
		l.Absolute = 30 * day
	}
	if l.Grace == 0 {
		l.Grace = 30 * time.Second
	}
	if l.MaxReplays == 0 {
		l.MaxReplays = 64
	}
	return l
}

// Validate reports every limit that makes no sense, for access tokens that live as long as accessTTL.
func (l Limits) Validate(accessTTL time.Duration) error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(l.Grace <= 0, "grace %v: must be positive, or retries and lost responses end sessions", l.Grace)
	bad(l.Grace > accessTTL/2, "grace %v: must be at most half the access token's life of %v", l.Grace, accessTTL)
	bad(l.MaxReplays < 1, "replays %d: at least one must be allowed, for the lost response", l.MaxReplays)
	bad(l.Idle <= accessTTL, "idle limit %v: must exceed the access token's life of %v", l.Idle, accessTTL)
	bad(l.Absolute < l.Idle, "absolute limit %v: must not be below the idle limit of %v", l.Absolute, l.Idle)
	return errors.Join(errs...)
}

// Expires returns when the session ends by itself unless it is refreshed before.
func (s Session) Expires(l Limits) time.Time {
	idle, absolute := s.LastUsedAt.Add(l.Idle), s.CreatedAt.Add(l.Absolute)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

// Expired tells whether the session has reached one of its limits.
func (s Session) Expired(now time.Time, l Limits) bool { return !now.Before(s.Expires(l)) }
