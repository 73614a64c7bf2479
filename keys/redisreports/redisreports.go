// Package redisreports keeps in Redis or Valkey what the verifiers report they hold, so that whichever authd leads knows
// all of them, see [keys.Reports].
//
// A report that was kept counts for every leader at once. What the server loses, by a restart, a failover or a FLUSHALL,
// is not missed in silence: the reports are good only for the lineage of the server's data (master_replid) that they were
// begun on, and begin anew on any other, and after a time in which nobody reported. Until they have been complete for long enough, keys keep to the timetable.
// Config.Replicas is for what a failover loses although the promoted server seems to have it all.
//
// # Rights
//
// Whoever can write here can make a key sign before every verifier knows it, at the earliest after publish-ahead-least. An
// ACL user needs:
//
//	~{authd:held}* +eval +evalsha +info +wait +pexpire +hget +hmget +hset +hdel +zadd +zcard +zrem +zscore +zrangebyscore
//
// and in a cluster +cluster|slots as well.
package redisreports

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/keys"
)

//go:embed common.lua
var commonSource string

//go:embed put.lua
var putSource string

//go:embed census.lua
var censusSource string

// heldKey is the hash tag of everything that is kept. It is no key itself.
const heldKey = "{authd:held}"

// Config configures a [Reports].
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client   redis.UniversalClient
	KeepFor  time.Duration // the policy's ReportedFor; required
	Most     int           // how many verifiers are kept; default keys.MaxReports
	Replicas int           // how many replicas must have a report before it is kept; default none
	// Timeout bounds one round trip; default 1 s. Replicas have a third of it, and with replicas it must be at least
	// 600 ms.
	Timeout time.Duration
	Now     func() time.Time // default time.Now
}

// Reports implements [keys.Reports].
type Reports struct {
	redis       *redisscript.Runner
	put, census *redis.Script
	keepFor     time.Duration
	most        int
	now         func() time.Time
}

var _ keys.Reports = (*Reports)(nil)

// New does not talk to the server yet; it fails only for an invalid configuration.
func New(c Config) (*Reports, error) {
	runner, err := redisscript.New(redisscript.Config{Client: c.Client, Replicas: c.Replicas, Timeout: c.Timeout})
	if c.KeepFor <= 0 || c.Most < 0 {
		err = errors.Join(err, fmt.Errorf("keep for %v, most %d: must not be negative, and the first not zero", c.KeepFor, c.Most))
	}
	if err != nil {
		return nil, fmt.Errorf("reports of verifiers: %w", err)
	}
	r := &Reports{
		redis:   runner,
		put:     redis.NewScript(commonSource + putSource),
		census:  redis.NewScript(commonSource + censusSource),
		keepFor: c.KeepFor, most: cmp.Or(c.Most, keys.MaxReports), now: c.Now,
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r, nil
}

// Put implements [keys.Reports].
func (r *Reports) Put(ctx context.Context, report keys.Report) error {
	_, err := r.redis.Confirm(ctx, redisscript.Call{Script: r.put, Key: heldKey, Args: []any{
		report.Verifier, report.At.UnixMilli(), report.Held + " " + report.From, r.keepFor.Milliseconds(), r.most,
	}})
	if err != nil {
		return fmt.Errorf("%w: keeping the report of a verifier: %w", keys.ErrUnavailable, err)
	}
	return nil
}

// Census implements [keys.Reports].
func (r *Reports) Census(ctx context.Context, q keys.Question) (keys.Census, error) {
	cmds, err := r.redis.Confirm(ctx, redisscript.Call{Script: r.census, Key: heldKey, Args: []any{
		q.Held, q.Settled.UnixMilli(), q.After.UnixMilli(), r.now().UnixMilli(), r.keepFor.Milliseconds(), keys.MaxNamed,
	}})
	if err != nil {
		return keys.Census{}, fmt.Errorf("%w: counting the verifiers: %w", keys.ErrUnavailable, err)
	}
	answer, err := cmds[0].StringSlice()
	if err != nil {
		return keys.Census{}, fmt.Errorf("counting the verifiers: %w", err)
	}
	return parse(answer)
}

func parse(answer []string) (c keys.Census, err error) {
	if len(answer) < 3 {
		return c, fmt.Errorf("counting the verifiers: a script answered %d values, want 3 or more", len(answer))
	}
	since, err1 := strconv.ParseInt(answer[0], 10, 64)
	verifiers, err2 := strconv.Atoi(answer[1])
	missing, err3 := strconv.Atoi(answer[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		return c, fmt.Errorf("counting the verifiers: %w", err)
	}
	c = keys.Census{Since: time.UnixMilli(since + 1), Verifiers: verifiers, Missing: missing, From: answer[3:]}
	slices.Sort(c.From)
	return c, nil
}
