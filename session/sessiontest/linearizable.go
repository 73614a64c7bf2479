package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/authd-project/authd/session"
)

// The sizes of a history. Clients of one session act at once within a phase; between phases the clock moves.
const (
	sessions = 20
	clients  = 8
	phases   = 10
	perPhase = 3 // calls of each client
)

// testLinearizable is S2: every concurrent history of refreshes and ends is one that the rule allows in some order.
func testLinearizable(t *testing.T, h *harness) {
	histories, err := record(t.Context(), h.Backend)
	if err != nil {
		t.Fatal(err)
	}
	for i, history := range histories {
		if !porcupine.CheckOperations(model, history) {
			t.Errorf("the history of session %d (of %d calls) is not linearizable", i, len(history))
		}
	}
}

// record lets clients loose on a store and returns what each session saw.
func record(ctx context.Context, b Backend) ([][]porcupine.Operation, error) {
	group := make([]*recorder, sessions)
	for i := range group {
		r := &recorder{store: b.Store, id: newID(), phaseOfEnd: phases/2 + i%phases}
		if _, err := b.Store.Create(ctx, session.Session{ID: r.id, Subject: "alice"}); err != nil {
			return nil, err
		}
		r.newest.Store(1)
		group[i] = r
	}
	var now time.Duration
	steps := rand.New(rand.NewPCG(1, 2))
	for phase := range phases {
		// Inside the grace, or past it; sums of these never come near its end.
		step := []time.Duration{0, limits.Grace * 4 / 10, limits.Grace * 3 / 2}[steps.IntN(3)]
		b.Advance(step)
		now += step
		var wg sync.WaitGroup
		for i, r := range group {
			for client := range clients {
				rng := rand.New(rand.NewPCG(uint64(i*clients+client), uint64(phase)))
				wg.Go(func() { r.act(ctx, rng, client, phase, now) })
			}
		}
		wg.Wait()
	}
	histories := make([][]porcupine.Operation, len(group))
	for i, r := range group {
		if r.err != nil {
			return nil, r.err
		}
		histories[i] = r.history
	}
	return histories, nil
}

// recorder writes down the calls of one session's clients.
type recorder struct {
	store      session.Store
	id         session.ID
	phaseOfEnd int           // when client 0 logs out; never, if there are not that many phases
	newest     atomic.Uint64 // generation that a client has seen last: their shared memory, as of tabs
	ticks      atomic.Int64  // orders calls and returns

	mu      sync.Mutex
	history []porcupine.Operation
	err     error
}

// act is one client's part in a phase. A fifth of the answers is lost on their way, and now and then somebody presents
// an old token.
func (r *recorder) act(ctx context.Context, rng *rand.Rand, client, phase int, now time.Duration) {
	for range perPhase {
		if client == 0 && phase == r.phaseOfEnd {
			r.call(client, input{end: true, now: now}, func() (output, error) {
				return output{}, r.store.End(ctx, r.id)
			})
			continue
		}
		in := input{presented: r.newest.Load(), now: now}
		if rng.IntN(100) < 2 {
			in.presented -= min(in.presented-1, 1+rng.Uint64N(2))
		}
		lost := rng.IntN(5) == 0
		r.call(client, in, func() (output, error) {
			s, outcome, err := r.store.Refresh(ctx, r.id, in.presented, session.Use{}, modelLimits)
			out := output{lost: lost, outcome: outcome, generation: s.Chain.Generation}
			if errors.Is(err, session.ErrEnded) {
				return output{lost: lost}, nil
			}
			if !lost && err == nil {
				r.newest.Store(s.Chain.Generation)
			}
			return out, err
		})
	}
}

func (r *recorder) call(client int, in input, do func() (output, error)) {
	op := porcupine.Operation{ClientId: client, Input: in, Call: r.ticks.Add(1)}
	out, err := do()
	op.Return, op.Output = r.ticks.Add(1), out
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, op)
	if err != nil {
		r.err = fmt.Errorf("%+v: %w", in, err)
	}
}
