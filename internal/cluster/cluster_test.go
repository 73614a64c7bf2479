package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// Login, service, logout and refusal, through nginx at whichever authd, and as docs/cluster.md says it.
func TestMainJob(t *testing.T) {
	showLogs(t, "proxy", "orders")
	typed(t, 0)
	docs.Shell{Places: pageAddresses()}.Run(t, docs.Steps(t, "docs/cluster.md", 0))
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
	var primary, leader string
	typed(t, 1, func(line string) {
		switch {
		case strings.HasPrefix(line, "kill primary"):
			primary, leader = shared.resolve(ctx, "primary"), ""
		case strings.HasPrefix(line, "kill leader"):
			until(t, "the main job without the primary", func() error { return c.tryMainJob(ctx) })
			until(t, "another primary", func() error { return another(primary, shared.resolve(ctx, "primary")) })
			until(t, "a leader", func() error { return another("", shared.leader(ctx)) })
			leader = shared.leader(ctx)
		default:
			until(t, "the main job without the leader", func() error { return c.tryMainJob(ctx) })
			until(t, "another leader", func() error { return another(leader, shared.leader(ctx)) })
		}
	})
	for _, name := range authds {
		if name == shared.leader(ctx) {
			continue
		}
		if err := shared.kill(name); err != nil {
			t.Fatal(err)
		}
		until(t, "the main job without a follower", func() error { return c.tryMainJob(ctx) })
		if err := shared.start(ctx, name); err != nil {
			t.Fatal(err)
		}
		break
	}
	c.mainJob(t)
}

// A service that ends by itself is started again, as the restart policy says; one that somebody killed is not.
func TestEnds(t *testing.T) {
	const name = "orders"
	c := newClient(t)
	for _, tt := range []struct {
		signal syscall.Signal
		says   string
	}{{syscall.SIGTERM, "orders ended (exit status 0), and is started again"}, {syscall.SIGKILL, "orders was killed. To start it again: start orders"}} {
		p := shared.process(name)
		if err := p.cmd.Process.Signal(tt.signal); err != nil {
			t.Fatal(err)
		}
		<-p.done
		until(t, "word of it", func() error {
			if !strings.Contains(said.String(), tt.says) {
				return fmt.Errorf("it says %s", said.String())
			}
			return nil
		})
		if tt.signal == syscall.SIGKILL {
			if shared.process(name).runs() {
				t.Error("it was started again after it was killed")
			}
			if err := shared.start(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "the main job", func() error { return c.tryMainJob(t.Context()) })
	}
}

func another(before, now string) error {
	if now == before || now == "" || now == "primary" {
		return fmt.Errorf("it is %q", now)
	}
	return nil
}

// typed types the n-th block of docs/cluster.md into the console, and compares what it says. Before each line it calls
// those that are given.
func typed(t *testing.T, n int, before ...func(line string)) {
	t.Helper()
	block := docs.Blocks(t, "docs/cluster.md", "text")[n]
	in, keyboard := io.Pipe()
	screen := &lockedBuffer{}
	ended := make(chan error, 1)
	go func() { ended <- (&console{shared, screen}).run(t.Context(), in) }()
	answered := 0
	for part := range strings.SplitSeq("\n"+block.Text, "\n"+prompt) {
		line, want, _ := strings.Cut(part, "\n")
		if line == "" {
			continue
		}
		for _, f := range before {
			f(line)
		}
		if _, err := fmt.Fprintln(keyboard, line); err != nil {
			t.Error(err)
			return
		}
		answered++
		until(t, "an answer to "+line, func() error {
			if strings.Count("\n"+screen.String(), "\n"+prompt) <= answered {
				return fmt.Errorf("the screen shows:\n%s", screen)
			}
			return nil
		})
		said := strings.Split("\n"+screen.String(), "\n"+prompt)[answered]
		if want := pageAddresses().Replace(want); !like(want, said) {
			t.Errorf("%s: the cluster says\n%s\nthe page says\n%s", line, said, want)
		}
	}
	fmt.Fprintln(keyboard, "quit")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = keyboard.Close()
}

// like compares but for blanks; … in a page stands for anything.
func like(page, said string) bool {
	tidy := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(tidy(page)), "…", ".*") + "$"
	return regexp.MustCompile(pattern).MatchString(tidy(said))
}

// pageAddresses makes the addresses of the shared cluster of those on the page.
func pageAddresses() *strings.Replacer {
	return strings.NewReplacer("127.0.0.1:", shared.place.front+":", "127.83.0.", shared.place.network+".")
}

// What is missing is named at once, all of it, with the command that gets it; and nothing is left behind.
func TestMissingPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	err := run(t.Context(), []string{"-file", composePath, "-bin", t.TempDir()}, &bytes.Buffer{}, io.Discard)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{
		"authd is missing; build it with: make build", "orders is missing; build it with: make build",
		"redis-server is missing; install it with: internal/testenv/install.d/redis.sh",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwants %q", err, want)
		}
	}
	checkEmpty(t)
}

// Two clusters at the same addresses would disturb each other: the second says so before it starts anything.
func TestTakenAddress(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := shared.place
	err := run(t.Context(), []string{"-file", composePath, "-bin", p.bin, "-front", p.front, "-network", p.network}, &bytes.Buffer{}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), p.front+":8080") || !strings.Contains(err.Error(), "make cluster FRONT=127.0.0.2") {
		t.Errorf("it says %v", err)
	}
	checkEmpty(t)
}

// The command of the page is a target of the Makefile.
func TestMakeTarget(t *testing.T) {
	command := strings.Replace(docs.Text(t, "docs/cluster.md", "sh", 0), "make ", "make --dry-run ", 1)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "bin/cluster -front 127.0.0.1 -network 127.83.0") {
		t.Errorf("%v\n%s", err, out)
	}
}
