package redisscript

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// DefaultTimeout of a round trip.
	DefaultTimeout = time.Second
	// minTimeout with replicas. WAIT has a third of it, as a call is sent twice when its key has moved within the cluster,
	// and an idle server notices up to 100 ms late that WAIT has timed out.
	minTimeout = 600 * time.Millisecond
	// maxBatch is how many calls go into one round trip. Redis serves others between two calls, not within one.
	maxBatch = 500
)

// Config configures a [Runner].
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client redis.UniversalClient
	// Replicas is how many replicas must have a confirmed write, in a cluster those of its shard; default none.
	Replicas int
	// Timeout bounds one round trip, whatever the client retries; default [DefaultTimeout]. Replicas have a third of it, and
	// with replicas it must be at least 600 ms.
	Timeout time.Duration
}

// Runner runs scripts. Methods may be called concurrently.
type Runner struct {
	client   redis.UniversalClient
	replicas int
	timeout  time.Duration
}

// New returns a runner. It does not talk to the server; it fails only for an invalid configuration.
func New(c Config) (*Runner, error) {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	known, heeds := heedsContext(c.Client)
	bad(!known, "redis client %T: want a *redis.Client or a *redis.ClusterClient", c.Client)
	bad(known && !heeds, "redis client: needs ContextTimeoutEnabled, or a server that hangs holds callers beyond their deadline")
	bad(c.Replicas < 0, "redis replicas %d: must not be negative", c.Replicas)
	bad(c.Timeout < 0, "redis timeout %v: must not be negative", c.Timeout)
	bad(c.Replicas > 0 && c.Timeout < minTimeout, "redis timeout %v: must be at least %v with replicas", c.Timeout, minTimeout)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Runner{client: c.Client, replicas: c.Replicas, timeout: c.Timeout}, nil
}

// heedsContext tells whether the client is of a known kind, and whether it ends a read when the context ends.
func heedsContext(client redis.UniversalClient) (known, heeds bool) {
	switch c := client.(type) {
	case *redis.Client:
		return c != nil, c != nil && c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c != nil, c != nil && c.Options().ContextTimeoutEnabled
	default:
		return false, false
	}
}

// Call is a script with its one key and its arguments. Scripts must bear to be run again: the client repeats a call
// whose answer was lost.
type Call struct {
	Script *redis.Script
	Key    string
	Args   []any
}

// Cluster tells whether keys may be on different servers.
func (r *Runner) Cluster() bool {
	_, cluster := r.client.(*redis.ClusterClient)
	return cluster
}

// Run runs one script and returns its answer.
func (r *Runner) Run(ctx context.Context, c Call) (*redis.Cmd, error) {
	answers, err := r.RunAll(ctx, c)
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

// RunAll runs scripts, not as one atomic step, and returns their answers in order. After an error some may have run.
func (r *Runner) RunAll(ctx context.Context, calls ...Call) ([]*redis.Cmd, error) {
	answers := make([]*redis.Cmd, 0, len(calls))
	for batch := range slices.Chunk(calls, maxBatch) {
		got, err := r.within(ctx, func(ctx context.Context) ([]*redis.Cmd, error) { return send(ctx, r.client, batch) })
		if err != nil {
			return nil, err
		}
		answers = append(answers, got...)
	}
	return answers, nil
}

// within gives a round trip its deadline, and a client of a cluster the occasion to learn why one failed.
func (r *Runner) within(ctx context.Context, do func(context.Context) ([]*redis.Cmd, error)) ([]*redis.Cmd, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answers, err := do(ctx)
	if cluster, is := r.client.(*redis.ClusterClient); is && err != nil {
		// Without this a pipeline goes to a master that has died until the client's map of the cluster is a minute old.
		cluster.ReloadState(ctx)
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err) // the client reports a deadline as an I/O timeout
	}
	return answers, err
}

// send runs calls in one round trip, or in two when the server does not have the scripts yet.
func send(ctx context.Context, client redis.Cmdable, calls []Call) ([]*redis.Cmd, error) {
	answers := make([]*redis.Cmd, len(calls))
	missing, err := sendRest(ctx, client, calls, answers, (*redis.Script).EvalSha)
	if err == nil && missing {
		_, err = sendRest(ctx, client, calls, answers, (*redis.Script).Eval)
	}
	if err != nil {
		return nil, fmt.Errorf("running a script in redis: %w", err)
	}
	return answers, nil
}

// eval is EvalSha or Eval.
type eval func(s *redis.Script, ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

// sendRest runs those calls that have no answer yet. missing tells that the server lacked the script of one.
func sendRest(ctx context.Context, client redis.Cmdable, calls []Call, answers []*redis.Cmd, eval eval) (missing bool, err error) {
	pipe := client.Pipeline()
	for i, c := range calls {
		if answers[i] == nil {
			answers[i] = eval(c.Script, ctx, pipe, []string{c.Key}, c.Args...)
		}
	}
	_, _ = pipe.Exec(ctx) // the first error of the commands, which are looked at one by one
	for i, answer := range answers {
		switch err := answer.Err(); {
		case errors.Is(err, redis.ErrNoScript), redis.HasErrorPrefix(err, "NOSCRIPT"):
			answers[i], missing = nil, true
		case err != nil:
			return false, err
		}
	}
	return missing, nil
}
