package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/redis/go-redis/v9"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/internal/redisurl"
	"github.com/authd-project/authd/internal/tracing"
)

// connections are the clients of the servers that the settings name. Each is made when first asked for, and shared by
// everything that needs it. It is used by one goroutine, at the start.
type connections struct {
	cfg     ConnectionConfig
	log     *slog.Logger
	traces  *tracing.Tracer // nil for none
	closers []func() error
	reread  []func() (swap func(), err error) // each reads a file again that connections are made with

	redisOptions *redis.UniversalOptions
	redisShared  redis.UniversalClient
	etcdShared   *clientv3.Client
}

// redis returns the client of sessions, revocations and the key ring.
func (c *connections) redis() (redis.UniversalClient, error) {
	if c.redisShared != nil {
		return c.redisShared, nil
	}
	options, err := c.parseRedis()
	if err != nil {
		return nil, err
	}
	c.redisShared = c.traceRedis(redis.NewUniversalClient(options))
	c.closers = append(c.closers, c.redisShared.Close)
	return c.redisShared, nil
}

// electionPool is enough for a candidate that asks, renews and gives up.
const electionPool = 3

// redisForElection returns a client with connections of its own: a renewal must not queue behind a crowd of logins.
func (c *connections) redisForElection() (redis.UniversalClient, error) {
	options, err := c.parseRedis()
	if err != nil {
		return nil, err
	}
	own := *options
	own.PoolSize = electionPool
	client := redis.NewUniversalClient(&own)
	c.closers = append(c.closers, client.Close)
	return client, nil
}

func (c *connections) parseRedis() (*redis.UniversalOptions, error) {
	if c.redisOptions != nil {
		return c.redisOptions, nil
	}
	redis.SetLogger(redisLog{c.log}) // the library has one logger for all clients
	options, err := redisurl.Parse(c.cfg.Redis)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if name := c.cfg.RedisPasswordFile; name != "" {
		secret, err := c.openSecret("redis-password-file", name)
		if err != nil {
			return nil, err
		}
		username := options.Username
		options.CredentialsProvider = func() (string, string) { return username, secret.reveal() }
	}
	c.redisOptions = options
	return options, nil
}

// redisLog takes what the Redis library says of connections. Whoever uses a client reports what fails.
type redisLog struct{ log *slog.Logger }

// Printf implements the library's interface.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, v...))
}

func (c *connections) close() error {
	var errs []error
	for _, f := range slices.Backward(c.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
