package main

import (
	"cmp"
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
	m := millionRun{mirror: mirror, client: client, redisBytes: (after - before) / float64(e.entries)}
	if err := m.bootAndResume(ctx, e); err != nil {
		return err
	}
	m.addTo(r, e)
	return nil
}

// millionRun is a mirror that boots and what came of it.
type millionRun struct {
	mirror *process
	client *redis.Client

	boot, resume booted
	busy         busy
	pings        []time.Duration
	redisBytes   float64 // an entry
}

func (m *millionRun) addTo(r *report, e effort) {
	t := table{columns: []string{"a mirror on Redis", "measured", ""}}
	t.add(fmt.Sprintf("boots on %d entries", e.entries), significant(m.boot.seconds), "s")
	t.add(fmt.Sprintf("catches up with %d entries after it was cut off", e.missed), significant(m.resume.seconds), "s")
	t.add("longest command meanwhile", millis(m.busy.longest), "ms")
	t.add("the longest command is", m.busy.command, "")
	t.add(fmt.Sprintf("commands longer than %v", bearable), fmt.Sprint(m.busy.long), "")
	t.add("a ping meanwhile, p99", millis(quantile(m.pings, 0.99)), "ms")
	t.add("a ping meanwhile, max", millis(quantile(m.pings, 1)), "ms")
	t.add("memory of Redis, an entry", significant(m.redisBytes), "bytes")
	t.add("memory of the verifier, an entry", significant(m.boot.bytes/m.boot.entries), "bytes")
	r.add("million", t,
		budget{what: "mirror boots", have: m.boot.seconds, limit: 5, unit: "s"},
		budget{what: "mirror catches up", have: m.resume.seconds, limit: 5, unit: "s"},
		budget{what: "Redis busy with one command", have: m.busy.longest.Seconds() * 1000, limit: bearable.Seconds() * 1000, unit: "ms"},
		budget{what: "verifier: memory of an entry", have: m.boot.bytes / m.boot.entries, limit: 64, unit: "bytes"},
	)
}

// bootAndResume boots some times, of which it keeps the median, and lets the last mirror miss entries.
func (m *millionRun) bootAndResume(ctx context.Context, e effort) error {
	var boots []booted
	for range e.boots {
		b, err := m.observed(ctx, "boot")
		if err == nil && b.entries < float64(e.entries) {
			err = fmt.Errorf("the mirror is fresh and holds %.0f entries of %d", b.entries, e.entries)
		}
		if err == nil {
			err = m.mirror.cut()
		}
		if err != nil {
			return err
		}
		boots = append(boots, b)
	}
	slices.SortFunc(boots, func(a, b booted) int { return cmp.Compare(a.seconds, b.seconds) })
	m.boot = boots[len(boots)/2]
	if err := revoke(ctx, m.client, e.missed); err != nil {
		return err
	}
	var err error
	if m.resume, err = m.observed(ctx, "resume"); err == nil && m.resume.entries < float64(e.entries+e.missed) {
		err = fmt.Errorf("the mirror has caught up and holds %.0f entries of %d", m.resume.entries, e.entries+e.missed)
	}
	slices.Sort(m.pings)
	return err
}

// observed gives the mirror a command, and watches Redis until it is done.
func (m *millionRun) observed(ctx context.Context, command string) (booted, error) {
	if err := forgetSlow(ctx, m.client); err != nil {
		return booted{}, err
	}
	pings := startPings(ctx, m.client)
	b, err := m.mirror.command(command)
	latencies, pingErr := pings.stop()
	m.pings = append(m.pings, latencies...)
	return b, errors.Join(err, pingErr, m.busy.add(ctx, m.client))
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
	return p.latencies, err
}
