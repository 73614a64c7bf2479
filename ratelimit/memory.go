package ratelimit

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"time"
)

const (
	// defaultMaxKeys holds a flood from 65,536 addresses exactly, in about 6 MiB.
	defaultMaxKeys = 1 << 16
	// shardCount spreads keys over locks; small tables have one, so that they hold as many keys as they promise.
	shardCount      = 16
	minKeysPerShard = 64
	// evictionSample is among how many keys the least used is looked for when the table is full.
	evictionSample = 16
)

// MemoryConfig configures a [Memory].
type MemoryConfig struct {
	Policy  Policy           // required
	MaxKeys int              // keys remembered at once, rounded up to a multiple of 16; default 65,536, about 100 bytes each
	Now     func() time.Time // default time.Now
}

// Memory is a [Limiter] for one process. It forgets everything when the process ends.
//
// Its memory is bounded although whoever sends requests may choose the keys. A key that nothing counts against any more
// takes no room. When all the room is taken by keys in use, a new key replaces the least used of sixteen. So whoever
// wants a used-up allowance back by eviction must first use up as much on most keys of the table: it costs MaxKeys
// allowances to gain one. Keys used once, the cheap kind, only push out each other.
type Memory struct {
	policy Policy
	rule   rule
	now    func() time.Time
	start  time.Time // keeps the monotonic clock: setting the wall clock changes nothing
	seeds  [2]maphash.Seed
	shards []shard
}

// keyHash stands for a key, so that long keys take no room. The seeds are random, so nobody can make two keys collide.
type keyHash [2]uint64

// shard is a part of the table.
type shard struct {
	mu    sync.Mutex
	max   int
	index map[keyHash]int // of a key in slots
	slots []slot
	hand  int // the slot at which the next search for room begins
}

type slot struct {
	key   keyHash
	state State
}

// NewMemory returns an empty limiter. It fails only for an invalid configuration.
func NewMemory(c MemoryConfig) (*Memory, error) {
	if err := c.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("rate limit policy: %w", err)
	}
	if c.MaxKeys < 0 {
		return nil, fmt.Errorf("rate limit keys %d: must not be negative", c.MaxKeys)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = defaultMaxKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	shards := 1
	if c.MaxKeys >= shardCount*minKeysPerShard {
		shards = shardCount
	}
	m := &Memory{
		policy: c.Policy,
		rule:   c.Policy.rule(),
		now:    c.Now,
		start:  c.Now(),
		seeds:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		shards: make([]shard, shards),
	}
	for i := range m.shards {
		m.shards[i].max = (c.MaxKeys + shards - 1) / shards
		m.shards[i].index = make(map[keyHash]int)
	}
	return m, nil
}

// Policy implements [Limiter].
func (m *Memory) Policy() Policy { return m.policy }

// Allow implements [Limiter]. It fails only for a wrong number of units or an ended ctx.
func (m *Memory) Allow(ctx context.Context, key string, n int) (Decision, error) {
	if err := m.policy.CheckUnits(n); err != nil {
		return Decision{}, err
	}
	if err := ctx.Err(); err != nil {
		return Decision{}, err
	}
	hash, now := m.hash(key), m.milliseconds()
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.index[hash]
	var before State
	if found {
		before = s.slots[i].state
	}
	after, allowed := m.policy.take(m.rule, before, now, int64(n))
	if !found {
		i = s.room(m.rule, now)
		s.index[hash] = i
	}
	s.slots[i] = slot{key: hash, state: after}
	return m.policy.decide(m.rule, after, now, int64(n), allowed), nil
}

// Refund implements [Limiter]. It fails only when ctx has ended.
func (m *Memory) Refund(ctx context.Context, key string, d Decision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	hash := m.hash(key)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, found := s.index[hash]; found {
		s.slots[i].state = m.rule.remove(s.slots[i].state, d.taken, d.at)
	}
	return nil
}

// Forget implements [Limiter]. It fails only when ctx has ended.
func (m *Memory) Forget(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	hash := m.hash(key)
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, found := s.index[hash]; found {
		s.slots[i].state = State{} // never seen; the next search for room takes the slot
	}
	return nil
}

// Len is how many keys take room. It never exceeds MaxKeys (rounded up).
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += len(m.shards[i].slots)
		m.shards[i].mu.Unlock()
	}
	return n
}

func (m *Memory) hash(key string) keyHash {
	return keyHash{maphash.String(m.seeds[0], key), maphash.String(m.seeds[1], key)}
}

func (m *Memory) shard(h keyHash) *shard { return &m.shards[h[0]%uint64(len(m.shards))] }

func (m *Memory) milliseconds() int64 {
	return m.start.UnixMilli() + m.now().Sub(m.start).Milliseconds()
}

// room returns a slot for a new key. It looks at the next slots in turn and takes the first that nothing counts in any
// more; while the table may grow, it looks at two, so that keys out of use make room faster than new ones come.
func (s *shard) room(r rule, now int64) int {
	sample := evictionSample
	if len(s.slots) < s.max {
		sample = 2
	}
	least, leastUsed := 0, int64(math.MaxInt64)
	for i := range min(sample, len(s.slots)) {
		i = (s.hand + i) % len(s.slots)
		state := r.advance(notAfter(s.slots[i].state, now), now)
		if used := r.used(state, now); used < leastUsed {
			least, leastUsed = i, used
		}
		if leastUsed == 0 {
			break
		}
	}
	if len(s.slots) >= s.max || leastUsed == 0 {
		s.hand = (least + 1) % len(s.slots)
		delete(s.index, s.slots[least].key)
		return least
	}
	if len(s.slots) > 0 {
		s.hand = (s.hand + sample) % len(s.slots)
	}
	s.slots = append(s.slots, slot{})
	return len(s.slots) - 1
}
