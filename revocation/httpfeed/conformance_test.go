package httpfeed_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/boltstore"
	"github.com/authd-project/authd/revocation/httpfeed"
	"github.com/authd-project/authd/revocation/revocationtest"
)

// TestConformance follows the whole way that a revocation goes: file, mirror of the issuer, HTTP, mirror of a verifier.
func TestConformance(t *testing.T) {
	revocationtest.Run(t, func(t *testing.T) revocationtest.Backend {
		path := filepath.Join(t.TempDir(), "authd.db")
		feed := &socket{plugged: make(chan struct{})}
		store := openStore(t, path)
		feed.plug(store)

		near := run(t, feed, revocation.MirrorConfig{})
		server, _ := serve(t, httpfeed.HandlerConfig{Feed: near})
		far := run(t, newClient(t, server.URL), revocation.MirrorConfig{})
		b := revocationtest.Backend{Store: store, Feed: far}
		// The mirrors live on while their store is gone, and meet it again.
		reopen := func(path string) func(*testing.T) revocationtest.Backend {
			return func(t *testing.T) revocationtest.Backend {
				feed.unplug()
				store.close(t)
				store = openStore(t, path)
				feed.plug(store)
				b.Store = store
				return b
			}
		}
		b.Reopen, b.Lose = reopen(path), reopen(path+".new")
		return b
	})
}

// boltStore is a store with its file.
type boltStore struct {
	*boltstore.Store
	file *boltfile.File
}

func openStore(t *testing.T, path string) boltStore {
	t.Helper()
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	store, err := boltstore.Open(file, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return boltStore{store, file}
}

func (s boltStore) close(t *testing.T) {
	t.Helper()
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
}

// socket is a feed that can be pulled out and put in.
type socket struct {
	mu      sync.Mutex
	feed    revocation.Feed
	plugged chan struct{} // closed while there is a feed
	users   sync.WaitGroup
	cancel  context.CancelFunc
	ctx     context.Context
}

func (s *socket) plug(feed revocation.Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feed = feed
	s.ctx, s.cancel = context.WithCancel(context.Background())
	close(s.plugged)
}

// unplug returns once nobody uses the feed.
func (s *socket) unplug() {
	s.mu.Lock()
	s.cancel()
	s.plugged = make(chan struct{})
	s.mu.Unlock()
	s.users.Wait()
}

func (s *socket) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	s.mu.Lock()
	plugged := s.plugged
	s.mu.Unlock()
	select {
	case <-plugged:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	feed, pulled := s.feed, s.ctx
	s.users.Add(1)
	s.mu.Unlock()
	defer s.users.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(pulled, cancel)()
	return feed.Follow(ctx, from, apply)
}
