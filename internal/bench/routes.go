package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// names of loads that budgets are about.
const (
	nameEcho       = "empty echo handler"
	asMuch         = ": echo that only reads and sends as much"
	nameNetHTTP    = "empty net/http handler"
	nameJWKS       = "JWKS"
	nameVerify     = "forward-auth"
	nameIntrospect = "introspection"
	nameRefresh    = "refresh, embedded"
	nameRefreshOn  = "refresh, Redis"
)

// Routes that are asked.
const (
	pathJWKS       = "/.well-known/jwks.json"
	pathVerify     = "/v1/verify"
	pathIntrospect = "/oauth2/introspect"
)

// crowd is how many clients ask at once where their number is not what is compared.
const crowd = 64

// crowds are the numbers of clients in comparisons of them.
func crowds() []int { return []int{1, 16, crowd} }

// sessionsPerClient is how many sessions a client refreshes in turn, so that the grace of each has passed when it comes
// again, and each refresh rotates.
const sessionsPerClient = 32

// rarely makes Go collect garbage when the heap has grown fivefold, not twofold: authd's heap is small, so that it is
// collected many times a second under load.
const rarely = "GOGC=400"

// routeServers are what routes are measured on.
type routeServers struct {
	empty, bare endpoint
	redis       endpoint
	embedded    endpoint
	relaxed     endpoint // embedded, collecting garbage rarely
	shared      endpoint // on Redis
}

func (l *lab) startRouteServers(ctx context.Context) (s routeServers, err error) {
	if s.redis, err = l.startRedis(ctx); err != nil {
		return s, err
	}
	if s.empty, err = l.startEmpty(ctx, "echo"); err != nil {
		return s, err
	}
	if s.bare, err = l.startEmpty(ctx, "nethttp"); err != nil {
		return s, err
	}
	if s.embedded, err = l.startAuthd(ctx, authdOptions{cheap: true}); err != nil {
		return s, err
	}
	if s.relaxed, err = l.startAuthd(ctx, authdOptions{cheap: true, env: []string{rarely}}); err != nil {
		return s, err
	}
	s.shared, err = l.startAuthd(ctx, authdOptions{cheap: true, redis: s.redis.addr})
	return s, err
}

// measureRoutes compares authd's routes with a server that does nothing.
func measureRoutes(ctx context.Context, l *lab, e effort, r *report) error {
	defer l.stopAll()
	servers, err := l.startRouteServers(ctx)
	if err != nil {
		return err
	}
	loads, err := servers.loads(ctx)
	if err != nil {
		return err
	}
	results, err := measureLoads(ctx, e.loadRounds, e.turn, loads)
	if err != nil {
		return err
	}
	trips, err := roundTrips(ctx, servers.redis, loads[len(loads)-1], e.turn)
	if err != nil {
		return err
	}
	r.add("routes", routeTable(results), routeBudgets(results, trips)...)
	memory := table{columns: []string{"after this load", "resident MiB", "Redis round trips of a refresh"}}
	for _, row := range []struct {
		name   string
		server endpoint
		trips  string
	}{
		{nameEcho, servers.empty, ""}, {"authd, embedded", servers.embedded, ""},
		{"authd, embedded, " + rarely, servers.relaxed, ""}, {"authd, Redis", servers.shared, ratio(trips)},
	} {
		memory.add(row.name, significant(float64(row.server.resident())/(1<<20)), row.trips)
	}
	r.add("memory", memory)
	return nil
}

// loads ends with refreshing on Redis with the most clients.
func (s routeServers) loads(ctx context.Context) (loads []*load, err error) {
	add := func(name string, s endpoint, n int, next func(int) func(*caller) error) {
		loads = append(loads, newLoad(name, s, n, next))
	}
	add(nameNetHTTP, s.bare, crowd, same(getRequest("/")))
	for _, n := range crowds() {
		add(nameEcho, s.empty, n, same(getRequest("/")))
	}
	for _, on := range []struct {
		server, issuer                 endpoint
		suffix                         string
		pathJWKS, pathVerify, pathForm string
	}{
		{s.embedded, s.embedded, "", pathJWKS, pathVerify, pathIntrospect},
		{s.relaxed, s.relaxed, ", " + rarely, pathJWKS, pathVerify, pathIntrospect},
		{s.empty, s.embedded, asMuch, pathLikeJWKS, pathLikeVerify, pathLikeIntrospect},
	} {
		live, err := on.issuer.logins(ctx, 1)
		if err != nil {
			return nil, err
		}
		add(nameJWKS+on.suffix, on.server, crowd, same(getRequest(on.pathJWKS)))
		add(nameVerify+on.suffix, on.server, crowd, same(verifyRequest(on.pathVerify, live[0])))
		add(nameIntrospect+on.suffix, on.server, crowd, same(introspectRequest(on.pathForm, live[0])))
	}
	for _, on := range []struct {
		name   string
		server endpoint
	}{{nameRefresh, s.embedded}, {nameRefreshOn, s.shared}} {
		for _, n := range crowds() {
			next, err := refreshes(ctx, on.server, n)
			if err != nil {
				return nil, err
			}
			add(on.name, on.server, n, next)
		}
	}
	return loads, nil
}

// refreshes are clients that rotate sessions of their own.
func refreshes(ctx context.Context, s endpoint, clients int) (func(int) func(*caller) error, error) {
	grants, err := s.logins(ctx, clients*sessionsPerClient)
	if err != nil {
		return nil, err
	}
	return func(i int) func(*caller) error {
		tokens := make([]string, sessionsPerClient)
		for j := range tokens {
			tokens[j] = grants[i*sessionsPerClient+j].RefreshToken
		}
		next := 0
		return func(c *caller) error {
			old := tokens[next%len(tokens)]
			body, err := c.expect(refreshRequest(old))
			if err != nil {
				return err
			}
			fresh, err := member(body, "refresh_token")
			if err == nil && fresh == old {
				err = errors.New("a refresh did not rotate: it came within the grace of the one before")
			}
			tokens[next%len(tokens)] = fresh
			next++
			return err
		}
	}, nil
}

// member finds a string in an answer of authd without reading the rest: the client's work must be small.
func member(body []byte, name string) (string, error) {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":"`))
	value, _, ended := bytes.Cut(rest, []byte(`"`))
	if !found || !ended {
		return "", fmt.Errorf("no %s in the answer %q", name, body)
	}
	return string(value), nil
}

// roundTrips tells how often authd goes to Redis for one refresh: how often the server read from a connection.
func roundTrips(ctx context.Context, redis endpoint, refreshing *load, d time.Duration) (float64, error) {
	before, err := redis.info("total_reads_processed")
	if err != nil {
		return 0, err
	}
	t, err := refreshing.run(ctx, d)
	if err != nil {
		return 0, err
	}
	after, err := redis.info("total_reads_processed")
	return (after - before) / float64(len(t.latencies)), err
}

func find(results []loadResult, name string, clients int) loadResult {
	for _, r := range results {
		if r.name == name && r.clients == clients {
			return r
		}
	}
	return loadResult{} // every run has those that budgets ask for
}

func routeTable(results []loadResult) table {
	t := table{columns: []string{"route", "clients", "answers/s", "÷ empty echo", "p50 ms", "p99 ms", "server CPU µs", "÷ empty echo"}}
	for _, r := range results {
		floor := find(results, nameEcho, r.clients)
		t.add(r.name, strconv.Itoa(r.clients), significant(r.rate), ratio(r.rate/floor.rate), millis(r.p50), millis(r.p99),
			significant(float64(r.cpu)/1000), ratio(float64(r.cpu)/float64(floor.cpu)))
	}
	return t
}

// routeBudgets holds the routes that only read against a handler that carries as much: the bytes alone cost more than
// the design allowed beyond an empty handler.
func routeBudgets(results []loadResult, trips float64) []budget {
	least := func(name, floor, called string, limit float64) budget {
		have := find(results, name, crowd).rate / find(results, floor, crowd).rate
		return budget{what: name + " ÷ " + called, have: have, limit: limit, unit: "x", atLeast: true}
	}
	const carrying, empty = "echo that carries as much", "empty echo"
	return []budget{
		least(nameJWKS, nameJWKS+asMuch, carrying, 0.9),
		least(nameVerify, nameVerify+asMuch, carrying, 0.7),
		least(nameIntrospect, nameIntrospect+asMuch, carrying, 0.7),
		least(nameRefresh, nameEcho, empty, 0.15), least(nameRefreshOn, nameEcho, empty, 0.15),
		{what: nameRefreshOn + ": round trips", have: trips, limit: 1.05}, // what else authd asks meanwhile comes on top
	}
}
