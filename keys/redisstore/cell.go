package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/keys"
)

// cell implements [keys.Cell].
type cell struct {
	redis              *redisscript.Runner
	get, version, swap *redis.Script
	viewAge, poll      time.Duration
	now                func() time.Time
	log                *slog.Logger

	mu   sync.Mutex
	seen sight
}

// sight is the ring as it was seen last.
type sight struct {
	version keys.Version // empty when none was ever seen
	value   []byte
	at      time.Time // before the server was asked
}

// Get implements [keys.Cell]. It puts the ring back when the server has lost it.
func (c *cell) Get(ctx context.Context) ([]byte, keys.Version, error) {
	ring, err := c.look(ctx)
	if last := c.last(); err == nil && ring.version == "" && last.version != "" {
		ring, err = c.restore(ctx, last, ring.at)
	}
	if err != nil {
		return nil, "", unavailable(err)
	}
	return ring.value, ring.version, nil
}

// restore puts the ring back as it was seen last, with its version: whoever read it may write on it.
func (c *cell) restore(ctx context.Context, last sight, now time.Time) (sight, error) {
	if age := now.Sub(last.at); age > c.viewAge {
		return sight{}, fmt.Errorf("redis has lost the key ring, and this process last saw it %v ago: "+
			"restore it from a backup, or restart every process to begin a new ring", age)
	}
	restored, _, err := c.write(ctx, "", last.version, last.value)
	if err != nil {
		return sight{}, fmt.Errorf("putting back the key ring that redis has lost: %w", err)
	}
	if restored {
		c.log.WarnContext(ctx, "redis had lost the key ring, put back", "version", string(last.version))
		return last, nil
	}
	ring, err := c.look(ctx) // somebody else was faster
	if err == nil && ring.version == "" {
		err = errors.New("redis has lost the key ring again")
	}
	return ring, err
}

// Swap implements [keys.Cell].
func (c *cell) Swap(ctx context.Context, old keys.Version, value []byte) (keys.Version, error) {
	next, asked := newVersion(), c.now()
	swapped, current, err := c.write(ctx, old, next, value)
	switch {
	case err != nil:
		return "", unavailable(err)
	case !swapped:
		return "", fmt.Errorf("%w: version %q has moved on to %q", keys.ErrStale, old, current)
	}
	c.see(sight{next, value, asked})
	return next, nil
}

// Watch implements [keys.Cell] by asking again and again, which no lost message and no half-open connection can fool.
func (c *cell) Watch(ctx context.Context) (<-chan keys.Version, error) {
	current, err := c.readVersion(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	versions := make(chan keys.Version, 1) // the latest that was not received yet
	go c.watch(ctx, current, versions)
	return versions, nil
}

// watch delivers versions until ctx ends or the server cannot be asked.
func (c *cell) watch(ctx context.Context, current keys.Version, versions chan keys.Version) {
	defer close(versions)
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	for delivered := keys.Version(""); ; {
		if current == "" && delivered != "" {
			return // the ring is lost: whoever watches should load, which puts it back
		}
		if current != delivered {
			select {
			case <-versions: // replaced: nobody has come for it yet
			default:
			}
			versions <- current
			delivered = current
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if current, err = c.readVersion(ctx); err != nil {
			return
		}
	}
}

// look reads the ring and takes note of it. The version is empty when there is none.
func (c *cell) look(ctx context.Context) (sight, error) {
	s := sight{at: c.now()}
	cmd, err := c.redis.Run(ctx, redisscript.Call{Script: c.get, Key: ringKey})
	if err != nil {
		return sight{}, err
	}
	ring, err := cmd.StringSlice()
	switch {
	case err != nil:
		return sight{}, fmt.Errorf("stored ring: %w", err)
	case len(ring) == 0:
		return s, nil
	case len(ring) != 2 || ring[0] == "":
		return sight{}, errors.New("stored ring: want version and value")
	}
	s.version, s.value = keys.Version(ring[0]), []byte(ring[1])
	c.see(s)
	return s, nil
}

// readVersion also takes note that the ring is still as it was seen.
func (c *cell) readVersion(ctx context.Context) (keys.Version, error) {
	asked := c.now()
	cmd, err := c.redis.Run(ctx, redisscript.Call{Script: c.version, Key: ringKey})
	if err != nil {
		return "", err
	}
	text, err := cmd.Text()
	if err != nil {
		return "", fmt.Errorf("stored ring: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := keys.Version(text); v == c.seen.version && asked.After(c.seen.at) {
		c.seen.at = asked
	}
	return keys.Version(text), nil
}

func (c *cell) write(ctx context.Context, old, next keys.Version, value []byte) (written bool, now keys.Version, err error) {
	cmds, err := c.redis.Confirm(ctx, redisscript.Call{
		Script: c.swap, Key: ringKey, Args: []any{string(old), string(next), value},
	})
	if err != nil {
		return false, "", err
	}
	answer, err := cmds[0].Slice()
	if err != nil {
		return false, "", err
	}
	if len(answer) != 2 {
		return false, "", fmt.Errorf("a script answered %d values, want 2", len(answer))
	}
	code, ok1 := answer[0].(int64)
	version, ok2 := answer[1].(string)
	if !ok1 || !ok2 {
		return false, "", errors.New("a script answered values of other types than wanted")
	}
	return code == 1, keys.Version(version), nil
}

func (c *cell) last() sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// see takes note of a ring, unless it was asked for before the one that is known: answers may overtake each other.
func (c *cell) see(s sight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.at.Before(c.seen.at) {
		c.seen = s
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", keys.ErrUnavailable, err) }
