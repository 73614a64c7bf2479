package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
	"github.com/authd-project/authd/internal/loadtest"
)

// Points are what docs/capacity.md is computed from: what was measured, and nothing else. They are kept in
// docs/capacity.json.
type Points struct {
	Short   bool   `json:"short,omitempty"`
	Began   string `json:"began"`
	Machine string `json:"machine"`

	Operations []OperationCost `json:"operations"` // server CPU a request
	Verify     VerifyCost      `json:"verify"`
	Mirrors    []MirrorPoint   `json:"mirrors"`
	Sessions   []SessionPoint  `json:"sessions"`
	Feeds      []FeedPoint     `json:"feeds"`
	Users      []UserPoint     `json:"users"`
}

// OperationCost is a single operation at a steady rate.
type OperationCost struct {
	Name string  `json:"name"`
	Rate float64 `json:"requests_per_second"`
	CPU  float64 `json:"server_cpu_us"` // for a request
}

// VerifyCost is what a service pays to decide about an ES256 token.
type VerifyCost struct {
	New  float64 `json:"new_ns"`
	Seen float64 `json:"seen_ns"`
}

// MirrorPoint is a set of revocations in a verifier's memory.
type MirrorPoint struct {
	Entries int     `json:"entries"`
	Bytes   float64 `json:"bytes_per_entry"`
	Check   float64 `json:"check_ns"`
}

// SessionPoint is what so many live sessions take, and so many revocations once all have been logged out.
type SessionPoint struct {
	Sessions   int     `json:"sessions"`
	Redis      float64 `json:"redis_bytes_per_session"`
	File       float64 `json:"file_bytes_per_session"`
	Revocation float64 `json:"redis_bytes_per_logout"` // what is left of a session that was logged out, its revocation included
}

// FeedPoint is what verifiers that follow the feed cost while logouts come at a rate.
type FeedPoint struct {
	Verifiers int     `json:"verifiers"`
	Logouts   float64 `json:"logouts_per_second"`
	Bytes     float64 `json:"bytes_per_second_per_verifier"`
	CPU       float64 `json:"server_cpu_cores"`
	Refused   float64 `json:"refused_p99_ms"`
}

// UserPoint is an account's row in SQLite.
type UserPoint struct {
	Users int     `json:"users"`
	Bytes float64 `json:"bytes_per_user"`
	Find  float64 `json:"find_us"`
}

// capacityEffort says how much is measured for the page on capacity.
type capacityEffort struct {
	time              time.Duration // of each load
	mirrors, sessions []int
	verifiers         []int
	users             []int
	rounds            int
	rates             map[string]int // requests a second; of feed: logouts, each of which every verifier here is asked about
}

func capacityEfforts(short bool) capacityEffort {
	if short {
		return capacityEffort{
			time: 500 * time.Millisecond, mirrors: []int{1000, 10_000}, sessions: []int{50, 100}, verifiers: []int{1, 3}, users: []int{100, 1000}, rounds: 4,
			rates: map[string]int{"login": 10, "refresh": 50, "forward-auth": 100, "introspect": 100, "logout": 20, "feed": 10},
		}
	}
	return capacityEffort{
		time: 10 * time.Second, mirrors: []int{1000, 10_000, 100_000, 1_000_000, 10_000_000}, sessions: []int{1000, 10_000, 30_000},
		verifiers: []int{1, 10, 100, 300}, users: []int{1000, 10_000, 100_000, 1_000_000}, rounds: 20,
		rates: map[string]int{"login": 10, "refresh": 1000, "forward-auth": 2000, "introspect": 2000, "logout": 100, "feed": 10},
	}
}

// measureCapacity measures the points, one part after the other.
func measureCapacity(ctx context.Context, l *lab, e capacityEffort, m machine) (*Points, error) {
	p := &Points{Began: time.Now().UTC().Format("2 January 2006"), Machine: m.String()}
	for _, part := range []func(context.Context, *lab, capacityEffort, *Points) error{
		pointsOfVerifiers, pointsOfOperations, pointsOfSessions, pointsOfFeeds, pointsOfUsers,
	} {
		err := part(ctx, l, e, p)
		l.stopAll()
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func pointsOfVerifiers(ctx context.Context, _ *lab, e capacityEffort, p *Points) error {
	v, err := measureAlgorithm(ctx, "ES256", effort{rounds: e.rounds, batch: 16, few: 1000, many: 10_000})
	if err != nil {
		return err
	}
	p.Verify = VerifyCost{New: v.find(nameNew).ns, Seen: v.find(nameSeen(v.few)).ns}
	for _, n := range e.mirrors {
		r, err := measureMirror(ctx, e.rounds, n)
		if err != nil {
			return err
		}
		p.Mirrors = append(p.Mirrors, MirrorPoint{Entries: n, Bytes: r.bytesPerEntry, Check: r.miss.ns})
	}
	return nil
}

// namePair is what a session costs beside the hash of its login: its beginning and its end.
const namePair = "login with a cheap hash, or logout, Redis"

// pointsOfOperations puts one operation at a time on authd, at a rate that leaves it time.
func pointsOfOperations(ctx context.Context, l *lab, e capacityEffort, p *Points) error {
	accounts, err := l.accountsFile()
	if err != nil {
		return err
	}
	for _, o := range []struct {
		name, operation string
		options         authdOptions
		redis           bool
	}{
		{"login, argon2id", "login", authdOptions{}, false}, {"refresh, embedded", "refresh", authdOptions{cheap: true}, false},
		{"refresh, Redis", "refresh", authdOptions{cheap: true}, true},
		{"forward-auth", "forward-auth", authdOptions{cheap: true}, false}, {"introspect", "introspect", authdOptions{cheap: true}, false},
		{namePair, "login and logout", authdOptions{cheap: true}, true},
	} {
		if o.redis { // one of its own, as each authd seals its keys for itself
			redis, err := l.startRedis(ctx)
			if err != nil {
				return err
			}
			o.options.redis = redis.addr
		}
		authd, err := l.startAuthd(ctx, o.options)
		if err != nil {
			return err
		}
		rate, mix := e.rates[o.operation], o.operation+"=1"
		if o.name == namePair { // nobody can log out more often than in
			rate, mix = 2*e.rates["logout"], "login=1,logout=1"
		}
		args := []string{"--mix", mix, "--rate", strconv.Itoa(rate), "--sessions=200", "--guards=0"}
		if o.options.cheap {
			args = append(args, "--accounts", accounts)
		} else {
			args = append(args, "--users=4", "--sessions=20")
		}
		run, err := l.bench(ctx, authd, e.time, args...)
		if err != nil {
			return err
		}
		authd.stop()
		var requests int64
		for _, op := range run.Operations {
			requests += op.Requests
		}
		p.Operations = append(p.Operations, OperationCost{o.name, float64(rate), 1e6 * run.ServerCPU * run.Seconds / float64(max(1, requests))})
	}
	return nil
}

// pointsOfSessions fills stores with sessions, and then logs all of them out.
func pointsOfSessions(ctx context.Context, l *lab, e capacityEffort, p *Points) error {
	for _, n := range e.sessions {
		redis, err := l.startRedis(ctx)
		if err != nil {
			return err
		}
		shared, err := l.startAuthd(ctx, authdOptions{cheap: true, redis: redis.addr})
		if err != nil {
			return err
		}
		embedded, err := l.startAuthd(ctx, authdOptions{cheap: true})
		if err != nil {
			return err
		}
		before, err := redis.info("used_memory")
		if err != nil {
			return err
		}
		file := fileSize(embedded)
		grants, err := shared.manyLogins(ctx, n)
		if err != nil {
			return err
		}
		if _, err := embedded.manyLogins(ctx, n); err != nil {
			return err
		}
		live, err := redis.info("used_memory")
		if err != nil {
			return err
		}
		if err := shared.manyLogouts(ctx, grants); err != nil {
			return err
		}
		gone, err := redis.info("used_memory")
		if err != nil {
			return err
		}
		p.Sessions = append(p.Sessions, SessionPoint{
			Sessions: n, Redis: (live - before) / float64(n), File: (fileSize(embedded) - file) / float64(n), Revocation: (gone - before) / float64(n),
		})
		l.stopAll()
	}
	return nil
}

func fileSize(s endpoint) float64 {
	info, err := os.Stat(filepath.Join(s.data, "authd.db"))
	if err != nil {
		return 0
	}
	return float64(info.Size())
}

// sharedWork lets some connections do n pieces of work.
func (s endpoint) sharedWork(ctx context.Context, n int, do func(c *caller, i int) error) error {
	const connections = 16
	var g errgroup.Group
	for k := range connections {
		g.Go(func() error {
			c, err := dial(ctx, s.addr)
			if err != nil {
				return err
			}
			defer c.Close()
			for i := k; i < n; i += connections {
				if err := do(c, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (s endpoint) manyLogins(ctx context.Context, n int) ([]grant, error) {
	grants := make([]grant, n)
	return grants, s.sharedWork(ctx, n, func(c *caller, i int) error {
		return c.loginUntilIn(ctx, userName(i%cheapUsers), nil, &grants[i])
	})
}

func (s endpoint) manyLogouts(ctx context.Context, grants []grant) error {
	return s.sharedWork(ctx, len(grants), func(c *caller, i int) error {
		status, body, err := c.Call(logoutRequest(grants[i]))
		if err == nil && status != 204 {
			err = fmt.Errorf("logout: answered %d: %s", status, body)
		}
		return err
	})
}

// pointsOfFeeds lets ever more verifiers follow while people log out, and while nobody does.
func pointsOfFeeds(ctx context.Context, l *lab, e capacityEffort, p *Points) error {
	accounts, err := l.accountsFile()
	if err != nil {
		return err
	}
	authd, err := l.startAuthd(ctx, authdOptions{cheap: true})
	if err != nil {
		return err
	}
	for _, n := range e.verifiers {
		for _, mix := range []string{"forward-auth=1", "login=1,logout=1"} {
			run, err := l.bench(ctx, authd, e.time, "--mix", mix, "--rate", strconv.Itoa(2*e.rates["feed"]), "--accounts", accounts,
				"--guards", strconv.Itoa(n), "--sessions=100")
			if err != nil {
				return err
			}
			point := FeedPoint{Verifiers: n, Bytes: run.FeedBytes, CPU: run.ServerCPU}
			for _, o := range run.Operations {
				if o.Name == loadtest.Logout.String() {
					point.Logouts = o.Rate
				}
			}
			for _, f := range run.Refusals {
				point.Refused = max(point.Refused, f.Late.P99)
			}
			p.Feeds = append(p.Feeds, point)
		}
	}
	return nil
}

// pointsOfUsers fills a database with accounts and looks for some.
func pointsOfUsers(ctx context.Context, l *lab, e capacityEffort, p *Points) error {
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		return err
	}
	for _, n := range e.users {
		dir, err := l.folder("users")
		if err != nil {
			return err
		}
		point, err := userPoint(ctx, filepath.Join(dir, "users.db"), n, hasher)
		if err != nil {
			return fmt.Errorf("%d users: %w", n, err)
		}
		p.Users = append(p.Users, point)
	}
	return nil
}

func userPoint(ctx context.Context, file string, n int, hasher *identity.Hasher) (point UserPoint, err error) {
	store, err := sqlstore.OpenSQLite(ctx, file, sqlstore.Config{Hasher: hasher})
	if err != nil {
		return point, err
	}
	defer func() { _ = store.Close() }() // it was only read
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return point, err
	}
	defer func() { _ = db.Close() }() // what matters was checked
	const hash = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
	_, err = db.ExecContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
		INSERT INTO users (subject, username, password_hash, disabled, roles, created_at, updated_at, password_changed_at)
		SELECT lower(hex(randomblob(11))), 'user' || i, ?, 0, 'customer', 1, 1, 1 FROM n`, n, hash)
	if err != nil {
		return point, err
	}
	if _, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return point, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return point, err
	}
	const looks = 2000
	began := time.Now()
	for range looks {
		if _, err := store.Get(ctx, userName(rand.IntN(n))); err != nil {
			return point, err
		}
	}
	return UserPoint{Users: n, Bytes: float64(info.Size()) / float64(n), Find: time.Since(began).Seconds() * 1e6 / looks}, nil
}
