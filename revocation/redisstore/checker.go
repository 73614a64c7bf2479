package redisstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

const (
	// maxFlight is how many tokens one round trip asks about: 5 ms of the server's time at most.
	maxFlight = 64
	// maxFlights is how many round trips are under way at once. While all are, checks gather for the next.
	maxFlights = 2
)

// CheckerConfig may be left zero.
type CheckerConfig struct {
	// MaxStaleness is how long ago replicas may have confirmed, for the last time, that the server that answers is the
	// primary. It matters only where heartbeats are confirmed; default 5 s. A server without replicas is always current.
	MaxStaleness time.Duration
	Timeout      time.Duration // for one round trip; default 1 s
}

// Checker asks the server about each token, for routes that rather wait than trust a mirror. Concurrent checks share
// round trips. It implements [revocation.Checker] and starts no goroutine.
type Checker struct {
	server       server
	maxStaleness time.Duration
	slots        chan struct{} // holds a value for each round trip under way

	mu   sync.Mutex
	next *flight // gathers checks; nil when there are none
}

var _ revocation.Checker = (*Checker)(nil)

// flight is one round trip and the checks that share it.
type flight struct {
	claims []revocation.Claims
	done   chan struct{} // closed when kinds and err are set
	kinds  []revocation.Kind
	proven bool
	err    error
}

// NewChecker returns a checker over client, which must be as for [NewFeed].
func NewChecker(client redis.UniversalClient, cfg CheckerConfig) (*Checker, error) {
	server, err := newServer(client, cfg.Timeout, 0)
	if err != nil {
		return nil, fmt.Errorf("revocation checker: %w", err)
	}
	if cfg.MaxStaleness < 0 {
		return nil, fmt.Errorf("revocation checker: max staleness %v: must not be negative", cfg.MaxStaleness)
	}
	if cfg.MaxStaleness == 0 {
		cfg.MaxStaleness = revocation.DefaultMaxStaleness
	}
	return &Checker{server: server, maxStaleness: cfg.MaxStaleness, slots: make(chan struct{}, maxFlights)}, nil
}

// Check implements [revocation.Checker]. One of the checks that share a round trip makes it for all; should its ctx end
// meanwhile, it returns only when the round trip is over, which is within the configured timeout.
func (c *Checker) Check(ctx context.Context, claims revocation.Claims) error {
	if err := ctx.Err(); err != nil {
		return unavailable("asking about a token", err)
	}
	f, i, first := c.join(claims)
	if first {
		c.fly(ctx, f)
	}
	select {
	case <-f.done:
		return f.result(i)
	case <-ctx.Done():
		return unavailable("asking about a token", ctx.Err())
	}
}

// join adds a check to the flight that is gathering. The first to join one has to fly it.
func (c *Checker) join(claims revocation.Claims) (f *flight, index int, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first = c.next == nil; first {
		c.next = &flight{done: make(chan struct{})}
	}
	f = c.next
	f.claims = append(f.claims, claims)
	if len(f.claims) == maxFlight {
		c.next = nil
	}
	return f, len(f.claims) - 1, first
}

// fly waits for its turn, takes whoever has joined until then, and asks. It goes on when ctx ends, as others depend on
// it.
func (c *Checker) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.server.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		f.err = ctx.Err()
	}
	c.mu.Lock()
	if c.next == f {
		c.next = nil
	}
	c.mu.Unlock()
	if f.err == nil {
		f.kinds, f.proven, f.err = c.ask(ctx, f.claims)
	}
}

// ask makes the round trip.
func (c *Checker) ask(ctx context.Context, claims []revocation.Claims) (kinds []revocation.Kind, proven bool, err error) {
	args := make([]any, 0, 1+len(claims))
	args = append(args, c.maxStaleness.Milliseconds())
	for i := range claims {
		args = append(args, encodeClaims(&claims[i]))
	}
	values, err := c.server.call(ctx, checkScript, args...)
	a := answer{values: values, err: err}
	proven = a.number() == 1
	for range claims {
		kinds = append(kinds, revocation.Kind(a.number()))
	}
	return kinds, proven, a.err
}

// encodeClaims packs what check.lua takes.
func encodeClaims(c *revocation.Claims) []byte {
	b := make([]byte, 0, 5*len(c.Token)+8)
	for _, id := range []*revocation.ID{&c.Token, &c.Session, &c.Subject, &c.Client, &c.Key} {
		b = append(b, id[:]...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(max(0, c.IssuedAt)))
}

var (
	errNotProven = errors.New("redis cannot tell whether its revocation set is complete")
	errNoKind    = errors.New("the script answered an unknown kind of revocation")
)

// result returns the answer for one of the checks.
func (f *flight) result(i int) error {
	switch {
	case f.err != nil:
		return unavailable("asking about a token", f.err)
	case f.kinds[i] != 0 && f.kinds[i].Valid():
		return fmt.Errorf("%w: by %v", revocation.ErrRevoked, f.kinds[i])
	case f.kinds[i] != 0:
		return unavailable("asking about a token", errNoKind)
	case !f.proven:
		return unavailable("asking about a token", errNotProven)
	}
	return nil
}
