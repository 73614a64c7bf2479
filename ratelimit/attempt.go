package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// Attempt is one login on its way through a [LoginGuard]. It is for one goroutine at a time.
type Attempt struct {
	Allowed    bool
	RetryAfter time.Duration // when refused: not before this much later is an attempt from here admitted
	Known      bool          // the account has logged in from this address before

	account, address string // as keys
	charges          []charge
	recent           bool    // the account has logged in from the address a moment ago
	flight           *flight // from Before's yes until the attempt is settled
}

// charge is what an attempt took from one limiter.
type charge struct {
	limiter  Limiter
	key      string
	decision Decision
}

func (a *Attempt) charge(ctx context.Context, l Limiter, key string) (Decision, error) {
	d, err := l.Allow(ctx, key, 1)
	if err == nil && d.Allowed {
		a.charges = append(a.charges, charge{l, key, d})
	}
	return d, err
}

// enter charges the attempt to all limiters of a lane, or to none.
func (a *Attempt) enter(ctx context.Context, l lane) (Decision, error) {
	before := len(a.charges)
	if l.each != nil {
		if d, err := a.charge(ctx, l.each, a.account+" "+a.address); err != nil || !d.Allowed {
			return d, err
		}
	}
	d, err := a.charge(ctx, l.account, a.account)
	if err == nil && !d.Allowed {
		err = a.refundFrom(ctx, before)
	}
	return d, err
}

// refund takes back all charges.
func (a *Attempt) refund(ctx context.Context) error { return a.refundFrom(ctx, 0) }

func (a *Attempt) refundFrom(ctx context.Context, first int) error {
	var errs []error
	for _, c := range a.charges[first:] {
		errs = append(errs, c.limiter.Refund(ctx, c.key, c.decision))
	}
	a.charges = a.charges[:first]
	return errors.Join(errs...)
}

// accountKey stands for an account, so that no user name reaches a store. Spellings that a source of users might take
// for the same account share a key; accounts that differ in no more than that share their budgets.
func accountKey(name string) string {
	folded := strings.ToLower(norm.NFKC.String(strings.TrimSpace(name)))
	sum := sha256.Sum256([]byte("account " + folded))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// AddressKey is the key under which limits count whoever has the address: of IPv6 a customer has at least a /64, and may
// choose within it, so that is what counts; IPv4 addresses count each.
func AddressKey(address netip.Addr) string {
	address = address.Unmap()
	if !address.Is6() {
		return address.String()
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address.String() // cannot happen: 64 bits are there
	}
	return network.String() // without a zone
}
