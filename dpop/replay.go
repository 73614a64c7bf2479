package dpop

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// Name names a proof: a digest, so that all take the same room.
type Name [16]byte

// Replays remembers proofs that were used. Methods may be called concurrently.
type Replays interface {
	// Spend returns nil for the first call with a name, and [ErrReplayed] for all others within keep. It is
	// [ErrUnavailable] when it cannot tell, or could not remember. thumbprint is of the proof's key.
	Spend(ctx context.Context, thumbprint string, name Name, keep time.Duration) error
}

// DefaultReplayBytes bounds a [Memory] unless configured: room for some 400,000 proofs, or 3,000 a second with the default
// policy.
const DefaultReplayBytes = 32 << 20

const (
	replayShards = 64
	// bytesPerName is what a name takes: 24 in the queue, and in the map up to 50 right after it has grown.
	bytesPerName = 80
)

// Memory is Replays in the memory of this process, which forgets them when it ends: a proof that was overheard can then be
// used once more, while it is young.
//
// It never forgets a name to make room for another, as whoever could fill it could then use old proofs again. When it is
// full, proofs are refused with [ErrUnavailable] until others have become too old to be used. As proofs are spent together
// with good tokens only, it takes a user to fill it. One key fills at most a part of it, by which no more than 1 in 64 of
// all keys are hit.
type Memory struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [replayShards]replayShard
	most   int // names in a shard
}

type replayShard struct {
	mu    sync.Mutex // guards what follows
	seen  map[Name]struct{}
	queue []spent // a ring: in the order in which they came, which is about that in which they go
	first int
}

type spent struct {
	name  Name
	until int64 // Unix nanoseconds
}

// NewMemory returns an empty Memory that takes up to that many bytes; DefaultReplayBytes if zero, and room for one proof
// in each of its parts at least. It takes them only when they are needed. now is the clock; time.Now if nil.
func NewMemory(bytes int, now func() time.Time) *Memory {
	if bytes == 0 {
		bytes = DefaultReplayBytes
	}
	if now == nil {
		now = time.Now
	}
	m := &Memory{now: now, seed: maphash.MakeSeed(), most: max(1, bytes/bytesPerName/replayShards)}
	for i := range m.shards {
		m.shards[i].seen = make(map[Name]struct{})
	}
	return m
}

// Spend implements [Replays].
func (m *Memory) Spend(_ context.Context, thumbprint string, name Name, keep time.Duration) error {
	now := m.now()
	sh := &m.shards[maphash.String(m.seed, thumbprint)%replayShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.forget(now.UnixNano())
	if _, have := sh.seen[name]; have {
		return ErrReplayed
	}
	if len(sh.seen) >= m.most {
		return fmt.Errorf("%w: too many proofs at once", ErrUnavailable)
	}
	sh.push(spent{name, now.Add(keep).UnixNano()}, m.most)
	sh.seen[name] = struct{}{}
	return nil
}

// forget drops what is over. mu is held.
func (sh *replayShard) forget(now int64) {
	for len(sh.seen) > 0 && sh.queue[sh.first].until <= now {
		delete(sh.seen, sh.queue[sh.first].name)
		sh.first = (sh.first + 1) % len(sh.queue)
	}
}

// push appends to the ring, which has as many elements as seen, and makes it grow up to most. mu is held.
func (sh *replayShard) push(s spent, most int) {
	n := len(sh.seen)
	if n == len(sh.queue) {
		grown := make([]spent, min(max(2*n, 16), most))
		for i := range n {
			grown[i] = sh.queue[(sh.first+i)%n]
		}
		sh.queue, sh.first = grown, 0
	}
	sh.queue[(sh.first+n)%len(sh.queue)] = s
}
