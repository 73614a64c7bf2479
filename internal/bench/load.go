package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/loadtest"
)

// caller is one client on a connection that stays open, the same that `authd bench` has.
type caller struct{ *loadtest.Conn }

func dial(ctx context.Context, addr string) (*caller, error) {
	c, err := loadtest.Dial(ctx, addr, nil)
	return &caller{c}, err
}

// expect is Call for a client that wants nothing but 200.
func (c *caller) expect(request []byte) ([]byte, error) {
	status, body, err := c.Call(request)
	if err == nil && status != 200 {
		err = fmt.Errorf("answered %d: %s", status, body)
	}
	return body, err
}

// load is work that clients ask a server for, each waiting for its answer before it asks again.
type load struct {
	name    string
	server  endpoint
	clients []func(*caller) error // each makes one client's next request
}

// newLoad is for n clients. next makes the function that makes the i-th client's requests.
func newLoad(name string, s endpoint, n int, next func(i int) func(*caller) error) *load {
	l := &load{name: name, server: s}
	for i := range n {
		l.clients = append(l.clients, next(i))
	}
	return l
}

// same is for clients that all send the same request.
func same(request []byte) func(int) func(*caller) error {
	return func(int) func(*caller) error {
		return func(c *caller) error {
			_, err := c.expect(request)
			return err
		}
	}
}

// turn is what came of one stretch of time.
type turn struct {
	rate      float64         // answers a second
	cpu       time.Duration   // of the server for one answer
	latencies []time.Duration // sorted
}

// run connects all clients and lets them ask until d is over. It waits for the last answers.
func (l *load) run(ctx context.Context, d time.Duration) (turn, error) {
	callers := make([]*caller, len(l.clients))
	for i := range callers {
		c, err := dial(ctx, l.server.addr)
		if err != nil {
			return turn{}, fmt.Errorf("%s: %w", l.name, err)
		}
		defer c.Close()
		callers[i] = c
	}
	latencies := make([][]time.Duration, len(l.clients))
	var asking errgroup.Group
	cpu, began := l.server.cpu(), time.Now()
	for i, next := range l.clients {
		asking.Go(func() (err error) {
			latencies[i], err = ask(callers[i], next, began.Add(d))
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return turn{}, fmt.Errorf("%s: %w", l.name, err)
	}
	took := time.Since(began)
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return turn{
		rate: float64(len(all)) / took.Seconds(), cpu: (l.server.cpu() - cpu) / time.Duration(len(all)), latencies: all,
	}, nil
}

// ask makes requests until the deadline, at least one.
func ask(c *caller, next func(*caller) error, deadline time.Time) ([]time.Duration, error) {
	var latencies []time.Duration
	for asked := time.Now(); len(latencies) == 0 || asked.Before(deadline); {
		if err := next(c); err != nil {
			return nil, err
		}
		answered := time.Now()
		latencies = append(latencies, answered.Sub(asked))
		asked = answered
	}
	return latencies, nil
}

// loadResult holds medians over the turns of a load.
type loadResult struct {
	name     string
	clients  int
	rate     float64
	cpu      time.Duration
	p50, p99 time.Duration
}

// measureLoads gives each load its turn in every round; see [measure].
func measureLoads(ctx context.Context, rounds int, d time.Duration, loads []*load) ([]loadResult, error) {
	turns := make([][]turn, len(loads))
	for range rounds {
		for _, i := range rand.Perm(len(loads)) {
			t, err := loads[i].run(ctx, d)
			if err != nil {
				return nil, err
			}
			turns[i] = append(turns[i], t)
		}
	}
	results := make([]loadResult, len(loads))
	for i, l := range loads {
		results[i] = l.summary(turns[i])
	}
	return results, nil
}

func (l *load) summary(turns []turn) loadResult {
	r := summary(turns)
	r.name, r.clients = l.name, len(l.clients)
	return r
}

func summary(turns []turn) loadResult {
	return loadResult{
		rate: medianOf(turns, func(t turn) float64 { return t.rate }),
		cpu:  medianOf(turns, func(t turn) time.Duration { return t.cpu }),
		p50:  medianOf(turns, func(t turn) time.Duration { return quantile(t.latencies, 0.5) }),
		p99:  medianOf(turns, func(t turn) time.Duration { return quantile(t.latencies, 0.99) }),
	}
}

type number interface{ ~int64 | ~float64 }

func medianOf[T any, N number](all []T, of func(T) N) N {
	values := make([]N, len(all))
	for i, v := range all {
		values[i] = of(v)
	}
	slices.Sort(values)
	return quantile(values, 0.5)
}

// quantile of sorted values; the largest for 1, zero when there are none.
func quantile[N number](sorted []N, q float64) (zero N) {
	if len(sorted) == 0 {
		return zero
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
