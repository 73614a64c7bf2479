package token

import (
	"crypto"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/authd-project/authd/revocation"
)

// verified is a token whose signature and claims were found good. But for recent it never changes once it is in the
// cache.
//
// With many tokens a hit costs as much as the memory it touches that no other request has touched of late. So what
// every hit reads stands together, and the strings of the header are those of the first token with that header.
type verified struct {
	raw       string
	inline    bool        // raw lies right behind, in the same allocation
	bound     bool        // to the key that claims name
	recent    atomic.Bool // used since the sweep last came by
	notBefore int64       // Unix seconds, leeway included: good from here
	expires   int64       // and dead from here
	header    *header
	key       crypto.PublicKey // that verified the signature
	ids       revocation.Claims
	size      int // estimate of the bytes it keeps: newVerified sets what it allocates, add adds the rest
	claims    Claims
	lists     [6]string // of claims, as far as there is room: one allocation less
}

// cache remembers verified tokens. It is bounded by bytes, compares whole tokens, and answers without locks or
// allocations.
//
// It is a hash table of fixed size, cut into shards that have a lock for writers each. A bucket is scanned whole, so a
// crowded one costs nothing but hits. Places are chosen by bytes of the signature, which are uniform already:
// hashing the token would cost more than all the rest of a hit. Whoever sends a token could choose them, but only
// tokens that were found good come in.
type cache struct {
	seed   [2]uint64
	shards []shard
}

// newVerified returns an entry and room for n bytes, in one allocation unless that is out of the ordinary: what a hit
// reads of both then comes from memory at the same time, as the place of the one follows from that of the other.
func newVerified(n int) (t *verified, room []byte) {
	const own = int(unsafe.Sizeof(verified{})) + 8 // with what the allocator puts in front
	type (                                         // of sizes that the allocator has
		small struct {
			verified
			room [1536 - own]byte
		}
		medium struct {
			verified
			room [2048 - own]byte
		}
		large struct {
			verified
			room [2688 - own]byte
		}
	)
	switch {
	case n <= len(small{}.room):
		b := new(small)
		b.inline, b.size = true, int(unsafe.Sizeof(*b))+8
		return &b.verified, b.room[:n]
	case n <= len(medium{}.room):
		b := new(medium)
		b.inline, b.size = true, int(unsafe.Sizeof(*b))+8
		return &b.verified, b.room[:n]
	case n <= len(large{}.room):
		b := new(large)
		b.inline, b.size = true, int(unsafe.Sizeof(*b))+8
		return &b.verified, b.room[:n]
	}
	return &verified{size: own + n + n/8}, make([]byte, n) // the allocator rounds up by an eighth at most
}

const (
	shardCount = 16 // a power of two
	bucketSize = 8
	// bytesPerSlot sizes the table: under half of what an ordinary token takes, so that buckets rarely overflow.
	bytesPerSlot = 1024
	// leastCache is the least useful bound: one full bucket for each shard.
	leastCache = shardCount * bucketSize * 2 * bytesPerSlot
)

type shard struct {
	slots []slot // a power of two of them, bucketSize or more

	mu    sync.Mutex // held to write slots
	bytes int        // sum of the sizes of the entries
	limit int
	hand  int // where the sweep goes on
}

// slot is read without a lock. Tag and entry need not agree, as the entry is compared anyway: the tag only spares
// looking at entries of other tokens.
type slot struct {
	tag   atomic.Uint64
	entry atomic.Pointer[verified]
}

// newCache returns a cache of about limit bytes, or nil, which never hits, when limit is too small.
func newCache(limit int, seed [2]uint64) *cache {
	if limit < leastCache {
		return nil
	}
	perShard := limit / shardCount
	slots := 1 << (bits.Len(uint(perShard/bytesPerSlot)) - 1)
	c := &cache{seed: seed, shards: make([]shard, shardCount)}
	for i := range c.shards {
		c.shards[i].slots = make([]slot, slots)
		c.shards[i].limit = perShard - slots*int(unsafe.Sizeof(slot{}))
	}
	return c
}

// lookup returns the entry of exactly this token, or nil.
func (c *cache) lookup(raw string) *verified {
	if c == nil {
		return nil
	}
	_, bucket, tag := c.place(raw)
	for i := range bucket {
		if bucket[i].tag.Load() != tag {
			continue
		}
		if t := bucket[i].entry.Load(); t != nil && t.is(raw) {
			if !t.recent.Load() { // written once a sweep only, so that readers do not fight for the cache line
				t.recent.Store(true)
			}
			return t
		}
	}
	return nil
}

// is compares the whole token.
func (t *verified) is(raw string) bool {
	if len(t.raw) != len(raw) {
		return false
	}
	if t.inline { // so newVerified has made room for raw behind *t
		text := (*byte)(unsafe.Add(unsafe.Pointer(t), unsafe.Sizeof(*t))) //nolint:gosec // within the allocation
		return unsafe.String(text, len(raw)) == raw                       //nolint:gosec // and so is its end
	}
	return t.raw == raw
}

// place returns where raw belongs.
func (c *cache) place(raw string) (*shard, []slot, uint64) {
	// 16 characters of the signature, 96 bits of it. Not the very end: the last bytes of an Ed25519 signature are not
	// uniform.
	const from, n = 24, 16
	var a, b uint64
	if len(raw) >= from {
		chars := raw[len(raw)-from : len(raw)-from+n]
		a = binary.LittleEndian.Uint64([]byte(chars[:8]))
		b = binary.LittleEndian.Uint64([]byte(chars[8:]))
	}
	hi, lo := bits.Mul64(a^c.seed[0], b^c.seed[1])
	tag := hi ^ lo
	sh := &c.shards[tag%shardCount]
	first := int(tag/shardCount) & (len(sh.slots) - 1) &^ (bucketSize - 1)
	return sh, sh.slots[first : first+bucketSize], tag
}

// add remembers t. now is in Unix seconds.
func (c *cache) add(t *verified, now int64) {
	if c == nil {
		return
	}
	t.size += t.claims.size(len(t.lists))
	sh, bucket, tag := c.place(t.raw)
	if t.size > sh.limit {
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	place := victim(bucket, t.raw, tag, now)
	sh.clear(place)
	place.tag.Store(tag)
	place.entry.Store(t)
	sh.bytes += t.size
	for sh.bytes > sh.limit {
		sh.sweep(t, now)
	}
}

// drop forgets t.
func (c *cache) drop(t *verified) {
	if c == nil {
		return
	}
	sh, bucket, _ := c.place(t.raw)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range bucket {
		if bucket[i].entry.Load() == t {
			sh.clear(&bucket[i])
		}
	}
}

// victim chooses the slot of a bucket for raw: that of the same token, which another goroutine verified too; a free
// one; that of a token that expired, or was not used for long; or any. It looks at entries only where it must, as each
// of them is likely to be out of the processor's caches.
func victim(bucket []slot, raw string, tag uint64, now int64) *slot {
	var free *slot
	for i := range bucket {
		t := bucket[i].entry.Load()
		switch {
		case t == nil && free == nil: // the first, so that the next hit need not read on
			free = &bucket[i]
		case t == nil:
		case bucket[i].tag.Load() == tag && t.raw == raw:
			return &bucket[i]
		}
	}
	if free != nil {
		return free
	}
	for i := range bucket {
		if t := bucket[i].entry.Load(); t.expires <= now || !t.recent.Load() {
			return &bucket[i]
		}
	}
	return &bucket[0]
}

// sweep looks at the next slot and makes room there if its token expired or was not used since the last round: the
// CLOCK approximation of least recently used. It spares keep. sh.mu is held.
func (sh *shard) sweep(keep *verified, now int64) {
	place := &sh.slots[sh.hand]
	sh.hand = (sh.hand + 1) & (len(sh.slots) - 1)
	t := place.entry.Load()
	if t == nil || t == keep {
		return
	}
	if t.expires > now && t.recent.Load() {
		t.recent.Store(false)
		return
	}
	sh.clear(place)
}

// clear empties a slot. sh.mu is held.
func (sh *shard) clear(place *slot) {
	if t := place.entry.Load(); t != nil {
		sh.bytes -= t.size
		place.entry.Store(nil)
		place.tag.Store(0)
	}
}

// size returns, rather too high than too low, the bytes of the lists and custom claims, beyond what lies in the text of
// the token and what has room in spare list elements.
func (c *Claims) size(spare int) int {
	const (
		perString = 3 * 16 // slices grow in steps
		aMap      = 512
		perCustom = 128
	)
	size := 0
	if lists := len(c.Audience) + len(c.AMR) + len(c.Roles); lists > spare {
		size += perString * lists
	}
	if c.Custom != nil {
		size += aMap
	}
	for _, value := range c.Custom {
		size += perCustom + len(value)
	}
	return size
}
