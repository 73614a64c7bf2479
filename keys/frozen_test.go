package keys_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// freezer is the store of a process that is frozen in the middle of a write: the write has left, and arrives when it thaws.
type freezer struct {
	keys.Store

	mu     sync.Mutex
	freeze bool          // the next write is the one
	frozen chan struct{} // closed when it is under way
	thaw   chan struct{} // lets it go
	err    error         // how it ended
}

func (f *freezer) Update(ctx context.Context, t keys.Term, v keys.Version, r keys.Ring) (keys.Version, error) {
	f.mu.Lock()
	freeze := f.freeze
	f.freeze = false
	f.mu.Unlock()
	if !freeze {
		return f.Store.Update(ctx, t, v, r)
	}
	close(f.frozen)
	<-f.thaw
	next, err := f.Store.Update(context.WithoutCancel(ctx), t, v, r) // no deadline stops what has left
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	return next, err
}

// E1: the work of two terms overlaps where a leader was frozen before its write. The write is refused, and the leader
// stops, whether the next one has written something meanwhile or has only claimed the ring.
func TestFrozenLeaderIsRefused(t *testing.T) {
	for name, writes := range map[string]bool{"the next one has written": true, "the next one has only claimed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := keys.Policy{RotateEvery: 2 * time.Hour}.WithDefaults()
				store := keystest.NewMemory()
				f := &freezer{Store: store, frozen: make(chan struct{}), thaw: make(chan struct{})}
				ended := make(chan error, 1)
				first := newRotator(t, f, p, "first", new(revocations))
				go func() { ended <- first.Lead(t.Context()) }()
				time.Sleep(time.Hour)
				f.mu.Lock()
				f.freeze = true
				f.mu.Unlock()
				<-f.frozen // at the rotation, which is now due

				if writes {
					start(t, newRotator(t, store, p, "second", new(revocations)).Lead)
					time.Sleep(time.Minute)
				} else if _, err := store.Claim(t.Context(), "second"); err != nil {
					t.Fatal(err)
				}
				before := stored(t, store)
				if before.Holder != "second" || (inState(before, keys.Retired) != "") != writes {
					t.Fatalf("the second leader has made of it %v", before)
				}
				close(f.thaw)
				if err := <-ended; err != nil {
					t.Errorf("the first leader ended with %v", err)
				}
				if !errors.Is(f.err, keys.ErrStale) {
					t.Errorf("its write answered %v", f.err)
				}
				if after := stored(t, store); !reflect.DeepEqual(after, before) {
					t.Errorf("the ring was %v and is %v", before, after)
				}
			})
		})
	}
}
