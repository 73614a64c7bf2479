package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

const (
	defaultLease = 5 * time.Second
	// beatsPerLease is how many heartbeats an authd sends while its lease lasts: by default one each second.
	beatsPerLease = 5
)

// Config configures a [Store].
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client redis.UniversalClient
	// Mirror is required: this process's replica of the set, which [revocation.Mirror.Run] keeps current with the store
	// as its feed. What it holds is written back when the server has lost it.
	Mirror *revocation.Mirror
	// Replicas is how many replicas must have an entry before Add returns nil, and a heartbeat before followers trust
	// it; default none. Where there are replicas at all, it must be at least half of them: then no two servers can both
	// find enough, and a primary that was cut off is no longer believed.
	Replicas int
	// Timeout is for one round trip, whatever the client retries; default 1 s. Replicas have half of it.
	Timeout time.Duration
	// Lease is how long the store waits, after a loss, for an authd that has gone silent to write back what it held;
	// default 5 s. A fifth of it lies between two heartbeats. It must be the same for every authd.
	Lease time.Duration
	// Memory is optional: it lets an authd that finds the server empty tell a first start from a loss that no running
	// authd can repair.
	Memory Memory
	// SharedMemory says that every authd on this server has the same Memory, or that there is only one authd. Then a
	// Memory that is empty proves a first start, and the set goes live at once. Otherwise a process that finds the
	// server empty waits for the length of a lease: others may hold what the server has just lost.
	SharedMemory bool
	// Restored is optional: it is called with entries that the server had lost and this process has written back, before
	// the set goes live again. Other stores on the same server may have lost what belongs to them: the end of a
	// session's record above all. It may be called twice with the same entries; after an error it is.
	Restored func(context.Context, []revocation.Entry) error
	Logger   *slog.Logger     // default: discards
	Now      func() time.Time // default time.Now; must carry a monotonic reading
}

// Memory remembers, anywhere but on the same server, the latest epoch whose set was live.
type Memory interface {
	// LastEpoch returns what was remembered last, or "" if nothing ever was.
	LastEpoch(ctx context.Context) (string, error)
	RememberEpoch(ctx context.Context, epoch string) error
}

// withDefaults returns c with its defaults, or everything that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Mirror == nil, "mirror: required")
	bad(c.Replicas < 0, "redis replicas %d: must not be negative", c.Replicas)
	bad(c.Lease < 0, "lease %v: must not be negative", c.Lease)
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, errors.Join(errs...)
}
