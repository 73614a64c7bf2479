package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// defaultMaxWait is how long Before waits for attempts in flight: as long as authd's logins wait for the password hash.
const defaultMaxWait = 5 * time.Second

// recently is how long after a login from an address more of them are expected, from a program that logs in many times.
const recently = 10 * time.Second

// LoginPolicies are the budgets of failed logins, all of them token buckets. An attempt counts when it begins and is
// taken back when it succeeds, so concurrent guesses cannot outrun a budget. See [LoginGuard] for what each is for.
type LoginPolicies struct {
	Address   Policy // one address, whatever the account; default "token-bucket 30/15m"
	KnownEach Policy // one account and one address it has logged in from; default "token-bucket 5/24h"
	Known     Policy // one account, all such addresses together; default "token-bucket 10/24h"
	NewEach   Policy // one account and one other address; default "token-bucket 3/24h"
	New       Policy // one account, all other addresses together; default "token-bucket 35/24h"
	Repeat    Policy // one account, attempts beyond the budget of their own address; default "token-bucket 5/24h"
}

// DefaultLoginPolicies returns the defaults.
func DefaultLoginPolicies() LoginPolicies {
	bucket := func(n int, window time.Duration) Policy {
		return Policy{Algorithm: TokenBucket, Limit: n, Window: window}
	}
	const day = 24 * time.Hour
	return LoginPolicies{
		Address:   bucket(30, 15*time.Minute),
		KnownEach: bucket(5, day),
		Known:     bucket(10, day),
		NewEach:   bucket(3, day),
		New:       bucket(35, day),
		Repeat:    bucket(5, day),
	}
}

// LoginConfig configures a [LoginGuard].
type LoginConfig struct {
	// Open makes the limiter of one budget; required. Names are fixed: login-address, login-known-each and so on.
	Open     func(name string, p Policy) (Limiter, error)
	Known    KnownAddresses // required
	Policies LoginPolicies  // a zero field means its default
	// Shared says that the limiters count the attempts of other processes too, whose attempts in flight cannot be seen
	// here. Then an attempt that is one too many also waits when none of this process is in flight, if the account has
	// logged in from the same address a moment ago: it may be an honest program that logs in many times at once.
	Shared  bool
	MaxWait time.Duration // longest that Before waits for attempts in flight from the same address; default 5 s
}

// LoginGuard limits failed logins, so that guessing ends soon and nobody can lock another out.
//
// A limit per account alone is a lock that anybody can turn; a limit per address alone lets many addresses guess at one
// account. So an attempt counts against its address, and, by where it comes from, against one of three lanes of its
// account:
//
//   - known: addresses from which the account has logged in before. Strangers cannot use this lane up.
//   - new: the first three attempts in a day of every other address.
//   - repeat: what goes beyond an address's own budget in the lanes above.
//
// With the default policies, in any 24 hours:
//
//   - an account suffers at most 100 failures (NIST SP 800-63B-4 section 3.2.2), wherever they come from: each lane
//     admits its burst once and as much again by refilling, 2×(10+35+5);
//   - one address has at most 16 guesses at an account where it is new;
//   - the owner gets in at once from an address the account has used, whatever strangers do, unless guesses come from
//     that very address or from two others of theirs;
//   - the owner gets in at once from an address never seen, as long as fewer than 12 addresses (IPv6: /64 networks)
//     attack the account; and within 41 minutes (24 h / 35) after a larger attack has ended. While one lasts, the owner
//     competes with it.
//
// Success does not clear the failures of others, and unknown accounts are counted like any. Account names are folded
// and hashed before they become keys; IPv6 addresses count by /64.
type LoginGuard struct {
	address Limiter
	lanes   [3]lane
	known   KnownAddresses
	flights flights
	maxWait time.Duration
	shared  bool
}

// The lanes, in the order in which an attempt tries them.
const (
	laneKnown = iota
	laneNew
	laneRepeat
)

// lane admits an attempt when all its limiters do.
type lane struct {
	each    Limiter // keyed by account and address; nil for none
	account Limiter // keyed by account
}

// NewLoginGuard opens the limiters. It fails for an invalid configuration and when Open does.
func NewLoginGuard(c LoginConfig) (*LoginGuard, error) {
	if c.Open == nil || c.Known == nil {
		return nil, errors.New("login guard: Open and Known are required")
	}
	if c.MaxWait < 0 {
		return nil, fmt.Errorf("login guard: longest wait %v must not be negative", c.MaxWait)
	}
	if c.MaxWait == 0 {
		c.MaxWait = defaultMaxWait
	}
	g := &LoginGuard{known: c.Known, maxWait: c.MaxWait, shared: c.Shared, flights: flights{byAddress: make(map[string]*flight)}}
	defaults := DefaultLoginPolicies()
	for _, b := range []struct {
		name           string
		policy, normal Policy
		opened         *Limiter
	}{
		{"login-address", c.Policies.Address, defaults.Address, &g.address},
		{"login-known-each", c.Policies.KnownEach, defaults.KnownEach, &g.lanes[laneKnown].each},
		{"login-known", c.Policies.Known, defaults.Known, &g.lanes[laneKnown].account},
		{"login-new-each", c.Policies.NewEach, defaults.NewEach, &g.lanes[laneNew].each},
		{"login-new", c.Policies.New, defaults.New, &g.lanes[laneNew].account},
		{"login-repeat", c.Policies.Repeat, defaults.Repeat, &g.lanes[laneRepeat].account},
	} {
		if b.policy == (Policy{}) {
			b.policy = b.normal
		}
		if b.policy.Algorithm != TokenBucket {
			return nil, fmt.Errorf("%s: %v: must be a token-bucket, which takes units back exactly", b.name, b.policy)
		}
		var err error
		if *b.opened, err = c.Open(b.name, b.policy); err != nil {
			return nil, fmt.Errorf("opening %s: %w", b.name, err)
		}
	}
	return g, nil
}

// Before is asked before the password is looked at. Settle an allowed attempt with exactly one of Succeeded, Failed and
// Cancelled. A refused one has cost nothing; answer 429 with [SetRetryAfter], for a wrong and a right password alike.
//
// While other attempts from the same address are in flight in this process, an attempt that is one too many waits for
// them, at most MaxWait: honest programs that log in many times at once are not refused for attempts that succeed.
func (g *LoginGuard) Before(ctx context.Context, account string, address netip.Addr) (*Attempt, error) {
	a := &Attempt{account: accountKey(account), address: AddressKey(address)}
	f := g.flights.enter(a.address)
	wait, cancel := context.WithTimeout(ctx, g.maxWait)
	defer cancel()
	for {
		settled := g.flights.begin(f)
		if err := g.try(ctx, a); err != nil {
			g.flights.end(a.address, f)
			return nil, err
		}
		if a.Allowed {
			a.flight = f
			return a, nil
		}
		if !g.flights.await(wait, f, settled, g.shared && a.recent) {
			g.flights.leave(a.address, f)
			return a, nil
		}
	}
}

// try charges the attempt to its address and to the first lane that admits it, or to nothing.
func (g *LoginGuard) try(ctx context.Context, a *Attempt) (err error) {
	defer func() {
		if err != nil || !a.Allowed {
			err = errors.Join(err, a.refund(context.WithoutCancel(ctx)))
		}
	}()
	a.Allowed, a.RetryAfter = false, 0
	d, err := a.charge(ctx, g.address, a.address)
	if err != nil {
		return err
	}
	ago, known, err := g.known.Known(ctx, a.account, a.address)
	if err != nil {
		return fmt.Errorf("looking up known addresses: %w", err)
	}
	a.Known, a.recent = known, known && ago < recently
	if !d.Allowed {
		a.RetryAfter = d.RetryAfter
		return nil
	}
	lanes := g.lanes[:]
	if !known {
		lanes = lanes[laneNew:]
	}
	for _, l := range lanes {
		d, err := a.enter(ctx, l)
		if err != nil {
			return err
		}
		if d.Allowed {
			a.Allowed, a.RetryAfter = true, 0
			return nil
		}
		if a.RetryAfter == 0 || d.RetryAfter < a.RetryAfter {
			a.RetryAfter = d.RetryAfter
		}
	}
	return nil
}

// Succeeded takes the attempt back and remembers its address as one the account has logged in from. An error leaves
// the attempt counted or the address unknown, which is no reason to refuse the login. It is done even if ctx has ended.
func (g *LoginGuard) Succeeded(ctx context.Context, a *Attempt) error {
	if a.flight == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	defer g.settle(a)
	err := g.known.Remember(ctx, a.account, a.address)
	if err != nil {
		err = fmt.Errorf("remembering the address: %w", err)
	}
	return errors.Join(err, a.refund(ctx))
}

// Failed leaves the attempt counted: the password was wrong.
func (g *LoginGuard) Failed(a *Attempt) { g.settle(a) }

// Cancelled takes the attempt back: nobody learned whether the password was right, as the user store did not answer. It
// is done even if ctx has ended.
func (g *LoginGuard) Cancelled(ctx context.Context, a *Attempt) error {
	if a.flight == nil {
		return nil
	}
	defer g.settle(a)
	return a.refund(context.WithoutCancel(ctx))
}

func (g *LoginGuard) settle(a *Attempt) {
	if a.flight != nil {
		g.flights.end(a.address, a.flight)
		a.flight = nil
	}
}

// Forgive gives an account its whole budget again, for an administrator. Budgets of single addresses stay.
func (g *LoginGuard) Forgive(ctx context.Context, account string) error {
	var errs []error
	for _, l := range g.lanes {
		errs = append(errs, l.account.Forget(ctx, accountKey(account)))
	}
	return errors.Join(errs...)
}
