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
	// maxFlight is how many tokens one round trip asks about: 2 ms of the server's time at most.
	maxFlight = 64
	// maxFlights is how many round trips are under way at once. While all are, checks gather for the next.
	maxFlights = 2
	// maxWaiting is how many checks may wait for a round trip: no more than a healthy server answers in a tenth of a
	// second. Beyond, it cannot keep up, and to say so at once is better than to let everybody wait in vain.
	maxWaiting = 1024
)

// CheckerConfig may be left zero.
type CheckerConfig struct {
	// MaxStaleness is how long ago replicas may have confirmed, for the last time, that the server that answers is the
	// primary. It matters only where heartbeats are confirmed; default 5 s. A server without replicas is always current.
	MaxStaleness time.Duration
	Timeout      time.Duration // for one round trip; default 1 s
}

// Checker asks the server about each token, for routes that rather wait than trust a mirror. It implements
// [revocation.Checker]. Concurrent checks share round trips; a lone one waits for nobody.
type Checker struct {
	server       server
	maxStaleness time.Duration
	perFlight    int
	slots        chan struct{} // holds a value for each round trip under way
	flights      sync.WaitGroup

	mu      sync.Mutex
	next    *flight // gathers checks; nil when there are none
	waiting int     // checks that have not been sent yet
	closed  bool
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
	return &Checker{
		server: server, maxStaleness: cfg.MaxStaleness, perFlight: maxFlight, slots: make(chan struct{}, maxFlights),
	}, nil
}

// Close waits for the round trips under way, which end within the configured timeout. Checks that come later answer
// [revocation.ErrUnavailable]. The client stays open.
func (c *Checker) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.flights.Wait()
}

// Check implements [revocation.Checker]. It returns when ctx ends, and in any case within the configured timeout: also
// when the server hangs, and at once when too many checks are waiting already.
func (c *Checker) Check(ctx context.Context, claims revocation.Claims) error {
	const doing = "asking about a token"
	if err := ctx.Err(); err != nil {
		return unavailable(doing, err)
	}
	f, i, err := c.join(ctx, claims)
	if err != nil {
		return unavailable(doing, err)
	}
	select {
	case <-f.done:
		return f.result(i)
	case <-ctx.Done():
		return unavailable(doing, ctx.Err())
	}
}

var (
	errOverloaded = errors.New("too many checks are waiting for redis")
	errClosed     = errors.New("the checker is closed")
)

// join adds a check to the flight that is gathering, or has another take off.
func (c *Checker) join(ctx context.Context, claims revocation.Claims) (f *flight, index int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, 0, errClosed
	case c.waiting >= maxWaiting:
		return nil, 0, errOverloaded
	case c.next == nil:
		c.next = c.takeOff(ctx)
	}
	f = c.next
	f.claims = append(f.claims, claims)
	c.waiting++
	if len(f.claims) >= c.perFlight {
		c.next = nil
	}
	return f, len(f.claims) - 1, nil
}

// takeOff begins a flight, which outlives ctx: others may depend on it.
func (c *Checker) takeOff(ctx context.Context) *flight {
	f := &flight{done: make(chan struct{})}
	ctx = context.WithoutCancel(ctx)
	c.flights.Go(func() { c.fly(ctx, f) })
	return f
}

// fly waits for its turn, takes whoever has joined until then, and asks.
func (c *Checker) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(ctx, c.server.timeout)
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
	c.waiting -= len(f.claims)
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
