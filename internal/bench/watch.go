package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
	"github.com/authd-project/authd/revocation/redisstore"
)

// watched is a feed that tells when a batch has been applied, which is when the mirror begins to deny.
type watched struct {
	revocation.Feed
	applied func(revocation.Batch)
}

func (w watched) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return w.Feed.Follow(ctx, from, func(b revocation.Batch) error {
		err := apply(b)
		w.applied(b)
		return err
	})
}

// openFeed opens what a service follows: Redis, or authd's own feed as the middleware does.
func openFeed(source string) (feed revocation.Feed, closing func() error, err error) {
	if redis, ok := cutScheme(source, "redis"); ok {
		s, err := redisstore.OpenSource("redis://"+redis, redisstore.SourceConfig{})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	c, err := httpfeed.NewClient(source, nil)
	return c, func() error { return nil }, err
}

func cutScheme(url, scheme string) (rest string, ok bool) {
	prefix := scheme + "://"
	if len(url) < len(prefix) || url[:len(prefix)] != prefix {
		return "", false
	}
	return url[len(prefix):], true
}

// witness notes when mirrors began to deny sessions.
type witness struct {
	mu     sync.Mutex
	denied []denial
	fresh  int // mirrors that have caught up
	ready  chan struct{}
}

type denial struct {
	session revocation.ID
	at      int64 // Unix ns
}

// holdMirrors holds so many mirrors of the source, each as a service has it, and says ready when all have caught up. For
// each line it reads it prints what they have denied since the last one: a number, and as many lines of session and time.
func holdMirrors(ctx context.Context, count string, source []string) error {
	n, err := strconv.Atoi(count)
	if err != nil || len(source) != 1 {
		return fmt.Errorf("mirrors: want a number and a source: %w", err)
	}
	w := &witness{ready: make(chan struct{})}
	mirrors := make([]func(context.Context) error, n)
	for i := range mirrors {
		mirrors[i] = func(ctx context.Context) error { return w.hold(ctx, source[0], n) }
	}
	return runAll(ctx, append(mirrors, w.report)...)
}

func (w *witness) hold(ctx context.Context, source string, all int) error {
	feed, closing, err := openFeed(source)
	if err != nil {
		return err
	}
	m := revocation.NewMirror(revocation.MirrorConfig{History: -1})
	caughtUp := false
	err = m.Run(ctx, watched{feed, func(b revocation.Batch) {
		now := time.Now().UnixNano()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range b.Entries {
			if e.Kind == revocation.Session && denies(ctx, m, e.ID) {
				w.denied = append(w.denied, denial{e.ID, now})
			}
		}
		if !caughtUp && !b.AsOf.IsZero() {
			caughtUp = true
			if w.fresh++; w.fresh == all {
				close(w.ready)
			}
		}
	}})
	return errors.Join(err, closing())
}

func denies(ctx context.Context, m *revocation.Mirror, session revocation.ID) bool {
	err := m.Check(ctx, revocation.Claims{Session: session, IssuedAt: math.MaxInt64})
	return errors.Is(err, revocation.ErrRevoked)
}

func (w *witness) report(ctx context.Context) error {
	select {
	case <-w.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	fmt.Println("ready")
	return eachLine(func(string) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		text := strconv.Itoa(len(w.denied))
		for _, d := range w.denied {
			text += fmt.Sprintf("\n%x %d", d.session[:], d.at)
		}
		w.denied = nil
		return text, nil
	})
}

// bootMirrors follows the command of each line: "boot" fills a new mirror from the source, "cut" stops following, and
// "resume" goes on. Both print, once the mirror is fresh, how many entries it holds, how many seconds that took, and how
// many bytes the program needs more than before the first boot.
func bootMirrors(ctx context.Context, source string) error {
	feed, closing, err := openFeed(source)
	if err != nil {
		return err
	}
	empty := heap()
	b := booter{feed: feed, stop: func() error { return nil }}
	fmt.Println("ready")
	err = eachLine(func(line string) (string, error) {
		switch line {
		case "boot":
			b.mirror = nil
			runtime.GC()
			b.mirror = revocation.NewMirror(revocation.MirrorConfig{History: -1, MaxStaleness: time.Minute})
			fallthrough
		case "resume":
			took := b.follow(ctx)
			return fmt.Sprint(b.mirror.Status().Entries[revocation.Session], " ", took.Seconds(), " ", heap()-empty), nil
		case "cut":
			return "cut", b.stop()
		}
		return "", fmt.Errorf("no command %q", line)
	})
	return errors.Join(err, b.stop(), closing())
}

type booter struct {
	feed   revocation.Feed
	mirror *revocation.Mirror
	stop   func() error
}

// follow lets the mirror follow the feed, and returns how long it took until it was complete.
func (b *booter) follow(ctx context.Context) time.Duration {
	complete := make(chan struct{})
	once := sync.OnceFunc(func() { close(complete) })
	began := time.Now()
	b.stop = background(ctx, func(ctx context.Context) error {
		return b.mirror.Run(ctx, watched{b.feed, func(batch revocation.Batch) {
			if !batch.AsOf.IsZero() {
				once()
			}
		}})
	})
	select {
	case <-complete:
	case <-ctx.Done():
	}
	return time.Since(began)
}
