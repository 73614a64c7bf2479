package main

import (
	"fmt"
	"testing"
)

// Login, service, logout and refusal, through nginx at whichever authd.
func TestMainJob(t *testing.T) {
	showLogs(t, "proxy", "orders")
	c := newClient(t)
	for range 2 * len(authds) {
		c.mainJob(t)
	}
}

// Whatever is killed, the main job goes on: at once where nothing must be elected, and otherwise once it is.
func TestKilled(t *testing.T) {
	showLogs(t, append([]string{"proxy", "orders", "sentinel-1"}, authds...)...)
	c := newClient(t)
	ctx := t.Context()
	kill := func(what string) (name string) {
		t.Helper()
		name = shared.resolve(ctx, what)
		if err := shared.kill(name); err != nil {
			t.Fatal(err)
		}
		until(t, "the main job without "+what, func() error { return c.tryMainJob(ctx) })
		return name
	}
	start := func(name string) {
		t.Helper()
		if err := shared.start(ctx, name); err != nil {
			t.Fatal(err)
		}
	}

	primary := kill("primary")
	until(t, "another primary", func() error {
		if now := shared.resolve(ctx, "primary"); now == primary || now == "primary" {
			return fmt.Errorf("it is %s", now)
		}
		return nil
	})
	start(primary)

	leader := kill("leader")
	until(t, "another leader", func() error {
		if now := shared.leader(ctx); now == "" || now == leader {
			return fmt.Errorf("it is %q", now)
		}
		return nil
	})
	start(leader)
	for _, name := range authds {
		if name != shared.leader(ctx) {
			start(kill(name))
			break
		}
	}
	c.mainJob(t)
}
