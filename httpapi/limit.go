package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/ratelimit"
)

// maxDelay bounds how long a leaky bucket may hold a request, beside the time that the request may take itself.
const maxDelay = 10 * time.Second

// RateLimitNames lists the names under which [PublicConfig].RateLimits limits routes, sorted.
func RateLimitNames() []string {
	names := make(map[string]bool)
	p := new(public) // without parts, as the routes are only looked at
	for _, r := range slices.Concat(p.routes(), p.ssfRoutes(), p.pageRoutes(), p.oauthRoutes(), p.factorRoutes()) {
		names[r.limit] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// CheckRateLimit says whether a limit may be set under this name, with this policy.
func CheckRateLimit(name string, p ratelimit.Policy) error {
	names := RateLimitNames()
	if !slices.Contains(names, name) {
		return fmt.Errorf("no such route: want one of %s", strings.Join(names, ", "))
	}
	if err := p.Validate(); err != nil {
		return err
	}
	if longest := p.LongestDelay(); longest > maxDelay {
		return fmt.Errorf("%v: a request could wait for %v; a leaky bucket's burst must be served within %v", p, longest, maxDelay)
	}
	return nil
}

// limit bounds how often one client may use the routes of one name.
type limit struct {
	name                         string
	limiter                      RateLimiter
	admitted, refused, undecided prometheus.Counter
}

func (s *site) newLimit(name string, l RateLimiter) *limit {
	decisions := func(decision string) prometheus.Counter { return s.metrics.limits.WithLabelValues(name, decision) }
	return &limit{name, l, decisions("admitted"), decisions("refused"), decisions("undecided")}
}

// admit counts the request and lets it pass, when it is its turn, or refuses it. The answer will say how much is left.
func (l *limit) admit(x *exchange) error {
	who := "address " + ratelimit.AddressKey(x.address())
	if x.route.client != nil {
		if id := x.route.client(x); id != "" {
			who = "client " + id
		}
	}
	d, err := l.limiter.Allow(x.ctx(), who, 1)
	if err != nil {
		l.undecided.Inc()
		return fmt.Errorf("rate limit %s: %w", l.name, err)
	}
	ratelimit.AddHeader(x.header(), l.name, l.limiter.Policy(), d)
	if !d.Allowed {
		l.refused.Inc()
		return &refusal{
			status: http.StatusTooManyRequests, code: codeRateLimited, retryAfter: d.RetryAfter, quotas: []string{l.name},
			detail: "Too many requests. Retry-After says when the next one is accepted.",
			cause:  fmt.Errorf("rate limit %s", l.name),
		}
	}
	l.admitted.Inc()
	return d.Wait(x.ctx())
}

// address is the client's; see [clientAddress]. Those that nobody can read count as one.
func (x *exchange) address() netip.Addr {
	address, err := netip.ParseAddr(x.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	return address
}

// validateRateLimits reports every problem at once.
func (c PublicConfig) validateRateLimits() error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(c.RateLimits)) {
		if c.RateLimits[name] == nil {
			problems = append(problems, fmt.Errorf("rate limit %s: has no limiter", name))
		} else if err := CheckRateLimit(name, c.RateLimits[name].Policy()); err != nil {
			problems = append(problems, fmt.Errorf("rate limit %s: %w", name, err))
		}
	}
	return errors.Join(problems...)
}
