package dpop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/dpop"
)

// clock is a clock of the tests.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(now.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

func name(n int) (id dpop.Name) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func TestMemoryRefusesTheSecondUse(t *testing.T) {
	c := newClock()
	m := dpop.NewMemory(0, c.Now)
	must(t, m.Spend(t.Context(), "key", name(1), time.Minute))
	must(t, m.Spend(t.Context(), "key", name(2), time.Minute))
	c.Advance(time.Minute - 1)
	if err := m.Spend(t.Context(), "key", name(1), time.Minute); !errors.Is(err, dpop.ErrReplayed) {
		t.Errorf("the second use: %v", err)
	}
	c.Advance(1)
	if err := m.Spend(t.Context(), "key", name(1), time.Minute); err != nil {
		t.Errorf("once it is over: %v", err)
	}
}

// A full memory forgets nothing that counts, and has room again when what it holds is over.
func TestMemoryWhenFull(t *testing.T) {
	c := newClock()
	m := dpop.NewMemory(1, c.Now) // room for one proof in each part
	must(t, m.Spend(t.Context(), "key", name(1), time.Minute))
	if err := m.Spend(t.Context(), "key", name(2), time.Minute); !errors.Is(err, dpop.ErrUnavailable) || errors.Is(err, dpop.ErrInvalid) {
		t.Errorf("one too many: %v", err)
	}
	if err := m.Spend(t.Context(), "key", name(1), time.Minute); !errors.Is(err, dpop.ErrReplayed) {
		t.Errorf("the first again: %v", err)
	}
	passed := 0
	for i := range 200 { // of other keys most are elsewhere
		if m.Spend(t.Context(), fmt.Sprint("other", i), name(1000+i), time.Minute) == nil {
			passed++
		}
	}
	if passed < 40 || passed > 63 {
		t.Errorf("%d of 64 parts had room", passed)
	}
	c.Advance(time.Minute)
	must(t, m.Spend(t.Context(), "key", name(2), time.Minute))
}

func TestMemoryStaysWithinItsBound(t *testing.T) {
	const limit = 8 << 20
	c := newClock()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	m := dpop.NewMemory(limit, c.Now)
	full := false
	keys := make([]string, 256)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	for round := range 3 { // what is over leaves nothing behind
		accepted := 0
		for i := range 200_000 {
			err := m.Spend(t.Context(), keys[i%len(keys)], name(round<<32|i), time.Minute)
			switch {
			case err == nil:
				accepted++
			case errors.Is(err, dpop.ErrUnavailable):
				full = true
			default:
				t.Fatal(err)
			}
		}
		if accepted < limit/80/2 {
			t.Errorf("round %d: only %d proofs had room", round, accepted)
		}
		c.Advance(time.Minute)
	}
	used := int64(heap()) - int64(before)
	runtime.KeepAlive(m)
	if !full || used > limit*5/4 {
		t.Errorf("full: %v; %d bytes used of %d", full, used, limit)
	}
}

func TestMemoryAcceptsOneOfMany(t *testing.T) {
	m := dpop.NewMemory(0, nil)
	for n := range 50 {
		var accepted atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if m.Spend(t.Context(), "key", name(n), time.Minute) == nil {
					accepted.Add(1)
				}
			})
		}
		wg.Wait()
		if accepted.Load() != 1 {
			t.Fatalf("%d accepted", accepted.Load())
		}
	}
}
