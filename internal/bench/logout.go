package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/authd-project/authd/revocation"
)

const (
	mirrors      = 20
	nameOverHTTP = "the HTTP feed, authd embedded"
	nameOnRedis  = "Redis"
)

// logouts is how long after the answer to a logout each mirror denied the session, sorted.
type logouts struct {
	name   string
	late   []time.Duration // of each session in each mirror; zero where it was denied before the answer came
	answer []time.Duration // how long the logouts took themselves
}

// measureLogouts logs out over HTTP while mirrors in another process follow, by Redis and by authd's own feed.
func measureLogouts(ctx context.Context, l *lab, e effort, r *report) error {
	defer l.stopAll()
	redis, err := l.startRedis(ctx)
	if err != nil {
		return err
	}
	shared, err := l.startAuthd(ctx, authdOptions{cheap: true, redis: redis.addr})
	if err != nil {
		return err
	}
	onRedis, err := l.logouts(ctx, nameOnRedis, shared, "redis://"+redis.addr, e)
	if err != nil {
		return err
	}
	embedded, err := l.startAuthd(ctx, authdOptions{cheap: true})
	if err != nil {
		return err
	}
	overHTTP, err := l.logouts(ctx, nameOverHTTP, embedded, "http://"+embedded.addr+"/v1/revocations", e)
	if err != nil {
		return err
	}
	t := table{columns: []string{"mirrors that follow", "logouts", "p50 ms", "p99 ms", "max ms", "logout itself, p50 ms", "p99 ms"}}
	var budgets []budget
	for _, o := range []logouts{onRedis, overHTTP} {
		t.add(o.name, strconv.Itoa(len(o.answer)), millis(quantile(o.late, 0.5)), millis(quantile(o.late, 0.99)), millis(quantile(o.late, 1)),
			millis(quantile(o.answer, 0.5)), millis(quantile(o.answer, 0.99)))
		budgets = append(budgets, budget{
			what: "logout → denied by mirrors on " + o.name + ", p99", have: quantile(o.late, 0.99).Seconds() * 1000, limit: 10, unit: "ms",
		})
	}
	r.add("logout", t, budgets...)
	r.plots["performance-logout.svg"] = plotLogouts([]logouts{onRedis, overHTTP})
	return nil
}

// logouts logs e.logouts sessions out, a hundred a second.
func (l *lab) logouts(ctx context.Context, name string, s endpoint, source string, e effort) (logouts, error) {
	const period = 10 * time.Millisecond
	o := logouts{name: name}
	watcher, err := l.startChild(ctx, "mirrors", strconv.Itoa(mirrors), source)
	if err != nil {
		return o, err
	}
	if _, err := watcher.until("ready"); err != nil {
		return o, err
	}
	grants, err := s.logins(ctx, e.logouts)
	if err != nil {
		return o, err
	}
	c, err := dial(ctx, s.addr)
	if err != nil {
		return o, err
	}
	defer c.Close()
	answered := map[revocation.ID]time.Time{}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for _, g := range grants {
		<-tick.C
		asked := time.Now()
		status, body, err := c.Call(logoutRequest(g))
		if err == nil && status != 204 {
			err = fmt.Errorf("answered %d: %s", status, body)
		}
		if err != nil {
			return o, fmt.Errorf("logout: %w", err)
		}
		now := time.Now()
		answered[revocation.IDOf(revocation.Session, g.SessionID)] = now
		o.answer = append(o.answer, now.Sub(asked))
	}
	denied, err := awaitDenials(watcher, mirrors*len(grants))
	if err != nil {
		return o, err
	}
	for _, d := range denied {
		at, ours := answered[d.session]
		if !ours {
			return o, fmt.Errorf("a mirror denies session %x, which was not logged out", d.session)
		}
		o.late = append(o.late, max(0, time.Duration(d.at-at.UnixNano())))
	}
	slices.Sort(o.late)
	slices.Sort(o.answer)
	watcher.stop()
	return o, nil
}

// awaitDenials asks the watcher until it has seen n.
func awaitDenials(watcher *process, n int) ([]denial, error) {
	var all []denial
	for deadline := time.Now().Add(time.Minute); len(all) < n; {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("after a minute the mirrors have denied %d of %d sessions", len(all), n)
		}
		time.Sleep(100 * time.Millisecond)
		if err := watcher.tell("report"); err != nil {
			return nil, err
		}
		line, err := watcher.line()
		if err != nil {
			return nil, err
		}
		count, err := strconv.Atoi(line)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", line, err)
		}
		for range count {
			if line, err = watcher.line(); err != nil {
				return nil, err
			}
			d, err := parseDenial(line)
			if err != nil {
				return nil, fmt.Errorf("reading %q: %w", line, err)
			}
			all = append(all, d)
		}
	}
	return all, nil
}

func parseDenial(line string) (d denial, err error) {
	var id string
	if _, err := fmt.Sscan(line, &id, &d.at); err != nil {
		return d, err
	}
	raw, err := hex.DecodeString(id)
	copy(d.session[:], raw)
	return d, err
}
