package sessiontest

import (
	"errors"
	"sync"
	"testing"

	"github.com/authd-project/authd/session"
)

// testConcurrentRefreshes is S3: N refreshes of one token at once yield one successor, for everybody. Code that reads,
// decides and then writes may pass it; testLinearizable is the one that finds such code.
func testConcurrentRefreshes(t *testing.T, h *harness) {
	const clients = 50
	wide := limits
	wide.MaxReplays = clients
	s := h.create("alice")
	for round := range 5 {
		h.Advance(2 * limits.Grace)
		var outcomes [clients]session.Outcome
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				presented := uint64(round + 1)
				got, outcome, err := h.Store.Refresh(t.Context(), s.ID, presented, session.Use{}, wide)
				if err != nil || got.Chain.Generation != presented+1 {
					t.Errorf("generation %d, %v; want %d", got.Chain.Generation, err, presented+1)
				}
				outcomes[i] = outcome
			})
		}
		wg.Wait()
		rotated := 0
		for _, o := range outcomes {
			switch o {
			case session.Rotated:
				rotated++
			case session.Replayed:
			default:
				t.Errorf("outcome %v", o)
			}
		}
		if rotated != 1 {
			t.Fatalf("%d of %d concurrent refreshes rotated; want one", rotated, clients)
		}
	}
}

// testRefreshAgainstEnd is R5: once an end is acknowledged nothing brings the session back, whatever was under way.
func testRefreshAgainstEnd(t *testing.T, h *harness) {
	for range 20 {
		s := h.create("alice")
		h.Advance(2 * limits.Grace)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, _, err := h.Store.Refresh(t.Context(), s.ID, 1, session.Use{}, limits); err != nil &&
					!errors.Is(err, session.ErrEnded) {
					t.Errorf("refresh beside an end: %v", err)
				}
			})
		}
		wg.Go(func() {
			if err := h.Store.End(t.Context(), s.ID); err != nil {
				t.Errorf("end beside refreshes: %v", err)
				return
			}
			h.wantEnded(s)
		})
		wg.Wait()
		h.wantEnded(s)
	}
}
