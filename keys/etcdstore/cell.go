package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/keys"
)

// cell implements [keys.Cell].
type cell struct {
	client           *clientv3.Client
	key              string
	viewAge, timeout time.Duration
	now              func() time.Time
	log              *slog.Logger

	mu   sync.Mutex
	seen sight // the newest ring
}

// Get implements [keys.Cell].
func (c *cell) Get(ctx context.Context) ([]byte, keys.Version, error) {
	s, err := c.current(ctx)
	if err != nil {
		return nil, "", unavailable(err)
	}
	return s.ring, s.version, nil
}

// Swap implements [keys.Cell].
func (c *cell) Swap(ctx context.Context, old keys.Version, value []byte) (keys.Version, error) {
	s, err := c.current(ctx)
	switch {
	case err != nil:
		return "", unavailable(err)
	case s.version != old:
		return "", fmt.Errorf("%w: version %q has moved on to %q", keys.ErrStale, old, s.version)
	}
	next, written, err := c.write(ctx, s.revision, s.next(value, c.now()))
	switch {
	case err != nil:
		return "", unavailable(err)
	case !written:
		return "", fmt.Errorf("%w: version %q has moved on", keys.ErrStale, old)
	}
	return next.version, nil
}

// current reads the ring. When etcd has lost it, or gone back to an older one, it puts back the newest one seen.
func (c *cell) current(ctx context.Context) (sight, error) {
	last := c.last() // before etcd is asked: an answer may be overtaken by a write, but not be older than what it follows
	s, err := c.look(ctx)
	if err == nil && s.writes < last.writes {
		return c.restore(ctx, last, s)
	}
	return s, err
}

// restore puts the ring back as it was seen last, with its version: whoever read it may write on it.
func (c *cell) restore(ctx context.Context, last, found sight) (sight, error) {
	if age := found.at.Sub(last.at); age > c.viewAge {
		return sight{}, fmt.Errorf("etcd has lost the key ring or went back to an older one, and this process last saw the "+
			"current one %v ago: restore it from a backup, or restart every process to go on with what is there", age)
	}
	last.at = found.at
	restored, written, err := c.write(ctx, found.revision, last)
	switch {
	case err != nil:
		return sight{}, fmt.Errorf("putting back the key ring that etcd has lost: %w", err)
	case written:
		c.log.WarnContext(ctx, "etcd had lost the key ring, put back",
			"found", string(found.version), "version", string(last.version))
		return restored, nil
	}
	s, err := c.look(ctx) // somebody else was faster
	if err == nil && s.writes < last.writes {
		err = errors.New("etcd has lost the key ring again")
	}
	return s, err
}

// look asks a majority of etcd for the ring, and takes note of it.
func (c *cell) look(ctx context.Context) (sight, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	asked := c.now()
	resp, err := c.client.Get(ctx, c.key)
	if err != nil {
		return sight{}, err
	}
	var s sight
	if len(resp.Kvs) > 0 {
		if s, err = decode(resp.Kvs[0]); err != nil {
			return sight{}, err
		}
	}
	s.asOf, s.at = resp.Header.Revision, asked
	c.see(s)
	return s, nil
}

// write puts a ring in the place of the one written at a revision, if that is still there.
func (c *cell) write(ctx context.Context, over int64, s sight) (_ sight, written bool, err error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	resp, err := c.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(c.key), "=", over)).
		Then(clientv3.OpPut(c.key, s.encode())).
		Commit()
	if err != nil || !resp.Succeeded {
		return sight{}, false, err
	}
	s.revision, s.asOf = resp.Header.Revision, resp.Header.Revision
	c.see(s)
	return s, true, nil
}

// bound is the context of one round trip. A member that has lost sight of the others refuses at once, and the client
// asks the next.
func (c *cell) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(clientv3.WithRequireLeader(ctx), c.timeout)
}

func (c *cell) last() sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// see takes note of a ring, unless a newer one, or the same one at a later time, is known: answers may overtake each other.
func (c *cell) see(s sight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.writes > c.seen.writes || s.writes == c.seen.writes && !s.at.Before(c.seen.at) {
		c.seen = s
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", keys.ErrUnavailable, err) }
