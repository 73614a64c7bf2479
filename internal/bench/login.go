package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	nameHash     = "bare hash, as many at once as by default"
	nameHashAll  = "bare hash, every core hashing"
	nameLogin    = "login, embedded"
	nameLoginOn  = "login, Redis"
	nameLoginAll = "login, embedded, every core hashing"
	loginUsers   = 8 // who share the logins
)

// hashing is what bare hashes are measured beside logins: as many at once as authd makes by default, which leaves one core
// to everything else, and as many as there are cores.
func hashing() (byDefault, everyCore int) {
	cores := runtime.GOMAXPROCS(0)
	return max(1, cores-1), cores
}

// loginRun is what logins are compared with and by.
type loginRun struct {
	embedded endpoint
	loads    []*load
	hashes   []hashes
}

// hashes are made by a process that does nothing else.
type hashes struct {
	*process
	name   string
	atOnce int
}

// measureLogins compares logins with the bare rate of their hash, and then measures token checks beside a flood of them.
func measureLogins(ctx context.Context, l *lab, e effort, r *report) error {
	defer l.stopAll()
	run, err := l.startLogins(ctx)
	if err != nil {
		return err
	}
	results, err := run.measure(ctx, e)
	if err != nil {
		return err
	}
	r.add("login", loginTable(results), loginBudgets(results)...)
	return measureFlood(ctx, run.embedded, e, r)
}

// startLogins starts what logins are measured with.
func (l *lab) startLogins(ctx context.Context) (run *loginRun, err error) {
	run = &loginRun{}
	byDefault, everyCore := hashing()
	for _, h := range []hashes{{name: nameHash, atOnce: byDefault}, {name: nameHashAll, atOnce: everyCore}} {
		if h.process, err = l.startChild(ctx, "hash", strconv.Itoa(h.atOnce)); err != nil {
			return run, err
		}
		if _, err := h.until("ready"); err != nil {
			return run, err
		}
		run.hashes = append(run.hashes, h)
	}
	redis, err := l.startRedis(ctx)
	if err != nil {
		return run, err
	}
	for _, s := range []struct {
		name    string
		options authdOptions
		crowds  []int
	}{
		{nameLogin, authdOptions{}, crowds()},
		{nameLoginOn, authdOptions{redis: redis.addr}, crowds()},
		{nameLoginAll, authdOptions{
			args: []string{"--hash-pool", strconv.Itoa(everyCore)},
			env:  []string{"GOMAXPROCS=" + strconv.Itoa(everyCore+1)},
		}, []int{crowd}},
	} {
		authd, err := l.startAuthd(ctx, s.options)
		if err == nil {
			err = authd.addUsers(ctx, loginUsers)
		}
		if err != nil {
			return run, err
		}
		if s.name == nameLogin {
			run.embedded = authd
		}
		for _, n := range s.crowds {
			run.loads = append(run.loads, newLoad(s.name, authd, n, func(i int) func(*caller) error {
				return func(c *caller) error { return c.loginUntilIn(ctx, userName(i%loginUsers), nil, nil) }
			}))
		}
	}
	return run, nil
}

// measure gives each its turn in every round; see [measure].
func (run *loginRun) measure(ctx context.Context, e effort) ([]loadResult, error) {
	turns := make([][]turn, len(run.hashes)+len(run.loads))
	for range e.loginRounds {
		for _, i := range rand.Perm(len(turns)) {
			var t turn
			var err error
			if i < len(run.hashes) {
				t, err = run.hashes[i].hash(e.loginTurn)
			} else {
				t, err = run.loads[i-len(run.hashes)].run(ctx, e.loginTurn)
			}
			if err != nil {
				return nil, err
			}
			turns[i] = append(turns[i], t)
		}
	}
	var results []loadResult
	for i, h := range run.hashes {
		r := summary(turns[i])
		r.name, r.clients = h.name, h.atOnce
		results = append(results, r)
	}
	for i, l := range run.loads {
		results = append(results, l.summary(turns[len(run.hashes)+i]))
	}
	return results, nil
}

func loginTable(results []loadResult) table {
	t := table{columns: []string{"logging in", "clients", "logins/s", "÷ bare hash", "p50 ms", "p99 ms", "server CPU ms", "÷ bare hash"}}
	for _, r := range results {
		bare := bareOf(results, r)
		t.add(r.name, strconv.Itoa(r.clients), significant(r.rate), ratio(r.rate/bare.rate), millis(r.p50), millis(r.p99),
			millis(r.cpu), ratio(float64(r.cpu)/float64(bare.cpu)))
	}
	return t
}

// bareOf is the bare hashing to hold a result against.
func bareOf(results []loadResult, r loadResult) loadResult {
	name := nameHash
	if r.name == nameLoginAll || r.name == nameHashAll {
		name = nameHashAll
	}
	return results[slices.IndexFunc(results, func(r loadResult) bool { return r.name == name })]
}

func loginBudgets(results []loadResult) []budget {
	var budgets []budget
	for _, name := range []string{nameLogin, nameLoginOn, nameLoginAll} {
		r := find(results, name, crowd)
		budgets = append(budgets, budget{
			what: name + " ÷ bare hash", have: r.rate / bareOf(results, r).rate, limit: 0.9, unit: "x", atLeast: true,
		})
	}
	return budgets
}

// measureFlood asks about a token at a steady pace, first alone and then while e.flood clients log in at once, each until
// it is in: those that do not find a place in the queue are told to come back in a second, and do.
func measureFlood(ctx context.Context, s endpoint, e effort, r *report) error {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	g, err := c.login(userName(0))
	if err != nil {
		return err
	}
	alone, err := checkAtPace(ctx, s, g, e.floodTime)
	if err != nil {
		return err
	}
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var crowd errgroup.Group
	var in, refused atomic.Int64
	for i := range e.flood {
		crowd.Go(func() error { return loginOnce(flooding, s, userName(i%loginUsers), &in, &refused) })
	}
	beside, err := checkAtPace(ctx, s, g, e.floodTime)
	stop()
	if err := errors.Join(err, crowd.Wait()); err != nil {
		return err
	}
	t := table{columns: []string{"a token check", "checks", "p50 ms", "p99 ms", "max ms"}}
	for _, row := range []struct {
		name      string
		latencies []time.Duration
	}{{"alone", alone}, {fmt.Sprintf("beside %d logins at once", e.flood), beside}} {
		t.add(row.name, strconv.Itoa(len(row.latencies)), millis(quantile(row.latencies, 0.5)), millis(quantile(row.latencies, 0.99)), millis(quantile(row.latencies, 1)))
	}
	r.add("flood", t, budget{
		what: fmt.Sprintf("token check beside %d logins, p99", e.flood), have: quantile(beside, 0.99).Seconds() * 1000, limit: 50, unit: "ms",
	})
	r.add("flooded", table{
		columns: []string{"meanwhile", "a second"},
		rows: [][]string{
			{"logins answered", significant(float64(in.Load()) / e.floodTime.Seconds())},
			{"logins told to come back", significant(float64(refused.Load()) / e.floodTime.Seconds())},
		},
	})
	return nil
}

// loginOnce makes one client of the flood.
func loginOnce(ctx context.Context, s endpoint, name string, in, refused *atomic.Int64) error {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return ended(ctx, err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := c.loginUntilIn(ctx, name, refused, nil); err != nil {
		return ended(ctx, err)
	}
	in.Add(1)
	return nil
}

// loginUntilIn logs in as a client does that comes back when it is told to. g, where set, gets the answer.
func (c *caller) loginUntilIn(ctx context.Context, name string, refused *atomic.Int64, g *grant) error {
	for {
		status, body, err := c.Call(loginRequest(name))
		switch {
		case err != nil:
			return err
		case status == 200 && g != nil:
			return json.Unmarshal(body, g)
		case status == 200:
			return nil
		case status != 503:
			return fmt.Errorf("answered %d: %s", status, body)
		}
		if refused != nil {
			refused.Add(1)
		}
		select {
		case <-time.After(time.Second): // what Retry-After says
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended forgets an error that comes of the end of ctx.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// checkAtPace asks about a token 800 times a second, from four clients. Each latency counts from when the request was
// due: a client that waits for a slow answer is late with its next request, and that is the server's doing.
func checkAtPace(ctx context.Context, s endpoint, g grant, d time.Duration) ([]time.Duration, error) {
	const clients, period = 4, 5 * time.Millisecond
	var asking errgroup.Group
	latencies := make([][]time.Duration, clients)
	began := time.Now()
	for i := range clients {
		asking.Go(func() error {
			c, err := dial(ctx, s.addr)
			if err != nil {
				return err
			}
			defer c.Close()
			for due := began.Add(period * time.Duration(i) / clients); due.Before(began.Add(d)); due = due.Add(period) {
				time.Sleep(time.Until(due))
				if _, err := c.expect(verifyRequest(pathVerify, g)); err != nil {
					return err
				}
				latencies[i] = append(latencies[i], time.Since(due))
			}
			return nil
		})
	}
	err := asking.Wait()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return all, err
}
