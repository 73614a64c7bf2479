package revocation

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// However many entries there are and whatever has expired, a table takes at most 64 bytes an entry that lives, and is
// never so full that a lookup would not end.
func TestTableSize(t *testing.T) {
	for _, dying := range []int{0, 3, 10} { // of ten entries, how many expire before the next rebuild
		s, rng, live := NewSet(), rand.New(rand.NewPCG(1, 2)), 0
		floor := int64(1)
		for i := range 20_000 {
			e := Entry{Kind: Session, Expires: 1000}
			if i%10 < dying {
				e.Expires = floor + 1
			} else {
				live++
			}
			binary.LittleEndian.PutUint64(e.ID[:8], rng.Uint64())
			e.ID[8] = 1
			before := s.tables[Session].Load()
			s.Merge(e, floor)
			after := s.tables[Session].Load()
			if used, slots := int(after.used.Load()), len(after.slots); used > slots*fullNum/fullDen {
				t.Fatalf("%d of %d slots taken", used, slots)
			}
			if after == before || live < 50 {
				continue
			}
			size := len(after.slots)*int(unsafe.Sizeof(slot{})) + len(after.tags)*8
			if size > 64*int(after.used.Load()) {
				t.Fatalf("%d bytes for %d entries", size, after.used.Load())
			}
			floor++ // what was to die has died by the next rebuild
		}
	}
}

// IDs that somebody chose to be alike must not end up side by side.
func TestChosenIDsSpread(t *testing.T) {
	s := NewSet()
	const n = 1 << 12
	for i := range uint64(n) {
		e := Entry{Kind: Subject, NotBefore: 1, Expires: 10}
		binary.LittleEndian.PutUint64(e.ID[8:], (i+1)<<48) // the low bits are all the same
		s.Merge(e, 0)
	}
	tab := s.tables[Subject].Load()
	run, longest := 0, 0
	for i := range tab.tags {
		run++
		if zeros(tab.tags[i].Load()) != 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest > 32 {
		t.Errorf("%d groups in a row are full, of %d entries in %d slots", longest, n, len(tab.slots))
	}
}

// The slot that a new key takes is empty, and the first such from its home on.
func TestEmptyFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tags uint64
		// Often 0 and 1: one below a borrow is where a shorter formula errs.
		group := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 1, 2, 0x7f, 0x80, 0x81, 0xff}), 8, 8).Draw(t, "tags")
		for i, tag := range group {
			tags |= uint64(tag) << (8 * i)
		}
		start := rapid.Uint64Range(0, 7).Draw(t, "home")
		want, found := start, false
		for n := range uint64(8) {
			if want = (start + n) % 8; group[want] == 0 {
				found = true
				break
			}
		}
		slot, ok := emptyFrom(start, tags)
		if ok != found || found && slot != want {
			t.Fatalf("%x from %d: slot %d, %v; want %d, %v", group, start, slot, ok, want, found)
		}
	})
}
