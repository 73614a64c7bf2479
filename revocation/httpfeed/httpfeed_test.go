package httpfeed_test

import (
	"context"
	"errors"
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

func TestServerToClient(t *testing.T) {
	src := make(source, 1)
	src <- revocation.Batch{Position: revocation.Position{Epoch: "e", Seq: 1}, AsOf: time.Now()}
	near := run(t, src, revocation.MirrorConfig{})
	ctx, stop := context.WithCancel(t.Context())
	server := httptest.NewServer(httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: near, Context: ctx}))
	defer server.Close()
	defer stop()
	client, err := httpfeed.NewClient(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	far := run(t, client, revocation.MirrorConfig{})
	sid := revocation.IDOf(revocation.Session, "s1")
	src <- revocation.Batch{
		Entries:  []revocation.Entry{{Kind: revocation.Session, ID: sid, Expires: time.Now().Add(time.Hour).Unix()}},
		Position: revocation.Position{Epoch: "e", Seq: 2},
		AsOf:     time.Now(),
	}
	for range follow(t, far, revocation.Position{}) {
		if far.Status().Position.Seq == 2 {
			break
		}
	}
	if err := far.Check(t.Context(), revocation.Claims{Session: sid}); !errors.Is(err, revocation.ErrRevoked) {
		t.Errorf("got %v, want revoked", err)
	}
}
