// Package redisstore keeps the register of status lists in Redis or Valkey (6.2 or later), for many replicas of authd.
//
// Each list is one string: its header and its notes, one after the other. A note is one script that appends it, and the
// new length says which slot it got: no two authd ever get the same. A reader that has the notes up to some slot asks
// for the rest. Redis deletes a list when its tokens are dead.
//
// # What a failover can lose
//
// Replication is asynchronous. With Config.Replicas a token is not handed out before so many replicas have its note.
// Without, a failover or a FLUSHALL can lose notes of tokens that live: until those expire, the list says that they are
// valid, whatever is revoked. What an authd has read before it remembers; and an authd that notices the loss gives out no
// more places in that list.
//
// # Rights
//
// Whoever can write to the server can make tokens look valid to those who go by lists, or revoked. An ACL user needs:
//
//	~authd:l:* +eval +evalsha +exists +set +append +strlen +getrange +wait
//
// and in a cluster +cluster|slots as well.
package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/statuslist"
)

//go:embed append.lua
var appendSource string

// Config configures a [Store].
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client redis.UniversalClient
	// Replicas is how many replicas must have a note before Append returns, in a cluster those of the shard; default none.
	Replicas int
	// Timeout bounds one round trip, whatever the client retries; default 1 s, at least 600 ms with replicas.
	Timeout time.Duration
}

// Store is a statuslist.Register in Redis. Methods may be called concurrently.
type Store struct {
	client  redis.UniversalClient
	redis   *redisscript.Runner
	timeout time.Duration
	script  *redis.Script
}

var _ statuslist.Register = (*Store)(nil)

// chunk is how many notes one Read returns at most: 672 KiB, which keeps Redis from others for less than a millisecond.
const chunk = 1 << 13

// New returns a store. It does not talk to the server yet; it fails only for an invalid configuration.
func New(c Config) (*Store, error) {
	if c.Timeout == 0 {
		c.Timeout = redisscript.DefaultTimeout
	}
	runner, err := redisscript.New(redisscript.Config{Client: c.Client, Replicas: c.Replicas, Timeout: c.Timeout})
	if err != nil {
		return nil, fmt.Errorf("register of status lists: %w", err)
	}
	return &Store{client: c.Client, redis: runner, timeout: c.Timeout, script: redis.NewScript(appendSource)}, nil
}

func listKey(id statuslist.ListID) string { return "authd:l:" + id.String() }

// Append implements [statuslist.Register].
func (s *Store) Append(ctx context.Context, id statuslist.ListID, fresh statuslist.Header, n statuslist.Note) (
	slot int, h statuslist.Header, err error,
) {
	const doing = "noting a token"
	cmds, err := s.redis.Confirm(ctx, redisscript.Call{
		Script: s.script, Key: listKey(id), Args: []any{fresh.Pack(), n.Pack(), id.Dead().UnixMilli()},
	})
	if err != nil {
		return 0, h, unavailable(doing, err)
	}
	values, err := cmds[0].Slice()
	if err != nil || len(values) != 2 {
		return 0, h, unavailable(doing, errors.Join(err, fmt.Errorf("the script answered %d values, want 2", len(values))))
	}
	header, ok1 := values[0].(string)
	before, ok2 := values[1].(int64)
	if !ok1 || !ok2 {
		return 0, h, unavailable(doing, errors.New("the script answered values of other types than wanted"))
	}
	if before < 0 {
		return 0, h, statuslist.ErrFull
	}
	if h, err = statuslist.UnpackHeader([]byte(header)); err != nil {
		return 0, h, unavailable(doing, err)
	}
	return int(before), h, nil
}

// Read implements [statuslist.Register].
func (s *Store) Read(ctx context.Context, id statuslist.ListID, from int) (
	h statuslist.Header, total int, notes []byte, err error,
) {
	const doing = "reading notes"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	const size = int64(statuslist.NoteSize)
	first := (int64(from) + 1) * size
	pipe := s.client.Pipeline()
	header := pipe.GetRange(ctx, listKey(id), 0, size-1)
	length := pipe.StrLen(ctx, listKey(id))
	rest := pipe.GetRange(ctx, listKey(id), first, first+chunk*size-1)
	if _, err := pipe.Exec(ctx); err != nil {
		return h, 0, nil, unavailable(doing, err)
	}
	if header.Val() == "" {
		return h, 0, nil, statuslist.ErrNotFound
	}
	if h, err = statuslist.UnpackHeader([]byte(header.Val())); err != nil {
		return h, 0, nil, unavailable(doing, err)
	}
	if length.Val()%size != 0 || int64(len(rest.Val()))%size != 0 {
		return h, 0, nil, unavailable(doing, errors.New("the list does not consist of whole notes"))
	}
	return h, int(length.Val()/size) - 1, []byte(rest.Val()), nil
}

// unavailable marks an error of the server, or the end of the caller's context, as one whose outcome is unknown.
func unavailable(doing string, err error) error {
	return fmt.Errorf("status lists: %s: %w: %w", doing, statuslist.ErrUnavailable, err)
}
