package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 2 && os.Args[1] == childWord {
		if err := child(ctx, os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		return
	}
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// effort says how much is measured.
type effort struct {
	rounds    int // turns that each contender gets
	batch     int // tokens verified in one turn
	few, many int // live tokens in the comparison of tokens seen before
	entries   int // in the revocation mirror, and on Redis

	moreEntries int // in a second, larger mirror
	burstTime   time.Duration

	loadRounds  int // turns that each route gets
	turn        time.Duration
	loginRounds int
	loginTurn   time.Duration
	flood       int // clients that log in at once
	floodTime   time.Duration
	logouts     int
	boots       int // of a mirror on Redis
	missed      int // entries that it missed

	mixRate  int // requests a second of the mixed load
	mixTime  time.Duration
	kneeTime time.Duration // of each step

	kneeFrom, kneeMost, kneeSessions int
}

var (
	full = effort{
		rounds: 100, batch: 64, few: 1_000, many: 100_000, entries: 1_000_000,
		moreEntries: 10_000_000, burstTime: 2 * time.Second,
		loadRounds: 9, turn: 500 * time.Millisecond, loginRounds: 5, loginTurn: time.Second, flood: 500, floodTime: 8 * time.Second,
		logouts: 300, boots: 3, missed: 250_000,
		mixRate: 500, mixTime: 30 * time.Second, kneeTime: 3 * time.Second, kneeFrom: 1000, kneeMost: 100_000, kneeSessions: 1000,
	}
	quick = effort{
		rounds: 6, batch: 2, few: 10, many: 100, entries: 10_000,
		moreEntries: 20_000, burstTime: 10 * time.Millisecond,
		loadRounds: 1, turn: 30 * time.Millisecond, loginRounds: 1, loginTurn: time.Millisecond, flood: 5, floodTime: 100 * time.Millisecond,
		logouts: 3, boots: 1, missed: 1000,
		mixRate: 200, mixTime: time.Second, kneeTime: 200 * time.Millisecond, kneeFrom: 50, kneeMost: 50, kneeSessions: 10,
	}
)

// run reports whether all budgets hold.
func run(ctx context.Context, args []string, stdout io.Writer) (bool, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "measure little: shows that it works, not how fast")
	only := flags.String("only", "", "measure one part: verification, mirror, routes, logins, logouts, service or million")
	page := flags.String("page", "", "folder in which to write performance.md and its plots, which need all parts")
	capacity := flags.String("capacity", "", "measure for docs/capacity.md instead, and write it into this folder")
	render := flags.String("render-capacity", "", "write capacity.md of this folder anew from its capacity.json, without measuring")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if *render != "" {
		return true, renderCapacity(*render)
	}
	if *capacity != "" {
		return true, runCapacity(ctx, *short, *capacity)
	}
	e := full
	if *short {
		e = quick
	}
	r, err := measureAll(ctx, e, *only)
	if err != nil {
		return false, err
	}
	r.short = *short
	r.print(stdout)
	if *page != "" {
		if err := r.writePage(*page); err != nil {
			return false, err
		}
	}
	return missed(r.budgets) == 0, nil
}

// runCapacity measures and writes what docs/capacity.md is made of.
func runCapacity(ctx context.Context, short bool, folder string) error {
	m, err := describeMachine(ctx)
	if err != nil {
		return err
	}
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	p, err := measureCapacity(ctx, l, capacityEfforts(short), m)
	if err != nil {
		return err
	}
	p.Short = short
	return p.writeCapacity(folder)
}

func measureAll(ctx context.Context, e effort, only string) (*report, error) {
	r := &report{began: time.Now(), tables: map[string]table{}, plots: map[string]string{}}
	var err error
	if r.machine, err = describeMachine(ctx); err != nil {
		return nil, err
	}
	l, err := newLab(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	for _, part := range []struct {
		name    string
		measure func(context.Context, *lab, effort, *report) error
	}{
		{"verification", addVerify}, {"mirror", addMirror}, {"routes", measureRoutes}, {"logins", measureLogins},
		{"logouts", measureLogouts}, {"service", measureService}, {"million", measureMillion},
	} {
		if only != "" && only != part.name {
			continue
		}
		if err := part.measure(ctx, l, e, r); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return r, nil
}

func addVerify(ctx context.Context, _ *lab, e effort, r *report) error {
	all, err := measureVerify(ctx, e)
	if err != nil {
		return err
	}
	var budgets []budget
	for _, v := range all {
		budgets = append(budgets, v.budgets()...)
	}
	r.add("verify", verifyTable(all), budgets...)
	r.plots["performance-verify.svg"] = plotVerify(all)
	return nil
}

func addMirror(ctx context.Context, _ *lab, e effort, r *report) error {
	mirrors, beside, err := measureMirrors(ctx, e)
	if err != nil {
		return err
	}
	var budgets []budget
	for _, m := range mirrors {
		budgets = append(budgets, m.budgets()...)
	}
	r.add("mirror", mirrorTable(mirrors), budgets...)
	r.add("burst", beside.table())
	return nil
}
