package revocationtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

func snapshotThenChanges(t *testing.T, b Backend) {
	before, after := oneOfEach("before"), oneOfEach("after")
	add(t, b.Store, before...)
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	f.wants(before...)
	add(t, b.Store, after...)
	f.await(after...)
	if len(f.set) != len(before)+len(after)-1 { // both have an entry for everything, which is one
		t.Errorf("follower holds %d entries", len(f.set))
	}
}

func onlyGrows(t *testing.T, b Backend) {
	id := revocation.IDOf(revocation.Subject, "alice")
	soon, late := inAnHour(), inAnHour()+3600
	f := follow(t, b.feed(), revocation.Position{})
	for _, e := range []revocation.Entry{
		{Kind: revocation.Subject, ID: id, NotBefore: 2000, Expires: soon},
		{Kind: revocation.Subject, ID: id, NotBefore: 1000, Expires: late}, // lower and later
		{Kind: revocation.Subject, ID: id, NotBefore: 1500, Expires: soon}, // weaker in both
	} {
		add(t, b.Store, e)
		f.await(e)
	}
	want := revocation.Entry{Kind: revocation.Subject, ID: id, NotBefore: 2000, Expires: late}
	fresh := follow(t, b.feed(), revocation.Position{})
	fresh.catchUp()
	for _, f := range []*follower{f, fresh} {
		if got := f.set[key{revocation.Subject, id}]; got != want {
			t.Errorf("got %+v, want the join %+v", got, want)
		}
	}
}

func repeatChangesNothing(t *testing.T, b Backend) {
	entries := oneOfEach("again")
	add(t, b.Store, entries...)
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	was := f.position
	add(t, b.Store, entries...)
	add(t, b.Store, entries[0], entries[0])
	f.catchUp()
	if f.position != was {
		t.Errorf("a repeat moved the position from %v to %v", was, f.position)
	}
}

func sequenceIsDense(t *testing.T, b Backend) {
	add(t, b.Store, session("first"))
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	was := f.position
	for i := range 10 {
		e := session(fmt.Sprint(i))
		add(t, b.Store, e)
		f.await(e)
		if want := was.Seq + uint64(i) + 1; f.position.Epoch != was.Epoch || f.position.Seq != want {
			t.Fatalf("after %d changes: at %v, want %d", i+1, f.position, want)
		}
	}
}

func manyInOneAdd(t *testing.T, b Backend) {
	var entries []revocation.Entry
	for i := range 5000 { // more than a page of any implementation
		entries = append(entries, session(fmt.Sprint(i)))
	}
	f := follow(t, b.feed(), revocation.Position{})
	add(t, b.Store, entries...)
	f.await(entries...)
	fresh := follow(t, b.feed(), revocation.Position{})
	fresh.catchUp()
	fresh.wants(entries...)
}

func refusesInvalid(t *testing.T, b Backend) {
	good := session("good")
	for name, bad := range map[string]revocation.Entry{
		"zero":            {},
		"kind":            {Kind: 99, ID: good.ID, Expires: good.Expires},
		"no expiry":       {Kind: revocation.Session, ID: good.ID},
		"no id":           {Kind: revocation.Session, Expires: good.Expires},
		"needless cutoff": {Kind: revocation.Session, ID: good.ID, NotBefore: 1, Expires: good.Expires},
		"no cutoff":       {Kind: revocation.Subject, ID: good.ID, Expires: good.Expires},
	} {
		err := b.Store.Add(t.Context(), good, bad)
		if err == nil || errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("%s: got %v, want a refusal that no repeat can heal", name, err)
		}
	}
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	if len(f.set) != 0 {
		t.Errorf("an Add that was refused added %d entries", len(f.set))
	}
}

func addHonoursContext(t *testing.T, b Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Store.Add(ctx, session("late")); err == nil {
		t.Error("Add succeeded with a context that had ended")
	}
	add(t, b.Store, session("late")) // the outcome was unknown, the repeat succeeds
}

func expiredIsNotDelivered(t *testing.T, b Backend) {
	dead, alive := session("dead"), session("alive")
	dead.Expires = time.Now().Add(-time.Hour).Unix()
	add(t, b.Store, dead, alive)
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	f.wants(alive)
	if _, ok := f.set[key{dead.Kind, dead.ID}]; ok {
		t.Error("an expired entry was delivered to a new follower")
	}
}

func proofsWhileNothingHappens(t *testing.T, b Backend) {
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	f.catchUp()
	f.catchUp()
}

// proofsVouch is invariant R2: whoever holds a proof as of a moment holds all that was acknowledged before it, at each
// proof and not only at the end.
func proofsVouch(t *testing.T, b Backend) {
	const writers, each = 8, 25
	var (
		mu    sync.Mutex
		acked = map[key]time.Time{} // read after Add returned, so a little late: the test errs on the lenient side
		last  time.Time
		wg    sync.WaitGroup
	)
	f := follow(t, b.feed(), revocation.Position{})
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e := session(fmt.Sprint(w, "/", i))
				if err := b.Store.Add(t.Context(), e); err != nil {
					t.Errorf("Add: %v", err)
					return
				}
				at := time.Now()
				mu.Lock()
				acked[key{e.Kind, e.ID}], last = at, at
				mu.Unlock()
			}
		})
	}
	f.until("proof after the last Add", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return t.Failed() || len(acked) == writers*each && f.asOf.After(last)
	})
	wg.Wait()
	for k, at := range acked {
		arrived, ok := f.arrived[k]
		if !ok {
			t.Errorf("an entry acknowledged before the last proof never came")
			continue
		}
		for i, proof := range f.proofs[:arrived] {
			if at.Before(proof) {
				t.Errorf("proof %d vouches for an entry acknowledged %v before, which came after proof %d", i, proof.Sub(at), arrived)
				break
			}
		}
	}
}

func resumeFromPosition(t *testing.T, b Backend) {
	var before []revocation.Entry
	for i := range 100 {
		before = append(before, session(fmt.Sprint("before", i)))
	}
	add(t, b.Store, before...)
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	f.stop()

	missed := oneOfEach("missed")
	add(t, b.Store, missed...)
	again := follow(t, b.feed(), f.position)
	again.catchUp()
	again.wants(missed...)
	if again.received >= len(before) {
		t.Errorf("resuming after %d missed changes delivered %d entries", len(missed), again.received)
	}
}

func foreignPositionGetsEverything(t *testing.T, b Backend) {
	entries := oneOfEach("all")
	add(t, b.Store, entries...)
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	for _, from := range []revocation.Position{
		{Epoch: "another", Seq: 1},
		{Epoch: f.position.Epoch, Seq: f.position.Seq + 1000}, // from a state that this store has lost
	} {
		f := follow(t, b.feed(), from)
		f.catchUp()
		f.wants(entries...)
	}
}

func applyErrorEndsFollow(t *testing.T, b Backend) {
	refused := errors.New("refused")
	err := b.feed().Follow(t.Context(), revocation.Position{}, func(revocation.Batch) error { return refused })
	if !errors.Is(err, refused) {
		t.Errorf("Follow returned %v, want apply's error", err)
	}
}

func followEndsWithContext(t *testing.T, b Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	err := b.feed().Follow(ctx, revocation.Position{}, func(revocation.Batch) error {
		cancel()
		return nil
	})
	if err == nil {
		t.Error("Follow returned nil")
	}
}

func reopenKeeps(t *testing.T, b Backend) {
	before, after := oneOfEach("before"), session("after")
	add(t, b.Store, before...)
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	f.stop()

	b = b.Reopen(t)
	fresh := follow(t, b.feed(), revocation.Position{})
	fresh.catchUp()
	fresh.wants(before...)
	if fresh.position != f.position {
		t.Errorf("reopened at %v, was at %v", fresh.position, f.position)
	}
	add(t, b.Store, after)
	again := follow(t, b.feed(), f.position)
	again.await(after)
}

func lossIsANewEpoch(t *testing.T, b Backend) {
	add(t, b.Store, session("lost"))
	f := follow(t, b.feed(), revocation.Position{})
	f.catchUp()
	was := f.position
	f.stop()

	b = b.Lose(t)
	kept := session("kept")
	add(t, b.Store, kept)
	again := follow(t, b.feed(), was)
	again.await(kept)
	again.until("new epoch", func() bool { return again.position.Epoch != was.Epoch })
}
