package identity

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// 500 logins at once hold the memory of the pool, not of 500 hashes, and the surplus is refused. What is live is what
// counts here, so garbage is collected before each look; how much of it lies about otherwise is the collector's affair.
func TestFloodStaysWithinMemory(t *testing.T) {
	const (
		slots, queue, flood = 2, 30, 500
		hashBytes           = 8 << 20
	)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := heap()
	var (
		mu         sync.Mutex
		peak       uint64
		most       int
		done, busy atomic.Int32
		wg         sync.WaitGroup
		h          *Hasher
		start      = make(chan struct{})
		observe    = func(context.Context, HashEvent) {
			mu.Lock()
			defer mu.Unlock()
			peak, most = max(peak, heap()), max(most, h.Stats().Running)
		}
	)
	h = newHasher(t, HasherConfig{
		Params: Params{Memory: hashBytes >> 10, Time: 1, Threads: 1}, Concurrency: slots, Queue: queue, Wait: time.Minute,
		OnHash: observe,
	})
	for range flood {
		wg.Go(func() {
			<-start
			switch _, err := h.Verify(t.Context(), "", "password"); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, ErrBusy):
				busy.Add(1)
			default:
				t.Errorf("Verify: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if done.Load()+busy.Load() != flood || done.Load() < slots+queue || busy.Load() == 0 {
		t.Errorf("%d served and %d refused of %d", done.Load(), busy.Load(), flood)
	}
	if most > slots {
		t.Errorf("%d hashes at once, want at most %d", most, slots)
	}
	// While one looks, holding its slot, the others run one hash each at most: their slots wait for the lock.
	const rest = 4 << 20 // the goroutines' own
	if limit := before + slots*hashBytes + rest; peak > limit {
		t.Errorf("the heap grew from %d to %d KiB, want at most %d", before>>10, peak>>10, limit>>10)
	}
	t.Logf("heap before %d KiB, at most %d KiB; %d served, %d refused", before>>10, peak>>10, done.Load(), busy.Load())
}
