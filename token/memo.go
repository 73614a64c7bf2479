package token

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memo remembers what was worked out about a few texts that come again and again: tokens come from many users, but few
// keys and few clients. It has a fixed size and no locks: the latest text takes the place.
type memo[V any] struct {
	seed   maphash.Seed
	places [64]atomic.Pointer[memoEntry[V]]
}

type memoEntry[V any] struct {
	text  string
	value V
}

func newMemo[V any]() *memo[V] { return &memo[V]{seed: maphash.MakeSeed()} }

func (m *memo[V]) place(text string) *atomic.Pointer[memoEntry[V]] {
	return &m.places[maphash.String(m.seed, text)%uint64(len(m.places))]
}

func (m *memo[V]) get(text string) (value V, known bool) {
	if e := m.place(text).Load(); e != nil && e.text == text {
		return e.value, true
	}
	return value, false
}

func (m *memo[V]) put(text string, value V) {
	m.place(text).Store(&memoEntry[V]{strings.Clone(text), value})
}
