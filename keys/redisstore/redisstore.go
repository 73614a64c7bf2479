package redisstore

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/keys"
)

//go:embed get.lua
var getSource string

//go:embed version.lua
var versionSource string

//go:embed swap.lua
var swapSource string

// ringKey is where the ring is.
const ringKey = "authd:keys"

// Config configures a store.
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client redis.UniversalClient
	Codec  *keys.Codec // required; it must seal
	// ViewAge is the policy's: a ring that this process saw longer ago is not put back into a server that has lost it;
	// default 10 min.
	ViewAge time.Duration
	// Poll is how often a watch asks for the version; default 250 ms.
	Poll time.Duration
	// Replicas is how many replicas must have a write before it returns; default none. All that can be promoted is the
	// number that makes sure.
	Replicas int
	// Timeout bounds one round trip, whatever the client retries; default 1 s. Replicas have a third of it, and with
	// replicas it must be at least 600 ms.
	Timeout time.Duration
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // default: none
}

// New returns a store. It does not talk to the server yet; it fails only for an invalid configuration.
func New(c Config) (keys.Store, error) {
	cell, err := newCell(c)
	if c.Codec == nil || !c.Codec.Sealed() {
		err = errors.Join(err, errors.New("codec: must seal, as a server outside the process must not hold a key in the clear"))
	}
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	return keys.NewStore(cell, c.Codec), nil
}

func newCell(c Config) (*cell, error) {
	runner, err := redisscript.New(redisscript.Config{Client: c.Client, Replicas: c.Replicas, Timeout: c.Timeout})
	if c.ViewAge < 0 || c.Poll < 0 {
		err = errors.Join(err, fmt.Errorf("view age %v, poll %v: must not be negative", c.ViewAge, c.Poll))
	}
	if err != nil {
		return nil, err
	}
	cell := &cell{
		redis:   runner,
		get:     redis.NewScript(getSource),
		version: redis.NewScript(versionSource),
		swap:    redis.NewScript(swapSource),
		viewAge: cmp.Or(c.ViewAge, 10*time.Minute),
		poll:    cmp.Or(c.Poll, 250*time.Millisecond),
		now:     c.Now,
		log:     c.Logger,
	}
	if cell.now == nil {
		cell.now = time.Now
	}
	if cell.log == nil {
		cell.log = slog.New(slog.DiscardHandler)
	}
	return cell, nil
}

func newVersion() keys.Version { return keys.Version(rand.Text()) }
