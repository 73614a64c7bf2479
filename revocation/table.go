package revocation

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

const (
	minSlots = 8
	// A table is rebuilt when 13/16 of its slots are taken, into one of which at most 3/4 are: twice the size if the
	// entries still live, the same size or less if enough of them have expired. So slots of 24 bytes cost at most 64
	// bytes an entry, and at least a sixteenth of the slots is filled between two rebuilds.
	fullNum, fullDen = 13, 16
	liveNum, liveDen = 3, 4
)

// table is an open-addressed hash table from ID to times, with linear probing. One writer at a time; readers need no
// lock and wait for nobody: a slot's key is written before its times, never changes, and a slot is never freed. What
// has expired goes when the table is rebuilt.
type table struct {
	slots []slot // a power of two
	used  atomic.Int64
}

// slot is 24 bytes. It is empty while times is zero.
type slot struct {
	times  atomic.Uint64
	hi, lo atomic.Uint64
}

// times packs an entry's NotBefore (high) and Expires (low), each in 32 bits, so that readers see them change together.
type times uint64

func timesOf(e Entry) times        { return times(uint64(e.NotBefore)<<32 | uint64(e.Expires)) }
func (t times) notBefore() int64   { return int64(t >> 32) }
func (t times) expires() int64     { return int64(t & maxUnix) }
func (t times) join(o times) times { return max(t&^maxUnix, o&^maxUnix) | max(t&maxUnix, o&maxUnix) }

// lives tells whether there is an entry and it expires after floor.
func (t times) lives(floor int64) bool { return t != 0 && t.expires() > floor }

// cuts tells whether there is a cut-off and a token issued at iat lies before it.
func (t times) cuts(iat int64) bool { return t != 0 && iat < t.notBefore() }

// words returns the two halves of id.
func words(id ID) (hi, lo uint64) {
	return binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
}

// hash spreads IDs over slots. Most are random already; the seed keeps those that somebody can choose (a user name is
// a digest, and digests can be searched for) from being made to collide.
func hash(seed [2]uint64, hi, lo uint64) uint64 {
	h, l := bits.Mul64(hi^seed[0], lo^seed[1])
	return h ^ l
}

// newTable returns an empty table that takes n entries before it is full.
func newTable(n int) *table {
	size := minSlots
	for n > size/liveDen*liveNum {
		size *= 2
	}
	return &table{slots: make([]slot, size)}
}

func (t *table) full() bool {
	return int(t.used.Load()) >= len(t.slots)*fullNum/fullDen
}

// find returns the times of the entry with this key, zero when there is none.
func (t *table) find(h, hi, lo uint64) times {
	slots := t.slots
	mask := uint64(len(slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		v := s.times.Load()
		if v == 0 || s.hi.Load() == hi && s.lo.Load() == lo {
			return times(v)
		}
	}
}

// merge joins v into the entry with this key and returns the outcome. The table must not be full.
func (t *table) merge(h, hi, lo uint64, v times) (joined times, changed bool) {
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		old := times(s.times.Load())
		switch {
		case old == 0:
			s.hi.Store(hi)
			s.lo.Store(lo)
			s.times.Store(uint64(v)) // last: it publishes the slot
			t.used.Add(1)
			return v, true
		case s.hi.Load() == hi && s.lo.Load() == lo:
			joined = old.join(v)
			if joined == old {
				return old, false
			}
			s.times.Store(uint64(joined))
			return joined, true
		}
	}
}

// live counts the entries that expire after floor.
func (t *table) live(floor int64) int {
	n := 0
	for i := range t.slots {
		if times(t.slots[i].times.Load()).lives(floor) {
			n++
		}
	}
	return n
}

// rebuilt returns a table with the entries that expire after floor and room for one more.
func (t *table) rebuilt(seed [2]uint64, floor int64) *table {
	next := newTable(t.live(floor) + 1)
	for i := range t.slots {
		s := &t.slots[i]
		if v := times(s.times.Load()); v.lives(floor) {
			hi, lo := s.hi.Load(), s.lo.Load()
			next.merge(hash(seed, hi, lo), hi, lo, v)
		}
	}
	return next
}
