package redislimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/ratelimit"
)

const (
	defaultTimeout = 500 * time.Millisecond
	keyPrefix      = "authd:limit:"
)

// server runs scripts with a deadline.
type server struct {
	client  redis.UniversalClient
	timeout time.Duration
}

func newServer(client redis.UniversalClient, timeout time.Duration) (server, error) {
	if client == nil {
		return server{}, errors.New("redis client: required")
	}
	if !heedsContext(client) {
		return server{}, errors.New("redis client: needs ContextTimeoutEnabled, or a server that hangs would hold requests beyond the deadline")
	}
	if timeout < 0 {
		return server{}, fmt.Errorf("redis timeout %v: must not be negative", timeout)
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return server{client: client, timeout: timeout}, nil
}

// heedsContext tells whether the client ends a read when the context ends; of an unknown kind of client it cannot tell.
func heedsContext(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	default:
		return true
	}
}

// run executes a script on one key. A call that was sent again because its answer was lost may count twice, never not
// at all.
func (s server) run(ctx context.Context, script *redis.Script, key string, args ...any) (*redis.Cmd, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := script.Run(ctx, s.client, []string{key}, args...)
	if err := cmd.Err(); err != nil {
		return nil, fmt.Errorf("%w: running a script in redis: %w", ratelimit.ErrUnavailable, err)
	}
	return cmd, nil
}

// digest stands for a key in Redis: of bounded length, and without the braces that would move it within a cluster.
func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
