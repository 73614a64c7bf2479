package httpfeed_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// follow starts a follower of feed and returns its batches; it ends with the test.
func follow(t testing.TB, feed revocation.Feed, from revocation.Position) <-chan revocation.Batch {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	batches, done := make(chan revocation.Batch), make(chan struct{})
	go func() {
		defer close(done)
		_ = feed.Follow(ctx, from, func(b revocation.Batch) error {
			select {
			case batches <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return batches
}

// run starts a mirror of feed and returns it once it is fresh; it ends with the test.
func run(t testing.TB, feed revocation.Feed, cfg revocation.MirrorConfig) *revocation.Mirror {
	t.Helper()
	m := revocation.NewMirror(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx, feed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for range follow(t, m, revocation.Position{}) {
		if m.Status().Fresh {
			break
		}
	}
	return m
}

// source is a feed that sends what the test tells it to.
type source chan revocation.Batch

func (s source) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	for {
		select {
		case b := <-s:
			if err := apply(b); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beats is a feed of these entries, which proves itself complete every 20 ms.
type beats []revocation.Entry

func (f beats) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b := revocation.Batch{Entries: f, Position: revocation.Position{Epoch: "beats", Seq: uint64(len(f))}, AsOf: time.Now()}
		if err := apply(b); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve serves a feed over HTTP. stop ends the streams; it and the server end with the test.
func serve(t testing.TB, cfg httpfeed.HandlerConfig) (server *httptest.Server, stop context.CancelFunc) {
	t.Helper()
	cfg.Context, stop = context.WithCancel(context.Background())
	server = httptest.NewServer(httpfeed.NewHandler(cfg))
	t.Cleanup(server.Close)
	t.Cleanup(stop)
	return server, stop
}

// newClient returns a client of the feed at url.
func newClient(t testing.TB, url string) *httpfeed.Client {
	t.Helper()
	client, err := httpfeed.NewClient(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
