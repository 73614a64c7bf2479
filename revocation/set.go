package revocation

import (
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Set holds revocations in memory, exactly: no filter, no false positive. Methods may be called concurrently; those
// that read take no lock and never wait for a writer. It takes 29 to 62 bytes an entry (and the old table beside the
// new while one is being rebuilt), and an axis without entries costs a check nothing.
//
// An entry may be forgotten once it has expired, and hits until then or later: the tokens it names are dead. The
// methods that forget take the moment as floor, in Unix seconds: what expires at or before it goes.
type Set struct {
	seed       [2]uint64
	tables     [Everything]atomic.Pointer[table] // by kind; nil where there is nothing
	everything atomic.Uint64                     // times of the entry of kind Everything, zero when there is none
	latest     atomic.Int64                      // of all cut-offs that were ever merged
	mu         sync.Mutex                        // held by whoever writes
}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{seed: [2]uint64{rand.Uint64(), rand.Uint64()}} }

// Merge joins e into the set and returns the outcome, and whether that is news. An entry that [Entry.Validate]
// refuses, or that floor says is expired, changes nothing.
func (s *Set) Merge(e Entry, floor int64) (joined Entry, changed bool) {
	if e.Expires <= floor || e.Validate() != nil {
		return e, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var v times
	if e.Kind == Everything {
		old := times(s.everything.Load())
		v = old.join(timesOf(e))
		changed = v != old
		s.everything.Store(uint64(v))
	} else {
		hi, lo := words(e.ID)
		v, changed = s.writable(e.Kind, floor).merge(hash(s.seed, hi, lo), hi, lo, timesOf(e))
	}
	e.NotBefore, e.Expires = v.notBefore(), v.expires()
	s.latest.Store(max(s.latest.Load(), e.NotBefore))
	return e, changed
}

// writable returns the table of k with room for one more entry. Readers that still look at the table it replaces find
// there all that was in the set when they began.
func (s *Set) writable(k Kind, floor int64) *table {
	t := s.tables[k].Load()
	switch {
	case t == nil:
		t = newTable(1)
	case t.full():
		t = t.rebuilt(s.seed, floor)
	default:
		return t
	}
	s.tables[k].Store(t)
	return t
}

// Compact forgets what has expired where that frees at least half of a table's entries.
func (s *Set) Compact(floor int64) {
	for k := Token; k < Everything; k++ {
		// Counting needs no lock. Whether it is still worth while later does not matter.
		t := s.tables[k].Load()
		if t == nil || t.live(floor) > int(t.used.Load())/2 {
			continue
		}
		s.rebuild(k, floor)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !times(s.everything.Load()).lives(floor) {
		s.everything.Store(0)
	}
}

// rebuild replaces the table of k by one without the expired entries, or by none.
func (s *Set) rebuild(k Kind, floor int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[k].Load()
	if t != nil {
		t = t.rebuilt(s.seed, floor)
	}
	if t != nil && t.used.Load() == 0 {
		t = nil
	}
	s.tables[k].Store(t)
}

// Hit returns on which axis the token with these claims is revoked, zero when on none. It allocates nothing. Sessions and
// tokens, of which there may be millions, are asked for first and looked at last.
func (s *Set) Hit(c *Claims) Kind {
	s.hint(Session, &c.Session)
	s.hint(Token, &c.Token)
	switch {
	case s.find(Subject, &c.Subject).cuts(c.IssuedAt):
		return Subject
	case s.find(Client, &c.Client).cuts(c.IssuedAt):
		return Client
	case s.find(Key, &c.Key) != 0:
		return Key
	case times(s.everything.Load()).cuts(c.IssuedAt):
		return Everything
	case s.find(Token, &c.Token) != 0:
		return Token
	case s.find(Session, &c.Session) != 0:
		return Session
	}
	return 0
}

// NotBefore returns the latest cut-off, in Unix seconds, for tokens of this subject and client; zero when there is
// none. A token issued at or after it survives all three.
func (s *Set) NotBefore(subject, client ID) int64 {
	return max(
		s.find(Subject, &subject).notBefore(),
		s.find(Client, &client).notBefore(),
		times(s.everything.Load()).notBefore(),
	)
}

// Entry returns the entry of this kind and ID, if the set holds one. An entry that has expired but was not forgotten yet is
// held, and hits.
func (s *Set) Entry(k Kind, id ID) (e Entry, held bool) {
	var v times
	switch {
	case k == Everything:
		v, id = times(s.everything.Load()), ID{}
	case k.Valid():
		v = s.find(k, &id)
	}
	return Entry{Kind: k, ID: id, NotBefore: v.notBefore(), Expires: v.expires()}, v != 0
}

// LatestCutoff returns the latest cut-off of all that were ever in the set, in Unix seconds; zero when there was none.
func (s *Set) LatestCutoff() int64 { return s.latest.Load() }

func (s *Set) hint(k Kind, id *ID) {
	if t := s.tables[k].Load(); t != nil {
		t.hint(&s.seed, id)
	}
}

func (s *Set) find(k Kind, id *ID) times {
	if t := s.tables[k].Load(); t != nil {
		return t.find(&s.seed, id)
	}
	return 0
}

// Len returns how many entries of kind k are held, expired ones included.
func (s *Set) Len(k Kind) int {
	switch {
	case k == Everything && s.everything.Load() != 0:
		return 1
	case k >= Everything || !k.Valid():
		return 0
	}
	if t := s.tables[k].Load(); t != nil {
		return int(t.used.Load())
	}
	return 0
}

// All yields every entry that is in the set when it begins and expires after floor, and perhaps some that come later.
func (s *Set) All(floor int64) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		if v := times(s.everything.Load()); v.lives(floor) {
			if !yield(Entry{Kind: Everything, NotBefore: v.notBefore(), Expires: v.expires()}) {
				return
			}
		}
		for k := Token; k < Everything; k++ {
			if t := s.tables[k].Load(); t != nil && !t.each(k, floor, yield) {
				return
			}
		}
	}
}

func (t *table) each(k Kind, floor int64, yield func(Entry) bool) bool {
	for i := range t.slots {
		s := &t.slots[i]
		v := times(s.times.Load())
		if !v.lives(floor) {
			continue
		}
		e := Entry{Kind: k, NotBefore: v.notBefore(), Expires: v.expires()}
		binary.LittleEndian.PutUint64(e.ID[:8], s.hi.Load())
		binary.LittleEndian.PutUint64(e.ID[8:], s.lo.Load())
		if !yield(e) {
			return false
		}
	}
	return true
}
