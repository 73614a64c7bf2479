package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/authd-project/authd/token"
)

// ErrInsufficientAuthentication refuses a good token because of how or when its user logged in: the client is to send the
// user to log in again, and is told what is wanted (RFC 9470).
var ErrInsufficientAuthentication = errors.New("insufficient user authentication")

// ACR requires one of these in the token's acr, which says how the user logged in. The first is what clients should try
// first. Other tokens are answered 401 with an insufficient_user_authentication challenge. Of several ACR the last counts,
// and one without values lets nobody through.
func ACR(values ...string) Option {
	return func(rt *Route) { rt.stepUp.acr = append([]string{}, values...) }
}

// MaxAge requires that the user logged in no longer ago than that, by the token's auth_time: a refreshed token does not
// pass for a new login. The clocks may differ by the guard's Leeway. Others, and tokens that do not say when, are answered
// like those of ACR. Whole seconds, rounded down. Of several MaxAge the last counts.
func MaxAge(d time.Duration) Option {
	return func(rt *Route) {
		rt.stepUp.maxAge, rt.stepUp.limited = max(0, d.Truncate(time.Second)), true
	}
}

// stepUp is what a route requires of the login behind a token.
type stepUp struct {
	acr     []string // one of them; nil when any will do
	maxAge  time.Duration
	limited bool // maxAge counts
}

// check compares the login of c with what is required, at the time that now tells. The issuer's clock may differ from
// that by leeway.
func (s *stepUp) check(c *token.Claims, now func() time.Time, leeway time.Duration) error {
	if s.acr != nil && (c.ACR == "" || !slices.Contains(s.acr, c.ACR)) {
		return fmt.Errorf("%w: acr is not one of %q", ErrInsufficientAuthentication, s.acr)
	}
	if !s.limited {
		return nil
	}
	if c.AuthTime.IsZero() {
		return fmt.Errorf("%w: auth_time is missing", ErrInsufficientAuthentication)
	}
	switch age := now().Sub(c.AuthTime); {
	case age-leeway > s.maxAge:
		return fmt.Errorf("%w: the login is older than %v", ErrInsufficientAuthentication, s.maxAge)
	case age < -leeway: // a date that cannot be says nothing about the login
		return fmt.Errorf("%w: auth_time lies in the future", ErrInsufficientAuthentication)
	}
	return nil
}

// params are the parameters of the challenge (RFC 9470 section 3): all that is required, so that one login is enough.
func (s *stepUp) params() string {
	var p string
	if len(s.acr) > 0 {
		p += `, acr_values=` + quoted(strings.Join(s.acr, " "))
	}
	if s.limited {
		p += `, max_age="` + strconv.FormatInt(int64(s.maxAge/time.Second), 10) + `"`
	}
	return p
}
