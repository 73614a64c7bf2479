package sessiontest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/session"
)

// Witness knows what stores have acknowledged about its sessions, and asserts after every step of a test that they keep
// to it, whatever the step did to them:
//
//	S1  one generation of a session is live
//	S2  every answer is the one that the rule of refresh gives
//	S3  clients that refresh at once get one successor, and no honest client is logged out
//	R5  no session goes on whose end was acknowledged
//
// What a store cannot tell proves nothing, but to be unavailable is the only excuse. Methods are called from one goroutine.
type Witness struct {
	t        testing.TB
	stores   []session.Store
	sessions []*witnessed
	forgets  bool
	turn     int
}

// witnessed is what the witness knows of a session.
type witnessed struct {
	id         session.ID
	subject    string
	generation uint64 // the newest that a client holds
	ended      bool   // acknowledged; or the store has forgotten it
	unsure     bool   // an end was not acknowledged: it may have ended, or not
}

// NewWitness returns a witness of stores that share their data, as those of several processes do.
func NewWitness(t testing.TB, stores ...session.Store) *Witness {
	return &Witness{t: t, stores: stores}
}

// witnessLimits have a grace that no test outlasts. abrupt ones have none, so that a generation rotates at once.
var (
	witnessLimits = session.Limits{Idle: time.Hour, Absolute: 2 * time.Hour, Grace: 30 * time.Minute, MaxReplays: 1 << 20}
	abrupt        = session.Limits{Idle: time.Hour, Absolute: 2 * time.Hour, Grace: time.Microsecond, MaxReplays: 1 << 20}
)

// witnessPatience is how long a store may be unavailable once nothing is wrong with it any more.
const witnessPatience = 60 * time.Second

func (w *Witness) store() session.Store {
	w.turn++
	return w.stores[w.turn%len(w.stores)]
}

// Create makes sessions of a subject. Those that are not acknowledged, as a busy machine may confirm too late, belong to
// nobody.
func (w *Witness) Create(subject string, n int) (ids []session.ID) {
	w.t.Helper()
	for deadline := time.Now().Add(witnessPatience); len(ids) < n; {
		s, err := w.store().Create(w.t.Context(), session.Session{ID: newID(), Subject: subject})
		if errors.Is(err, session.ErrUnavailable) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			w.t.Fatalf("create: %v", err)
		}
		w.sessions = append(w.sessions, &witnessed{id: s.ID, subject: subject, generation: s.Chain.Generation})
		ids = append(ids, s.ID)
	}
	return ids
}

// End ends sessions. When it is acknowledged, which End returns, they must never go on.
func (w *Witness) End(ids ...session.ID) (acknowledged bool) {
	w.t.Helper()
	err := w.store().End(w.t.Context(), ids...)
	if err != nil {
		if !errors.Is(err, session.ErrUnavailable) {
			w.t.Errorf("end: %v, want ErrUnavailable at worst", err)
		}
	}
	for _, n := range w.sessions {
		if slices.Contains(ids, n.id) {
			n.ended, n.unsure = n.ended || err == nil, true
		}
	}
	return err == nil
}

// Lost says that a step has lost the end of sessions, which nobody has made good yet.
func (w *Witness) Lost(ids ...session.ID) {
	for _, n := range w.sessions {
		if slices.Contains(ids, n.id) {
			n.ended, n.unsure = false, true
		}
	}
}

// MayForget says that from now on the stores may not know of sessions that they knew, as they may have lost everything.
func (w *Witness) MayForget() { w.forgets = true }

// Check asserts everything, at all stores. It returns whether all of them could tell.
func (w *Witness) Check(step string) (told bool) {
	w.t.Helper()
	answers := make([]bool, len(w.sessions))
	var checks sync.WaitGroup
	for i, n := range w.sessions {
		checks.Go(func() {
			if n.ended {
				answers[i] = w.checkEnded(step, n)
			} else {
				answers[i] = w.checkLive(step, n)
			}
		})
	}
	checks.Wait()
	return !slices.Contains(answers, false)
}

// Settle checks until all stores can tell. Then it has every session rotate, and checks again.
func (w *Witness) Settle(step string) {
	w.t.Helper()
	for deadline := time.Now().Add(witnessPatience); !w.Check(step); {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: the stores do not come back", step)
		}
	}
	for _, n := range w.sessions {
		if n.ended || n.unsure {
			continue
		}
		s, outcome, err := w.store().Refresh(w.t.Context(), n.id, n.generation, session.Use{}, abrupt)
		if err != nil || outcome != session.Rotated || s.Chain.Generation != n.generation+1 {
			w.t.Errorf("%s: refresh with %d, the current generation: %v, now %d, %v; want it rotated",
				step, n.generation, outcome, s.Chain.Generation, err)
			continue
		}
		n.generation++
		w.burst(step, n, n.generation-1) // the other tabs
	}
	w.Check(step)
}

// Steal presents an old generation of a session that has rotated twice: it ends.
func (w *Witness) Steal(step string, id session.ID) {
	w.t.Helper()
	for _, n := range w.sessions {
		if n.id != id {
			continue
		}
		_, outcome, err := w.store().Refresh(w.t.Context(), id, n.generation-2, session.Use{}, witnessLimits)
		if err != nil || outcome != session.Reused {
			w.t.Errorf("%s: refresh with %d of %d: %v, %v; want it reused", step, n.generation-2, n.generation, outcome, err)
		}
		n.ended = true
	}
	w.Check(step)
}

// checkEnded asserts R5 of one session.
func (w *Witness) checkEnded(step string, n *witnessed) (told bool) {
	w.t.Helper()
	told = true
	for _, store := range w.stores {
		told = w.wantGone(step, n, store) && told
	}
	return told
}

func (w *Witness) wantGone(step string, n *witnessed, store session.Store) (told bool) {
	w.t.Helper()
	calls := []func() error{func() error {
		_, err := store.Get(w.t.Context(), n.id, witnessLimits)
		return err
	}}
	for _, presented := range []uint64{1, n.generation, n.generation + 1} {
		calls = append(calls, func() error {
			_, _, err := store.Refresh(w.t.Context(), n.id, presented, session.Use{}, witnessLimits)
			return err
		})
	}
	for _, call := range calls {
		switch err := call(); {
		case errors.Is(err, session.ErrUnavailable):
			return false
		case !errors.Is(err, session.ErrNotFound):
			w.t.Errorf("%s: a session that has ended goes on: %v", step, err)
		}
	}
	listed, told := w.listed(step, n, store)
	if listed {
		w.t.Errorf("%s: a session that has ended is listed", step)
	}
	return told
}

// listed tells whether a store lists a session.
func (w *Witness) listed(step string, n *witnessed, store session.Store) (listed, told bool) {
	w.t.Helper()
	list, err := store.List(w.t.Context(), n.subject, witnessLimits)
	if err != nil && !errors.Is(err, session.ErrUnavailable) {
		w.t.Errorf("%s: list: %v, want ErrUnavailable at worst", step, err)
	}
	return slices.ContainsFunc(list, func(s session.Session) bool { return s.ID == n.id }), err == nil
}

// checkLive asserts S1 to S3 of one session: whoever presents the newest generation gets it back.
func (w *Witness) checkLive(step string, n *witnessed) (told bool) {
	w.t.Helper()
	told = w.burst(step, n, n.generation)
	if told && !n.ended && n.generation > 1 {
		told = w.burst(step, n, n.generation-1) // the store knows it for the parent now that it has seen the newest
	}
	for _, store := range w.stores {
		if !told || n.ended || n.unsure {
			return told
		}
		var listed bool
		if listed, told = w.listed(step, n, store); told && !listed {
			w.t.Errorf("%s: a live session is not listed", step)
		}
	}
	return told
}

// burst has several clients refresh at once, at all stores.
func (w *Witness) burst(step string, n *witnessed, presented uint64) (told bool) {
	w.t.Helper()
	const perStore = 3
	var mu sync.Mutex
	var clients sync.WaitGroup
	told = true
	for i := range perStore * len(w.stores) {
		clients.Go(func() {
			s, outcome, err := w.stores[i%len(w.stores)].Refresh(w.t.Context(), n.id, presented, session.Use{}, witnessLimits)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, session.ErrUnavailable):
				told = false
			case errors.Is(err, session.ErrNotFound) && n.unsure:
			case errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrEnded) && w.forgets:
				n.ended = true
			case err != nil:
				w.t.Errorf("%s: an honest client is refused: %v", step, err)
			case s.Chain.Generation != n.generation || outcome != session.Replayed && outcome != session.Adopted:
				w.t.Errorf("%s: refresh with %d, of %d: %v, now %d; want the same successor for all",
					step, presented, n.generation, outcome, s.Chain.Generation)
			}
		})
	}
	clients.Wait()
	return told
}
