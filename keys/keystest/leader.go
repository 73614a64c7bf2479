package keystest

import (
	"errors"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
)

// leader does by hand what [keys.Rotator] does, with a clock that the test moves.
type leader struct {
	t      testing.TB
	store  keys.Store
	policy keys.Policy
	term   keys.Term
	now    time.Time
}

// lead claims the ring of a store.
func lead(t testing.TB, store keys.Store) *leader {
	t.Helper()
	l := &leader{
		t: t, store: store, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		policy: keys.Policy{Algorithm: "EdDSA", RotateEvery: 2 * time.Hour, SessionIdle: 6 * time.Hour}.WithDefaults(),
	}
	l.claim()
	return l
}

func (l *leader) claim() {
	l.t.Helper()
	term, err := l.store.Claim(l.t.Context(), "the leader")
	if err != nil {
		l.t.Fatal(err)
	}
	l.term = term
}

func (l *leader) pass(d time.Duration) { l.now = l.now.Add(d) }

// step performs one transition, if one is due.
func (l *leader) step() (done bool, err error) {
	ring, version, err := l.store.Load(l.t.Context())
	if err != nil {
		return false, err
	}
	step := l.policy.Next(l.now, ring)
	if step.Action == keys.Wait {
		return true, nil
	}
	next, err := l.policy.Apply(l.now, ring, step)
	if err != nil {
		return false, err
	}
	_, err = l.store.Update(l.t.Context(), l.term, version, next)
	return false, err
}

// work performs every transition that is due, and checks the ring after each.
func (l *leader) work() {
	l.t.Helper()
	for range 20 { // far more than can be due at once
		done, err := l.step()
		if err != nil {
			l.t.Fatal(err)
		}
		l.checkRing()
		if done {
			return
		}
	}
	l.t.Fatal("the work does not end: writes have no effect")
}

// checkRing holds at any time after the first write.
func (l *leader) checkRing() {
	l.t.Helper()
	ring, _ := load(l.t, l.store)
	count := make(map[keys.State]int)
	for _, k := range ring.Keys {
		count[k.State]++
	}
	if count[keys.Active] != 1 || count[keys.Prepared] > 1 {
		l.t.Errorf("want one active key and at most one standby: %v", ring)
	}
}

// checkSettled holds once a leader has done all its work.
func (l *leader) checkSettled() {
	l.t.Helper()
	ring, _ := load(l.t, l.store)
	if step := l.policy.Next(l.now, ring); step.Action != keys.Wait {
		l.t.Errorf("still to do: %v in %v", step, ring)
	}
	for _, k := range ring.Keys {
		if k.Since.IsZero() {
			l.t.Errorf("%v was never confirmed", k)
		}
	}
}

// testFaults fails each write of several rotations, on either side. The leader looks again and goes on; an answer that
// was lost makes it do nothing twice.
func testFaults(t *testing.T, open Open) {
	const rotations = 5
	for name, fault := range map[string]Fault{"never ran": BeforeWrite, "ran, answer lost": AfterWrite} {
		t.Run(name, func(t *testing.T) {
			store, _ := open(t)
			l := lead(t, store)
			for range rotations {
				for n := 0; l.failingStep(fault); n++ {
					l.checkRing()
					if n == 20 { // far more than can be due at once
						t.Fatal("the work does not end")
					}
				}
				l.checkSettled()
				l.pass(l.policy.RotateEvery)
			}
			ring, _ := load(t, store)
			if last := ring.MACs[len(ring.MACs)-1].ID; last != rotations+1 {
				t.Errorf("%d rotations made MAC keys up to %d, want %d: something was done twice, or not at all",
					rotations, last, rotations+1)
			}
		})
	}
}

// failingStep performs one transition whose first write fails, and reports whether there was one to perform.
func (l *leader) failingStep(fault Fault) bool {
	l.t.Helper()
	faulty := WithFaults(l.store)
	faulty.FailNext(fault)
	crippled := *l
	crippled.store = faulty
	done, err := crippled.step()
	if done {
		return false
	}
	if !errors.Is(err, keys.ErrUnavailable) {
		l.t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if fault == BeforeWrite {
		if _, err := l.step(); err != nil {
			l.t.Fatal(err)
		}
	}
	return true
}

// testCrashes ends the process after each single write, through several rotations. The next leader completes the work.
func testCrashes(t *testing.T, open Open) {
	store, restart := open(t)
	l := lead(t, store)
	seen := make(map[string]bool)
	for range 40 {
		done, err := l.step()
		if err != nil {
			t.Fatal(err)
		}
		if done {
			l.checkSettled()
			l.pass(l.policy.RotateEvery / 2)
			continue
		}
		before, _ := load(t, l.store)
		l.store = restart()
		after, _ := load(t, l.store)
		sameRing(t, after, before)
		l.claim()
		l.checkRing()
		for _, k := range after.Keys {
			seen[k.ID] = true
		}
	}
	if len(seen) < 3 {
		t.Errorf("only %d keys in all that time: the ring did not rotate", len(seen))
	}
}
