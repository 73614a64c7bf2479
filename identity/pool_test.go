package identity

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of 500 meets two slots and a queue of 100: never more than two run, the surplus is refused at once, and those
// in the queue are served in the order they came.
func TestPoolBoundsAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, queue, flood = 2, 100, 500
		p := &pool{slots: make(chan struct{}, slots), maxQueue: queue, wait: time.Minute}
		var (
			mu                     sync.Mutex
			running, most, refused int
			order                  []int
			wg                     sync.WaitGroup
		)
		for i := range flood {
			wg.Go(func() {
				begun := time.Now()
				if err := p.enter(t.Context()); err != nil {
					mu.Lock()
					defer mu.Unlock()
					refused++
					if !errors.Is(err, ErrBusy) || time.Since(begun) != 0 {
						t.Errorf("caller %d: %v after %v, want ErrBusy at once", i, err, time.Since(begun))
					}
					return
				}
				defer p.leave()
				mu.Lock()
				running++
				most = max(most, running)
				order = append(order, i)
				mu.Unlock()
				time.Sleep(30 * time.Millisecond)
				mu.Lock()
				running--
				mu.Unlock()
			})
			synctest.Wait() // so that i is in its place before i+1 comes
		}
		wg.Wait()
		if most != slots {
			t.Errorf("%d ran at once, want %d", most, slots)
		}
		if refused != flood-slots-queue || p.refused.Load() != uint64(refused) {
			t.Errorf("%d refused and %d counted, want %d", refused, p.refused.Load(), flood-slots-queue)
		}
		if p.queued.Load() != 0 || len(p.slots) != 0 {
			t.Errorf("afterwards %d wait and %d run, want none", p.queued.Load(), len(p.slots))
		}
		for place, caller := range order {
			if place/slots != caller/slots {
				t.Fatalf("caller %d was served in place %d", caller, place)
			}
		}
	})
}

func TestPoolWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{slots: make(chan struct{}, 1), maxQueue: 1, wait: 5 * time.Second}
		if err := p.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := p.enter(t.Context()); !errors.Is(err, ErrBusy) || time.Since(begun) != p.wait {
			t.Errorf("error %v after %v, want ErrBusy after %v", err, time.Since(begun), p.wait)
		}

		begun = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.enter(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("error %v after %v, want the deadline's after 1s", err, time.Since(begun))
		}
		if err := p.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that has ended: error %v, want its own", err)
		}

		p.leave()
		if err := p.enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a free slot and a context that has ended: error %v, want its own", err)
		}
		if err := p.enter(t.Context()); err != nil {
			t.Errorf("with a free slot: %v", err)
		}
	})
}
