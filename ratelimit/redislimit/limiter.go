package redislimit

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/ratelimit"
)

//go:embed fixed_window.lua
var fixedWindowSource string

//go:embed sliding_window.lua
var slidingWindowSource string

//go:embed token_bucket.lua
var tokenBucketSource string

//go:embed leaky_bucket.lua
var leakyBucketSource string

//go:embed refund_window.lua
var refundWindowSource string

//go:embed refund_bucket.lua
var refundBucketSource string

// Config configures a [Limiter].
type Config struct {
	// Client is required; it must have been made with ContextTimeoutEnabled. It stays the caller's to close.
	Client redis.UniversalClient
	// Name tells limits on one server apart; required, see [ratelimit.CheckName].
	Name    string
	Policy  ratelimit.Policy // required; another policy under the same name starts counting anew
	Timeout time.Duration    // for one call, whatever the client retries; default 500 ms
}

// Limiter is a [ratelimit.Limiter] whose state is in Redis, under the keys
//
//	authd:limit:NAME:POLICY:{DIGEST}
//
// where DIGEST is the first 16 bytes of the key's SHA-256 in base64url.
type Limiter struct {
	server server
	policy ratelimit.Policy
	prefix string
	take   *redis.Script
	refund *redis.Script
}

// New returns a limiter. It does not talk to the server yet; it fails only for an invalid configuration.
func New(c Config) (*Limiter, error) {
	if err := ratelimit.CheckName(c.Name); err != nil {
		return nil, err
	}
	if err := c.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("rate limit policy: %w", err)
	}
	server, err := newServer(c.Client, c.Timeout)
	if err != nil {
		return nil, err
	}
	l := &Limiter{server: server, policy: c.Policy}
	l.prefix = keyPrefix + tame(c.Name) + ":" + tame(c.Policy.String()) + ":"
	switch c.Policy.Algorithm {
	case ratelimit.FixedWindow:
		l.take, l.refund = redis.NewScript(fixedWindowSource), redis.NewScript(refundWindowSource)
	case ratelimit.SlidingWindow:
		l.take, l.refund = redis.NewScript(slidingWindowSource), redis.NewScript(refundWindowSource)
	case ratelimit.TokenBucket:
		l.take, l.refund = redis.NewScript(tokenBucketSource), redis.NewScript(refundBucketSource)
	case ratelimit.LeakyBucket:
		l.take = redis.NewScript(leakyBucketSource) // places are not given back
	}
	return l, nil
}

// Policy implements [ratelimit.Limiter].
func (l *Limiter) Policy() ratelimit.Policy { return l.policy }

// Allow implements [ratelimit.Limiter].
func (l *Limiter) Allow(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	d, _, _, err := l.step(ctx, key, n)
	return d, err
}

// step is Allow with the state it left behind and the server's time.
func (l *Limiter) step(ctx context.Context, key string, n int) (ratelimit.Decision, ratelimit.State, time.Time, error) {
	if err := l.policy.CheckUnits(n); err != nil {
		return ratelimit.Decision{}, ratelimit.State{}, time.Time{}, err
	}
	cmd, err := l.server.run(ctx, l.take, l.key(key), l.policy.Limit, l.policy.Window.Milliseconds(), n, l.policy.Capacity())
	if err != nil {
		return ratelimit.Decision{}, ratelimit.State{}, time.Time{}, err
	}
	answer, err := cmd.Int64Slice()
	if err != nil || len(answer) != 5 {
		return ratelimit.Decision{}, ratelimit.State{}, time.Time{},
			fmt.Errorf("%w: unexpected answer %v of a script in redis", ratelimit.ErrUnavailable, cmd.Val())
	}
	now := time.UnixMilli(answer[1])
	state := ratelimit.State{At: answer[2], Level: answer[3], Previous: answer[4]}
	return l.policy.Decision(state, now, n, answer[0] == 1), state, now, nil
}

// Refund implements [ratelimit.Limiter].
func (l *Limiter) Refund(ctx context.Context, key string, d ratelimit.Decision) error {
	units, at := d.Receipt()
	if units == 0 || l.refund == nil {
		return nil
	}
	_, err := l.server.run(ctx, l.refund, l.key(key), l.policy.Window.Milliseconds(), units, at)
	return err
}

// Forget implements [ratelimit.Limiter].
func (l *Limiter) Forget(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, l.server.timeout)
	defer cancel()
	if err := l.server.client.Del(ctx, l.key(key)).Err(); err != nil {
		return fmt.Errorf("%w: deleting a key in redis: %w", ratelimit.ErrUnavailable, err)
	}
	return nil
}

func (l *Limiter) key(key string) string { return l.prefix + "{" + digest(key) + "}" }

// tame keeps names readable in a key, and braces out of it: only the digest's may choose the cluster's slot.
func tame(s string) string { return strings.NewReplacer(" ", "_", "{", "(", "}", ")").Replace(s) }
