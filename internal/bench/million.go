package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// booted is what a mirror tells once it is fresh.
type booted struct {
	entries float64
	seconds float64
	bytes   float64
}

// measureMillion fills Redis with revocations and lets a mirror in another process boot on them, and catch up after it
// was cut off. Meanwhile it asks Redis which command took longest, and how long a client that only pings had to wait.
func measureMillion(ctx context.Context, l *lab, e effort, r *report) error {
	defer l.stopAll()
	server, err := l.startRedis(ctx)
	if err != nil {
		return err
	}
	if _, err := l.startAuthd(ctx, authdOptions{redis: server.addr}); err != nil {
		return err // it keeps the set live
	}
	client := server.connect()
	defer client.Close()
	before, err := server.info("used_memory_dataset")
	if err != nil {
		return err
	}
	if err := revoke(ctx, client, e.entries); err != nil {
		return err
	}
	after, err := server.info("used_memory_dataset")
	if err != nil {
		return err
	}
	mirror, err := l.startChild(ctx, "boot", "redis://"+server.addr)
	if err != nil {
		return err
	}
	if _, err := mirror.until("ready"); err != nil {
		return err
	}
	if err := forgetSlow(ctx, client); err != nil {
		return err
	}
	pings := startPings(ctx, client)
	boot, resume, err := bootAndResume(ctx, mirror, client, e)
	latencies, pingErr := pings.stop()
	if err := errors.Join(err, pingErr); err != nil {
		return err
	}
	command, took, err := slowest(ctx, client)
	if err != nil {
		return err
	}
	r.addMillion(e, boot, resume, latencies, command, took, (after-before)/float64(e.entries))
	return nil
}

func (r *report) addMillion(e effort, boot, resume booted, pings []time.Duration, command string, slow time.Duration, redisBytes float64) {
	t := table{columns: []string{"a mirror on Redis", "measured", ""}}
	t.add(fmt.Sprintf("boots on %d entries", e.entries), significant(boot.seconds), "s")
	t.add(fmt.Sprintf("catches up with %d entries after it was cut off", e.missed), significant(resume.seconds), "s")
	t.add("longest command meanwhile", millis(slow), "ms")
	t.add("a ping meanwhile, p99", millis(quantile(pings, 0.99)), "ms")
	t.add("a ping meanwhile, max", millis(quantile(pings, 1)), "ms")
	t.add("memory of Redis, an entry", significant(redisBytes), "bytes")
	t.add("memory of the verifier, an entry", significant(boot.bytes/boot.entries), "bytes")
	t.add("the longest command is", command, "")
	r.add("million", t,
		budget{what: "mirror boots", have: boot.seconds, limit: 5, unit: "s"},
		budget{what: "mirror catches up", have: resume.seconds, limit: 5, unit: "s"},
		budget{what: "Redis busy with one command", have: slow.Seconds() * 1000, limit: 2, unit: "ms"},
		budget{what: "verifier: memory of an entry", have: boot.bytes / boot.entries, limit: 64, unit: "bytes"},
	)
}

// bootAndResume boots some times, of which it returns the median, and lets the last mirror miss entries.
func bootAndResume(ctx context.Context, mirror *process, client *redis.Client, e effort) (boot, resume booted, err error) {
	var boots []booted
	for range e.boots {
		b, err := mirror.command("boot")
		if err != nil {
			return boot, resume, err
		}
		if b.entries < float64(e.entries) {
			return boot, resume, fmt.Errorf("the mirror is fresh and holds %.0f entries of %d", b.entries, e.entries)
		}
		boots = append(boots, b)
		if err := mirror.cut(); err != nil {
			return boot, resume, err
		}
	}
	slices.SortFunc(boots, func(a, b booted) int { return int((a.seconds - b.seconds) * 1e6) })
	boot = boots[len(boots)/2]
	if err := revoke(ctx, client, e.missed); err != nil {
		return boot, resume, err
	}
	if resume, err = mirror.command("resume"); err == nil && resume.entries < float64(e.entries+e.missed) {
		err = fmt.Errorf("the mirror has caught up and holds %.0f entries of %d", resume.entries, e.entries+e.missed)
	}
	return boot, resume, err
}

// command lets the mirror of a child boot or resume.
func (p *process) command(name string) (b booted, err error) {
	if err := p.tell(name); err != nil {
		return b, err
	}
	line, err := p.line()
	if err != nil {
		return b, err
	}
	if _, err := fmt.Sscan(line, &b.entries, &b.seconds, &b.bytes); err != nil {
		return b, fmt.Errorf("reading %q: %w", line, err)
	}
	return b, nil
}

func (p *process) cut() error {
	if err := p.tell("cut"); err != nil {
		return err
	}
	_, err := p.until("cut")
	return err
}

// revoke adds sessions to the set through a store of its own, which is faster than logging them in and out.
func revoke(ctx context.Context, client *redis.Client, n int) error {
	store, err := redisstore.Open(ctx, redisstore.Config{
		Client: client, Mirror: revocation.NewMirror(revocation.MirrorConfig{}), Timeout: time.Minute,
	})
	if err != nil {
		return err
	}
	entries := make([]revocation.Entry, n)
	expires := time.Now().Add(time.Hour).Unix()
	for i := range entries {
		entries[i] = revocation.Entry{Kind: revocation.Session, ID: randomID(), Expires: expires + int64(i%600)}
	}
	return store.Add(ctx, entries...)
}

// pinger asks a Redis all the time whether it is there.
type pinger struct {
	cancel    context.CancelFunc
	done      chan error
	latencies []time.Duration
}

func startPings(ctx context.Context, client *redis.Client) *pinger {
	ctx, cancel := context.WithCancel(ctx)
	p := &pinger{cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- p.run(ctx, client) }()
	return p
}

func (p *pinger) run(ctx context.Context, client *redis.Client) error {
	const period = 500 * time.Microsecond
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		asked := time.Now()
		if err := client.Ping(ctx).Err(); err != nil {
			return ended(ctx, fmt.Errorf("ping: %w", err))
		}
		p.latencies = append(p.latencies, time.Since(asked))
	}
}

func (p *pinger) stop() ([]time.Duration, error) {
	p.cancel()
	err := <-p.done
	slices.Sort(p.latencies)
	return p.latencies, err
}
