package token

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// entry makes a token of n bytes whose place in the cache depends on i, with claims that take as much as real ones.
func entry(i, n int) *verified {
	signature := uint64(i) * 0x9e3779b97f4a7c15 // spreads i over all bits
	raw := fmt.Sprintf("%s%016x%08d", strings.Repeat("x", n-24), signature, i)
	e, room := newVerified(n + n*3/4)
	copy(room[copy(room, raw):], strings.Repeat("s", n))
	e.raw, e.claims.Subject = unsafe.String(&room[0], n), unsafe.String(&room[n], n*3/4)
	e.expires = 1000
	return e
}

func TestCacheComparesWholeTokens(t *testing.T) {
	c := newCache(4<<20, [2]uint64{1, 2})
	for _, size := range []int{400, 800, 1200, 8000} { // kept with and without the entry
		compareWhole(t, c, entry(1, size))
	}
}

func compareWhole(t *testing.T, c *cache, kept *verified) {
	t.Helper()
	c.add(kept, 0)
	if c.lookup(kept.raw) != kept || c.lookup(strings.Clone(kept.raw)) != kept {
		t.Fatal("the token itself is not found")
	}
	for _, i := range []int{0, 100, len(kept.raw) - 25, len(kept.raw) - 1} { // all but the last share the bytes that choose the place
		other := []byte(kept.raw)
		other[i]++
		if c.lookup(string(other)) != nil {
			t.Errorf("found by a token that differs at byte %d", i)
		}
	}
	for _, raw := range []string{"", "short", kept.raw[1:], "x" + kept.raw} {
		if c.lookup(raw) != nil {
			t.Errorf("found by %d bytes of it", len(raw))
		}
	}
	c.drop(kept)
	if c.lookup(kept.raw) != nil {
		t.Error("found after it was dropped")
	}
	c.drop(kept) // as another goroutine may at the same time
	if used := bytesUsed(c); used != 0 {
		t.Errorf("%d bytes used by nothing", used)
	}
}

func bytesUsed(c *cache) int {
	sum := 0
	for i := range c.shards {
		sum += c.shards[i].bytes
	}
	return sum
}

// TestCacheIsBoundedByBytes measures what the cache keeps alive, for small and for large tokens.
func TestCacheIsBoundedByBytes(t *testing.T) {
	const limit = 2 << 20
	for _, size := range []int{150, 300, 800, 1100, 8000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			before := heap()
			c := newCache(limit, [2]uint64{1, 2})
			for i := range 2 * limit / size {
				c.add(entry(i, size), 0)
			}
			if used := heap() - before; used > limit+limit/100 {
				t.Errorf("holds %d bytes, more than %d", used, limit)
			}
			if used := bytesUsed(c); used < limit/4 {
				t.Errorf("only %d of %d bytes are used", used, limit)
			}
			runtime.KeepAlive(c)
		})
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestCacheKeepsWhatIsUsed: a token in use survives a stream of tokens that come once.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := newCache(1<<20, [2]uint64{1, 2})
	used := entry(1, 800)
	c.add(used, 0)
	misses := 0
	for i := range 5_000 {
		if c.lookup(used.raw) == nil {
			misses++
			c.add(used, 0)
		}
		c.add(entry(2+i, 800), 0)
	}
	if misses > 5 { // full buckets have no better choice now and then
		t.Errorf("a token in constant use was lost %d times", misses)
	}
}

// TestCacheEvictsExpiredFirst fills one bucket: the token that expired makes room, though it was used.
func TestCacheEvictsExpiredFirst(t *testing.T) {
	c := newCache(leastCache, [2]uint64{1, 2})
	var bucket []*verified
	_, first, _ := c.place(entry(0, 100).raw)
	for i := 0; len(bucket) <= bucketSize; i++ {
		e := entry(i, 100)
		if _, slots, _ := c.place(e.raw); &slots[0] == &first[0] {
			bucket = append(bucket, e)
		}
	}
	expired := bucket[3]
	expired.expires = 10
	for _, e := range bucket[:bucketSize] {
		c.add(e, 0)
		c.lookup(e.raw)
	}
	c.add(bucket[bucketSize], 10)
	for i, e := range bucket {
		if found := c.lookup(e.raw) == e; found != (e != expired) {
			t.Errorf("entry %d found: %v", i, found)
		}
	}
}

func TestTooSmallACacheIsNone(t *testing.T) {
	for _, limit := range []int{-1, 0, leastCache - 1} {
		c := newCache(limit, [2]uint64{})
		e := entry(1, 100)
		c.add(e, 0)
		if c.lookup(e.raw) != nil {
			t.Errorf("a cache of %d bytes", limit)
		}
		c.drop(e)
	}
	c := newCache(leastCache, [2]uint64{})
	large := entry(1, 8000)
	c.add(large, 0)
	if c.lookup(large.raw) != nil || bytesUsed(c) != 0 {
		t.Error("keeps a token larger than a shard")
	}
}

// TestCacheUnderContention runs readers and writers on few places; the race detector and the sums judge.
func TestCacheUnderContention(t *testing.T) {
	c := newCache(leastCache, [2]uint64{1, 2})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				e := entry((i+g)%200, 300)
				found := c.lookup(e.raw)
				switch {
				case found == nil:
					c.add(e, 0)
				case found.raw != e.raw:
					t.Error("another token")
				case i%7 == 0:
					c.drop(found)
				}
			}
		})
	}
	wg.Wait()
	for i := range c.shards {
		sum := 0
		for j := range c.shards[i].slots {
			if e := c.shards[i].slots[j].entry.Load(); e != nil {
				sum += e.size
			}
		}
		if sum != c.shards[i].bytes || sum > c.shards[i].limit {
			t.Errorf("shard %d: holds %d, counts %d, may %d", i, sum, c.shards[i].bytes, c.shards[i].limit)
		}
	}
}
