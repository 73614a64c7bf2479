package revocation

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// upstream is a store as the mirrors of a cluster see it: a log of changes in an epoch. Its clock counts changes, so
// that a proof as of t vouches for the first t of them.
type upstream struct {
	epoch   int
	changes []Entry // of all epochs
	began   int     // index of the first change of this epoch
}

func (u *upstream) position(i int) Position {
	return Position{Epoch: fmt.Sprint("epoch", u.epoch), Seq: uint64(i - u.began)}
}

// moment is when change i was acknowledged. Two minutes apart, so that no two fall together.
func moment(i int) time.Time { return time.Unix(1000+120*int64(i), 0) }

// replica is a mirror that has read upstream so far.
type replica struct {
	*Mirror
	read  int
	epoch int
}

// catchUp has the mirror read n more changes, or everything anew when upstream has a new epoch.
func (r *replica) catchUp(t *rapid.T, u *upstream, n int) {
	to := min(r.read+n, len(u.changes))
	if r.epoch != u.epoch { // a snapshot, in two parts
		to = max(to, u.began)
		r.take(t, Batch{Entries: u.changes[:to/2]})
		r.take(t, Batch{Entries: u.changes[to/2 : to]})
		r.read, r.epoch = to, u.epoch
	}
	r.take(t, Batch{Entries: u.changes[r.read:to], Position: u.position(to), AsOf: moment(to)})
	r.read = to
}

func (r *replica) take(t *rapid.T, b Batch) {
	if err := r.apply(b); err != nil {
		t.Fatal(err)
	}
}

// downstream is a follower of one of the mirrors, as a plain map.
type downstream struct {
	follower
	set      map[ID]Entry
	position Position
	vouched  time.Time
}

// join has the follower follow m from where it is.
func (d *downstream) join(m *Mirror) {
	d.follower = follower{mirror: m, position: d.position, apply: func(b Batch) error {
		for _, e := range b.Entries {
			d.set[e.ID] = d.set[e.ID].Merge(e)
		}
		if b.Position != (Position{}) {
			d.position = b.Position
		}
		if !b.AsOf.IsZero() {
			d.vouched = b.AsOf
		}
		return nil
	}}
}

// Invariant R2 for followers of mirrors that lag, forget their history, know some entries early and see a new epoch
// begin: whoever holds a proof holds every entry acknowledged before it, also when it has gone from one mirror to
// another and on from its position.
func TestFollowersAreComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := func() time.Time { return time.Unix(1<<31, 0) }
		u := &upstream{epoch: 1}
		var replicas []*replica
		for range 2 {
			history := rapid.SampledFrom([]int{-1, 3, 20, 1000}).Draw(t, "history")
			replicas = append(replicas, &replica{Mirror: NewMirror(MirrorConfig{History: history, Now: clock})})
		}
		followers := []*downstream{{set: map[ID]Entry{}}, {set: map[ID]Entry{}}}
		for _, d := range followers {
			d.join(replicas[0].Mirror)
		}
		mirrors, downstreams := rapid.SampledFrom(replicas), rapid.SampledFrom(followers)
		t.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "n") {
					u.changes = append(u.changes, Entry{
						Kind: Session, ID: ID{1, byte(rapid.IntRange(0, 255).Draw(t, "id"))},
						Expires: 1<<31 + int64(len(u.changes)) + 1,
					})
				}
			},
			"loss": func(*rapid.T) {
				u.epoch++
				u.began = len(u.changes) // what was lost has been written back, and is in every snapshot
			},
			"mirror reads": func(t *rapid.T) {
				mirrors.Draw(t, "mirror").catchUp(t, u, rapid.IntRange(0, 8).Draw(t, "changes"))
			},
			"known early": func(t *rapid.T) {
				if len(u.changes) > 0 {
					mirrors.Draw(t, "mirror").Merge(rapid.SampledFrom(u.changes).Draw(t, "entry"))
				}
			},
			"follower reads": func(t *rapid.T) {
				if err := downstreams.Draw(t, "follower").catchUp(context.Background()); err != nil {
					t.Fatal(err)
				}
			},
			"follower moves": func(t *rapid.T) {
				downstreams.Draw(t, "follower").join(mirrors.Draw(t, "to").Mirror)
			},
			"": func(t *rapid.T) {
				for _, d := range followers {
					for i, e := range u.changes {
						if moment(i).Before(d.vouched) && d.set[e.ID].Expires < e.Expires {
							t.Fatalf("a proof as of %v, but change %d is missing", d.vouched, i)
						}
					}
				}
			},
		})
	})
}

// A follower that takes nothing ends its own Follow; the mirror does not wait for it.
func TestFollowEnds(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	if err := m.apply(Batch{Position: Position{"e", 1}, AsOf: time.Now()}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := m.Follow(t.Context(), Position{}, func(Batch) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want apply's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := m.Follow(ctx, Position{}, func(Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// A mirror that knows nothing yet keeps its followers waiting, but not in silence.
func TestFollowEmptyMirror(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	m.Merge(Entry{Kind: Session, ID: ID{1}, Expires: maxUnix})
	ctx, cancel := context.WithCancel(t.Context())
	heard := 0
	_ = m.Follow(ctx, Position{}, func(b Batch) error {
		if len(b.Entries) > 0 || !b.AsOf.IsZero() || b.Position != (Position{}) {
			t.Errorf("an empty mirror sent %+v", b)
		}
		if heard++; heard == 2 {
			cancel()
		}
		return nil
	})
	if heard < 2 {
		t.Error("an empty mirror was silent")
	}
}

// changesOf returns n sessions, the first with the ID {1, from}.
func changesOf(from, n int) (entries []Entry) {
	for i := range n {
		entries = append(entries, Entry{Kind: Session, ID: ID{1, byte((from + i) >> 8), byte(from + i)}, Expires: maxUnix})
	}
	return entries
}

// An entry that one mirror knew early is no news to it when the feed brings it, but it is to a follower that comes from
// another mirror with a position in between.
func TestKnownEarlyIsPassedOn(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	early, between := changesOf(0, 1), changesOf(1, 1)
	m.Merge(early...)
	for i, entries := range [][]Entry{between, early} {
		if err := m.apply(Batch{Entries: entries, Position: Position{"e", uint64(i + 1)}, AsOf: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	d := &downstream{set: map[ID]Entry{}, position: Position{"e", 1}}
	d.join(m)
	if err := d.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.set[early[0].ID]; !ok || d.position.Seq != 2 {
		t.Errorf("at %v, the follower holds %v", d.position, d.set)
	}
}

// A proof vouches for all pages of what changed, so it comes with the last.
func TestProofComesWithTheLastPage(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	if err := m.apply(Batch{Position: Position{"e", 1}, AsOf: time.Unix(1000, 0)}); err != nil {
		t.Fatal(err)
	}
	d := &downstream{set: map[ID]Entry{}}
	d.join(m)
	if err := d.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 2*page + 1
	proof := time.Unix(2000, 0)
	if err := m.apply(Batch{Entries: changesOf(0, n), Position: Position{"e", 1 + n}, AsOf: proof}); err != nil {
		t.Fatal(err)
	}
	merge := d.apply
	pages := 0
	d.apply = func(b Batch) error {
		pages++
		err := merge(b)
		if (d.vouched == proof || d.position.Seq > 1) && len(d.set) < n {
			t.Errorf("page %d vouches for everything, but %d of %d entries have come", pages, len(d.set), n)
		}
		return err
	}
	if err := d.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pages != 3 || d.vouched != proof {
		t.Errorf("%d pages, vouched as of %v", pages, d.vouched)
	}
}

// An entry that a mirror was told early, and that its feed then brings in the snapshot of a new epoch, reaches also the
// follower that had come with a position beyond it.
func TestFollowerLearnsWhatCameEarly(t *testing.T) {
	clock := func() time.Time { return time.Unix(1<<31, 0) }
	m := NewMirror(MirrorConfig{Now: clock})
	lost := Entry{Kind: Session, ID: ID{1}, Expires: 1<<31 + 600}
	m.Merge(lost)
	d := &downstream{set: map[ID]Entry{}, position: Position{"epoch1", 0}}
	d.join(m)
	for _, b := range []Batch{
		{Position: Position{"epoch1", 0}, AsOf: clock().Add(-time.Second)},
		{Entries: []Entry{lost}}, // of the snapshot
		{Position: Position{"epoch2", 0}, AsOf: clock()},
	} {
		if err := m.apply(b); err != nil {
			t.Fatal(err)
		}
		if err := d.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !d.vouched.Equal(clock()) || d.set[lost.ID].Expires != lost.Expires {
		t.Errorf("proof as of %v, holding %v", d.vouched, d.set)
	}
	if err := m.apply(Batch{Entries: []Entry{lost}, Position: Position{"epoch2", 1}, AsOf: clock()}); err != nil || len(m.early) != 0 {
		t.Errorf("still told early: %v (%v)", m.early, err)
	}
}
