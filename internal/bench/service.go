package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/authd-project/authd/internal/loadtest"
)

// serviceMix is what the clients of a service ask for: a few come and go, most are verified, here and at authd.
const serviceMix = "login=1,refresh=10,verify=50,forward-auth=33,introspect=5,logout=1"

// measureService puts a mixed load on authd with `authd bench`, and lets that find how much of a single operation authd
// bears.
func measureService(ctx context.Context, l *lab, e effort, r *report) error {
	defer l.stopAll()
	if err := l.measureMix(ctx, e, r); err != nil {
		return err
	}
	l.stopAll()
	return l.measureKnees(ctx, e, r)
}

func (l *lab) measureMix(ctx context.Context, e effort, r *report) error {
	redis, err := l.startRedis(ctx)
	if err != nil {
		return err
	}
	mixed := table{columns: []string{"operation", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "not as asked"}}
	refusals := table{columns: []string{"logouts are refused by", "refusals", "p50 ms", "p99 ms", "max ms", "accepted after 5 s"}}
	servers := table{columns: []string{"authd meanwhile", "cores", "resident MiB", "revocations held"}}
	for _, on := range []struct {
		name    string
		options authdOptions
	}{{"embedded", authdOptions{}}, {"Redis", authdOptions{redis: redis.addr}}} {
		authd, err := l.startAuthd(ctx, on.options)
		if err != nil {
			return err
		}
		run, err := l.bench(ctx, authd, e.mixTime, "--mix", serviceMix, "--rate", strconv.Itoa(e.mixRate), "--users", strconv.Itoa(loginUsers))
		if err != nil {
			return err
		}
		authd.stop()
		for _, o := range run.Operations {
			mixed.add(o.Name+", "+on.name, significant(o.Rate), loadtest.Digits(o.Latency.P50), loadtest.Digits(o.Latency.P99),
				loadtest.Digits(o.Latency.P999), loadtest.Digits(o.Latency.Max), strconv.FormatInt(o.Failed+o.Busy, 10))
		}
		for _, f := range run.Refusals {
			refusals.add(f.Verifier+", "+on.name, strconv.FormatInt(f.Late.Count, 10), loadtest.Digits(f.Late.P50), loadtest.Digits(f.Late.P99),
				loadtest.Digits(f.Late.Max), strconv.FormatInt(f.Accepted, 10))
		}
		servers.add(on.name, ratio(run.ServerCPU), significant(run.Servers[0].Resident/(1<<20)), significant(run.Servers[0].Entries))
		if on.name == "embedded" {
			r.plots["performance-load.svg"] = run.Plot()
		}
	}
	r.add("mixed", mixed)
	r.add("refusals", refusals)
	r.add("mixedServers", servers)
	return nil
}

// bench runs `authd bench` for d against an authd and reads what it found.
func (l *lab) bench(ctx context.Context, s endpoint, d time.Duration, args ...string) (r loadtest.Report, err error) {
	dir, err := l.folder("run")
	if err != nil {
		return r, err
	}
	secret, report := filepath.Join(dir, "secret"), filepath.Join(dir, "run.json")
	if err := os.WriteFile(secret, []byte(clientSecret), 0o600); err != nil {
		return r, fmt.Errorf("writing a secret: %w", err)
	}
	cmd := exec.CommandContext(ctx, l.authd, append([]string{
		"bench", "--quiet", "--url", "http://" + s.addr, "--data", s.data, "--admin-listen", s.admin, "--client-id", clientID,
		"--client-secret-file", secret, "--duration", d.String(), "--warmup", (d / 5).String(), "--json", report,
	}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return r, fmt.Errorf("authd bench: %w\n%s", err, out)
	}
	text, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// measureKnees finds the rate of single operations at which authd begins to be late.
func (l *lab) measureKnees(ctx context.Context, e effort, r *report) error {
	redis, err := l.startRedis(ctx)
	if err != nil {
		return err
	}
	t := table{columns: []string{"one operation alone", "borne, requests/s", "p50 ms", "p99 ms", "authd's cores", "CPU µs a request", "a core of authd's bears, requests/s"}}
	for _, k := range []struct {
		operation string
		options   authdOptions
		name      string
	}{
		{"forward-auth", authdOptions{}, "forward-auth, embedded"}, {"introspect", authdOptions{}, "introspection, embedded"},
		{"refresh", authdOptions{}, "refresh, embedded"}, {"refresh", authdOptions{redis: "?"}, "refresh, Redis"},
	} {
		if k.options.cheap = true; k.options.redis != "" {
			k.options.redis = redis.addr
		}
		run, err := l.knee(ctx, e, k.operation, k.options)
		if err != nil {
			return err
		}
		o := run.Operations[slices.IndexFunc(run.Operations, func(o loadtest.Operation) bool { return o.Name == k.operation })]
		each := run.ServerCPU / o.Rate
		t.add(k.name, significant(run.Settings.Rate), loadtest.Digits(o.Latency.P50), loadtest.Digits(o.Latency.P99), ratio(run.ServerCPU),
			significant(each*1e6), significant(1/each))
	}
	r.add("knees", t)
	return nil
}

func (l *lab) knee(ctx context.Context, e effort, operation string, o authdOptions) (r loadtest.Report, err error) {
	authd, err := l.startAuthd(ctx, o)
	if err != nil {
		return r, err
	}
	defer authd.stop()
	accounts, err := l.accountsFile()
	if err != nil {
		return r, err
	}
	r, err = l.bench(ctx, authd, e.kneeTime, "--knee", "--mix", operation+"=1", "--accounts", accounts, "--sessions", strconv.Itoa(e.kneeSessions),
		"--rate", strconv.Itoa(e.kneeFrom), "--knee-most", strconv.Itoa(e.kneeMost), "--guards=1")
	if err == nil && len(r.Operations) == 0 {
		err = errors.New("a search without a result")
	}
	return r, err
}

// accountsFile is that of the users who log in cheaply.
func (l *lab) accountsFile() (name string, err error) {
	dir, err := l.folder("accounts")
	if err != nil {
		return "", err
	}
	var lines strings.Builder
	for i := range cheapUsers {
		fmt.Fprintf(&lines, "%s:%s\n", userName(i), password)
	}
	name = filepath.Join(dir, "accounts")
	return name, os.WriteFile(name, []byte(lines.String()), 0o600)
}
