package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
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
	entries   int // in the revocation mirror
}

var (
	full  = effort{rounds: 100, batch: 64, few: 1_000, many: 100_000, entries: 1_000_000}
	quick = effort{rounds: 6, batch: 2, few: 10, many: 100, entries: 10_000}
)

// run reports whether all budgets hold.
func run(ctx context.Context, args []string, stdout io.Writer) (bool, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "measure little: shows that it works, not how fast")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	e := full
	if *short {
		e = quick
	}
	var budgets []budget
	verify, err := measureVerify(ctx, e)
	if err != nil {
		return false, fmt.Errorf("verification: %w", err)
	}
	printVerify(stdout, verify)
	for _, v := range verify {
		budgets = append(budgets, v.budgets()...)
	}
	mirror, err := measureMirror(ctx, e)
	if err != nil {
		return false, fmt.Errorf("mirror: %w", err)
	}
	mirror.print(stdout)
	budgets = append(budgets, mirror.budgets()...)
	return printBudgets(stdout, budgets), nil
}
