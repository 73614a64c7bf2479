package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

const (
	defaultTimeout = time.Second
	// movedPause is how long a client of a cluster gets to learn its new layout.
	movedPause = 20 * time.Millisecond
)

// server reaches the one server that has the keys, with a deadline on every round trip.
type server struct {
	client  redis.UniversalClient
	timeout time.Duration // for one round trip, beyond the time the server is asked to block
}

func newServer(client redis.UniversalClient, timeout, block time.Duration) (server, error) {
	var heeds bool
	var read time.Duration
	switch c := client.(type) {
	case *redis.Client:
		heeds, read = c.Options().ContextTimeoutEnabled, c.Options().ReadTimeout
	case *redis.ClusterClient:
		heeds, read = c.Options().ContextTimeoutEnabled, c.Options().ReadTimeout
	default:
		return server{}, fmt.Errorf("redis client %T: want a *redis.Client or a *redis.ClusterClient", client)
	}
	switch {
	case !heeds:
		return server{}, errors.New("redis client: needs ContextTimeoutEnabled, or a server that hangs holds callers beyond their deadline")
	case read > 0 && read <= block:
		return server{}, fmt.Errorf("redis client: its ReadTimeout %v must exceed the %v that a read may block", read, block)
	case timeout < 0:
		return server{}, fmt.Errorf("redis timeout %v: must not be negative", timeout)
	case timeout == 0:
		timeout = defaultTimeout
	}
	return server{client: client, timeout: timeout}, nil
}

// pipe is what one round trip consists of.
type pipe struct {
	redis.Pipeliner
	full bool // send scripts, not their digests
}

// run queues a script.
func (p pipe) run(ctx context.Context, s script, args ...any) *redis.Cmd {
	switch {
	case p.full && s.reader:
		return s.source.EvalRO(ctx, p, allKeys(), args...)
	case p.full:
		return s.source.Eval(ctx, p, allKeys(), args...)
	case s.reader:
		return s.source.EvalShaRO(ctx, p, allKeys(), args...)
	}
	return s.source.EvalSha(ctx, p, allKeys(), args...)
}

// roundTrip sends what build queues over one connection and returns the first error among the answers; no answer in
// time to a command that blocks is none. The server may be asked twice, so commands must bear to be run again.
func (s server) roundTrip(ctx context.Context, block time.Duration, build func(context.Context, pipe)) error {
	err := s.attempt(ctx, block, false, build)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = s.attempt(ctx, block, true, build)
	}
	return err
}

// attempt has a deadline of its own: what follows a script that the server does not know may block for most of it.
func (s server) attempt(ctx context.Context, block time.Duration, full bool, build func(context.Context, pipe)) error {
	ctx, cancel := context.WithTimeout(ctx, block+s.timeout)
	defer cancel()
	for {
		err := s.send(ctx, full, build)
		cluster, isCluster := s.client.(*redis.ClusterClient)
		if err == nil || !isCluster {
			return err
		}
		cluster.ReloadState(ctx) // whatever it was, the next call should know the layout as it is then
		if _, moved := redis.IsMovedError(err); !moved {
			return err
		}
		if err := pause(ctx, movedPause); err != nil {
			return err
		}
	}
}

func (s server) send(ctx context.Context, full bool, build func(context.Context, pipe)) error {
	node, err := s.node(ctx)
	if err != nil {
		return fmt.Errorf("finding the node of the cluster: %w", err)
	}
	p := pipe{Pipeliner: node.Pipeline(), full: full}
	build(ctx, p)
	cmds, execErr := p.Exec(ctx)
	for _, c := range cmds {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	if execErr != nil && !errors.Is(execErr, redis.Nil) {
		return execErr
	}
	return nil
}

// node returns the client of the one server that has the keys, whose pipelines use one connection each.
func (s server) node(ctx context.Context) (*redis.Client, error) {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, metaKey)
	}
	return s.client.(*redis.Client), nil
}

// call runs one script that answers a list.
func (s server) call(ctx context.Context, sc script, args ...any) ([]any, error) {
	var cmd *redis.Cmd
	err := s.roundTrip(ctx, 0, func(ctx context.Context, p pipe) { cmd = p.run(ctx, sc, args...) })
	if err != nil {
		return nil, err
	}
	return cmd.Slice()
}

// pause waits for d, or returns the error of a ctx that ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unavailable marks an error of the server, or the end of the caller's context, as one whose outcome is unknown.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, revocation.ErrUnavailable, err)
}
