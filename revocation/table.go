package revocation

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"unsafe"
)

const (
	// A table is rebuilt when 7/8 of its slots are taken, into one of which at most 13/16 are: twice the size if the
	// entries still live, the same size or less if enough of them have expired. So a slot and its tag, 25 bytes, cost
	// at most 62 bytes an entry, and at least a sixteenth of the slots is filled between two rebuilds.
	fullNum, fullDen = 7, 8
	liveNum, liveDen = 13, 16
	// group is how many slots share a word of tags. The smallest table is one group.
	group = 8
	// farTags is from how many words of tags on, 256 KiB of them, a table is not in the caches nearest to a core.
	farTags = 1 << 15
)

// table is an open-addressed hash table from ID to times. Each slot has a tag, a byte of its key's hash, apart from it:
// a lookup compares the tags of a group at once, and goes on to the next group while there is no empty slot in it. The
// tags of a million entries fit a processor's cache where the slots do not, so that a miss rarely goes to memory. In a group
// each key has a home, the slot that it takes unless another was faster, so that tags and slot can be asked for at once.
//
// One writer at a time; readers need no lock and wait for nobody: a slot's key and times are written before its tag,
// the key never changes, and a slot is never freed. What has expired goes when the table is rebuilt.
type table struct {
	tags  []atomic.Uint64 // of group slots each, the first in the lowest byte; zero is the tag of an empty slot
	slots []slot          // a power of two
	used  atomic.Int64
}

type slot struct {
	hi, lo atomic.Uint64
	times  atomic.Uint64
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

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// tagOf returns the tag for a hash in each byte. It uses other bits than the choice of the group.
func tagOf(h uint64) uint64 { return max(h>>56, 1) * lowBits }

// home returns which slot of its group a hash is at home in, by other bits again.
func home(h uint64) uint64 { return h >> 53 % group }

// zeros has the high bit of each zero byte of w set, and perhaps of bytes above one.
func zeros(w uint64) uint64 { return (w - lowBits) &^ w & highBits }

// first returns which byte of a group the lowest bit in the outcome of zeros means. That one is exact.
func first(zeros uint64) uint64 { return uint64(bits.TrailingZeros64(zeros)) / 8 }

// emptyFrom returns the first empty slot of a group, beginning at one and going around; ok is false when there is none.
func emptyFrom(start, tags uint64) (slot uint64, ok bool) {
	empty := ^((tags&^highBits + ^uint64(highBits)) | tags | ^uint64(highBits)) // as zeros, but exact in each byte
	return (start + first(bits.RotateLeft64(empty, -8*int(start)))) % group, empty != 0
}

// newTable returns an empty table for n entries.
func newTable(n int) *table {
	size := group
	for n > size*liveNum/liveDen {
		size *= 2
	}
	t := &table{tags: make([]atomic.Uint64, size/group), slots: make([]slot, size)}
	t.inHugePages(false)
	return t
}

func (t *table) inHugePages(filled bool) {
	inHugePages(t.tags, filled)
	inHugePages(t.slots, filled)
}

func (t *table) full() bool { return int(t.used.Load()) >= len(t.slots)*fullNum/fullDen }

// hint asks for what find will look at, which is on its way from memory while the caller looks at something else.
func (t *table) hint(seed *[2]uint64, id *ID) {
	if len(t.tags) < farTags {
		return
	}
	hi, lo := words(*id)
	h := hash(*seed, hi, lo)
	g := h & uint64(len(t.tags)-1)
	prefetch(unsafe.Pointer(&t.tags[g]))                //nolint:gosec // never read through
	prefetch(unsafe.Pointer(&t.slots[g*group+home(h)])) //nolint:gosec // likewise
}

// find returns the times of the entry with this ID, zero when there is none.
func (t *table) find(seed *[2]uint64, id *ID) times {
	hi, lo := words(*id)
	h := hash(*seed, hi, lo)
	tag, mask := tagOf(h), uint64(len(t.tags)-1)
	for g := h & mask; ; g = (g + 1) & mask {
		tags := t.tags[g].Load()
		for like := zeros(tags ^ tag); like != 0; like &= like - 1 {
			s := &t.slots[g*group+first(like)]
			if s.hi.Load() == hi && s.lo.Load() == lo {
				return times(s.times.Load())
			}
		}
		if zeros(tags) != 0 {
			return 0
		}
	}
}

// merge joins v into the entry with this key and returns the outcome. The table must not be full.
func (t *table) merge(h, hi, lo uint64, v times) (joined times, changed bool) {
	tag, mask := tagOf(h), uint64(len(t.tags)-1)
	for g := h & mask; ; g = (g + 1) & mask {
		tags := t.tags[g].Load()
		for like := zeros(tags ^ tag); like != 0; like &= like - 1 {
			s := &t.slots[g*group+first(like)]
			if s.hi.Load() != hi || s.lo.Load() != lo {
				continue
			}
			old := times(s.times.Load())
			joined = old.join(v)
			s.times.Store(uint64(joined))
			return joined, joined != old
		}
		if i, ok := emptyFrom(home(h), tags); ok {
			s := &t.slots[g*group+i]
			s.hi.Store(hi)
			s.lo.Store(lo)
			s.times.Store(uint64(v))
			t.tags[g].Store(tags | tag&0xff<<(8*i)) // last: it publishes the slot
			t.used.Add(1)
			return v, true
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
	next.inHugePages(true)
	return next
}
