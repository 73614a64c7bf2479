// Package revocationtest is what every [revocation.Store], and every way its changes travel, must do.
package revocationtest

import (
	"context"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

// patience is how long a test waits for what must come, on a machine that is busy with other things.
const patience = 30 * time.Second

// Backend is a store under test, empty and in a place of its own.
type Backend struct {
	Store revocation.Store
	// Feed is what the tests follow: the far end of a chain that begins at Store. Default: Store itself.
	Feed revocation.Feed
	// Reopen closes the store and opens it again over the same data.
	Reopen func(t *testing.T) Backend
	// Lose is Reopen where the data was lost in between.
	Lose func(t *testing.T) Backend
}

func (b Backend) feed() revocation.Feed {
	if b.Feed != nil {
		return b.Feed
	}
	return b.Store
}

// Run runs every test against a backend of its own, which setup makes.
func Run(t *testing.T, setup func(t *testing.T) Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Backend)
	}{
		{"SnapshotThenChanges", snapshotThenChanges},
		{"OnlyGrows", onlyGrows},
		{"RepeatChangesNothing", repeatChangesNothing},
		{"SequenceIsDense", sequenceIsDense},
		{"ManyInOneAdd", manyInOneAdd},
		{"RefusesInvalid", refusesInvalid},
		{"AddHonoursContext", addHonoursContext},
		{"ExpiredIsNotDelivered", expiredIsNotDelivered},
		{"ProofsWhileNothingHappens", proofsWhileNothingHappens},
		{"ProofsVouch", proofsVouch},
		{"ResumeFromPosition", resumeFromPosition},
		{"ForeignPositionGetsEverything", foreignPositionGetsEverything},
		{"ApplyErrorEndsFollow", applyErrorEndsFollow},
		{"FollowEndsWithContext", followEndsWithContext},
		{"ReopenKeeps", reopenKeeps},
		{"LossIsANewEpoch", lossIsANewEpoch},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // they mostly wait for the next proof
			test.run(t, setup(t))
		})
	}
}

// add adds entries, which must succeed.
func add(t *testing.T, s revocation.Store, entries ...revocation.Entry) {
	t.Helper()
	if err := s.Add(t.Context(), entries...); err != nil {
		t.Fatalf("Add: %v", err)
	}
}

// inAnHour is the expiry of most entries here, in Unix seconds.
func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

// session returns an entry for the session of this name.
func session(name string) revocation.Entry {
	return revocation.Entry{
		Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, name), Expires: inAnHour(),
	}
}

// oneOfEach returns an entry of each kind.
func oneOfEach(name string) (entries []revocation.Entry) {
	for k := revocation.Token; k <= revocation.Everything; k++ {
		e := revocation.Entry{Kind: k, Expires: inAnHour()}
		if k != revocation.Everything {
			e.ID = revocation.IDOf(k, name)
		}
		if k == revocation.Subject || k == revocation.Client || k == revocation.Everything {
			e.NotBefore = revocation.Cutoff(time.Now())
		}
		entries = append(entries, e)
	}
	return entries
}

type key struct {
	kind revocation.Kind
	id   revocation.ID
}

// follower is the plainest replica: a map. What is asked of it, it does between two batches.
type follower struct {
	t        *testing.T
	set      map[key]revocation.Entry
	position revocation.Position
	asOf     time.Time
	received int // entries, repeats included
	proofs   []time.Time
	arrived  map[key]int // number of proofs there were when the entry first came

	batches chan revocation.Batch
	taken   chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}
}

// follow starts a follower, which ends with the test.
func follow(t *testing.T, feed revocation.Feed, from revocation.Position) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{
		t: t, set: map[key]revocation.Entry{}, arrived: map[key]int{}, position: from,
		batches: make(chan revocation.Batch), taken: make(chan struct{}), cancel: cancel, done: make(chan struct{}),
	}
	go func() {
		defer close(f.done)
		_ = feed.Follow(ctx, from, func(b revocation.Batch) error {
			select {
			case f.batches <- b:
				<-f.taken // the entries are valid only during the call
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(f.stop)
	return f
}

// stop ends the follower and waits for it.
func (f *follower) stop() {
	f.cancel()
	<-f.done
}

// next merges the next batch.
func (f *follower) next() revocation.Batch {
	f.t.Helper()
	select {
	case b := <-f.batches:
		for _, e := range b.Entries {
			f.received++
			k := key{e.Kind, e.ID}
			if old, ok := f.set[k]; ok {
				e = old.Merge(e)
			} else {
				f.arrived[k] = len(f.proofs)
			}
			f.set[k] = e
		}
		if b.Position != (revocation.Position{}) {
			f.position = b.Position
		}
		if !b.AsOf.IsZero() {
			f.asOf = b.AsOf
			f.proofs = append(f.proofs, b.AsOf)
		}
		f.taken <- struct{}{}
		return b
	case <-f.done:
		f.t.Fatal("the feed ended")
	case <-time.After(patience):
		f.t.Fatalf("no batch within %v", patience)
	}
	panic("unreachable")
}

// until merges batches until there is enough.
func (f *follower) until(what string, enough func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !enough(); f.next() {
		if time.Now().After(deadline) {
			f.t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// catchUp merges batches until one proves completeness as of now.
func (f *follower) catchUp() {
	f.t.Helper()
	start := time.Now()
	f.until("proof as of the start", func() bool { return f.asOf.After(start) })
}

// await merges batches until the follower holds these entries.
func (f *follower) await(entries ...revocation.Entry) {
	f.t.Helper()
	f.until("delivery of what was added", func() bool { return f.holds(entries...) })
}

func (f *follower) holds(entries ...revocation.Entry) bool {
	for _, e := range entries {
		if got := f.set[key{e.Kind, e.ID}]; got.Merge(e) != got {
			return false
		}
	}
	return true
}

// wants checks that the follower holds these entries, at least as strict.
func (f *follower) wants(entries ...revocation.Entry) {
	f.t.Helper()
	for _, e := range entries {
		if !f.holds(e) {
			f.t.Errorf("%v: follower holds %+v, want at least %+v", e.Kind, f.set[key{e.Kind, e.ID}], e)
		}
	}
}
