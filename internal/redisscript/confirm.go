package redisscript

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrUnconfirmed means that the scripts ran, but fewer replicas than wanted have their writes: a failover may lose them.
var ErrUnconfirmed = errors.New("not confirmed by enough replicas")

// movedPause is how long a client of a cluster gets to learn its new layout.
const movedPause = 20 * time.Millisecond

// Confirm is RunAll that returns only once the configured number of replicas have what the scripts wrote.
func (r *Runner) Confirm(ctx context.Context, calls ...Call) ([]*redis.Cmd, error) {
	if r.replicas == 0 {
		return r.RunAll(ctx, calls...)
	}
	answers := make([]*redis.Cmd, len(calls))
	for batch := range slices.Chunk(positions(calls), maxBatch) {
		_, err := r.within(ctx, func(ctx context.Context) ([]*redis.Cmd, error) {
			return nil, r.confirm(ctx, calls, batch, answers)
		})
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func positions(calls []Call) []int {
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	return all
}

// confirm runs the calls at the given positions on the nodes that have their keys.
func (r *Runner) confirm(ctx context.Context, calls []Call, at []int, answers []*redis.Cmd) error {
	for {
		err := r.confirmOnNodes(ctx, calls, at, answers)
		cluster, isCluster := r.client.(*redis.ClusterClient)
		if _, moved := redis.IsMovedError(err); !isCluster || !moved {
			return err
		}
		cluster.ReloadState(ctx)
		if err := pause(ctx, movedPause); err != nil {
			return err
		}
	}
}

func (r *Runner) confirmOnNodes(ctx context.Context, calls []Call, at []int, answers []*redis.Cmd) error {
	byNode := make(map[*redis.Client][]int)
	for _, i := range at {
		node, err := r.node(ctx, calls[i].Key)
		if err != nil {
			return fmt.Errorf("finding the redis node of a key: %w", err)
		}
		byNode[node] = append(byNode[node], i)
	}
	for node, positions := range byNode {
		if err := r.confirmOnNode(ctx, node, calls, positions, answers); err != nil {
			return err
		}
	}
	return nil
}

// confirmOnNode sends the scripts themselves, not their digests: if the server did not have them, WAIT would wait for
// nothing, and then there would be no time left to wait for what they write. Running into its timeout is an answer of
// WAIT, not an error: the number is what counts.
func (r *Runner) confirmOnNode(ctx context.Context, node *redis.Client, calls []Call, at []int, answers []*redis.Cmd) error {
	pipe := node.Pipeline()
	for _, i := range at {
		answers[i] = calls[i].Script.Eval(ctx, pipe, []string{calls[i].Key}, calls[i].Args...)
	}
	wait := pipe.Do(ctx, "WAIT", r.replicas, (r.timeout / 3).Milliseconds())
	_, _ = pipe.Exec(ctx) // the first error of the commands, which are looked at one by one
	for _, i := range at {
		if err := answers[i].Err(); err != nil {
			return fmt.Errorf("running a script in redis: %w", err)
		}
	}
	confirmed, err := wait.Int()
	switch {
	case err != nil:
		return fmt.Errorf("waiting for replicas: %w", err)
	case confirmed < r.replicas:
		return fmt.Errorf("%w: %d of %d", ErrUnconfirmed, confirmed, r.replicas)
	}
	return nil
}

// node returns the client of the one server that has the key, whose pipelines use one connection.
func (r *Runner) node(ctx context.Context, key string) (*redis.Client, error) {
	switch c := r.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	default:
		return nil, fmt.Errorf("client %T: not supported", c)
	}
}

// pause waits for d, or returns the error of a ctx that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
