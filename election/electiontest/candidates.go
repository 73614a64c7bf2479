package electiontest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// testOneAtATime has several candidates of which the leader soon resigns, again and again.
func testOneAtATime(_ *testing.T, h *harness) {
	const (
		candidates  = 4
		leaderships = 8
	)
	var working, led atomic.Int32
	enough := make(chan struct{})
	for i := range candidates {
		h.start(fmt.Sprint("candidate ", i), func(ctx context.Context) error {
			if n := working.Add(1); n != 1 {
				h.Errorf("%d work at once", n)
			}
			defer working.Add(-1)
			if ctx.Err() == nil && led.Add(1) == leaderships {
				close(enough)
			}
			return nil
		})
	}
	select {
	case <-enough:
	case <-time.After(h.Patience):
		h.Errorf("only %d leaderships within %v", led.Load(), h.Patience)
	}
}

// testSameIdentity has two processes that were given one name, say by a copied configuration: they are two all the same.
func testSameIdentity(_ *testing.T, h *harness) {
	first := h.start("a", untilEnd)
	h.awaitBegin(first)
	second := h.start("a", untilEnd)
	select {
	case <-second.began:
		h.Error("two lead under one name")
	case <-time.After(h.Lease): // it asks several times in a lease
	}
	first.stop()
	_ = h.awaitEnd(first)
	h.awaitBegin(second)
}

// testNextAfterWork is E2 in order: the next leader begins once the work of the one before has returned, however long
// that takes after its context ended.
func testNextAfterWork(t *testing.T, h *harness) {
	drain := make(chan struct{})
	first := h.start("a", func(ctx context.Context) error {
		<-ctx.Done()
		<-drain
		return ctx.Err()
	})
	h.awaitBegin(first)
	second := h.start("b", untilEnd)
	first.stop()
	select {
	case <-second.began:
		t.Error("the next leader began before the work of the one before had returned")
	case <-time.After(h.Lease * 3 / 2): // as long as it takes to see a lease that is not renewed
	}
	close(drain)
	_ = h.awaitEnd(first)
	h.awaitBegin(second)
}
