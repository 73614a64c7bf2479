package keystest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/authd-project/authd/keys"
)

// NewMemory returns a store that keeps its ring in memory: the reference that the suite itself is tested with, and a
// ring for tests of other packages.
func NewMemory() keys.Store { return keys.NewStore(new(memory), keys.NewCodec()) }

// NewCell returns what such a store keeps its ring in, for several stores with codecs of their own.
func NewCell() keys.Cell { return new(memory) }

// memory is a [keys.Cell].
type memory struct {
	mu       sync.Mutex
	value    []byte
	writes   int // how many there were; the version
	watchers keys.Watchers
}

func (m *memory) version() keys.Version {
	if m.writes == 0 {
		return ""
	}
	return keys.Version(strconv.Itoa(m.writes))
}

// Get implements [keys.Cell].
func (m *memory) Get(ctx context.Context) ([]byte, keys.Version, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.value), m.version(), nil
}

// Swap implements [keys.Cell].
func (m *memory) Swap(ctx context.Context, old keys.Version, value []byte) (keys.Version, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.version(); now != old {
		return "", fmt.Errorf("%w: version %q has moved on to %q", keys.ErrStale, old, now)
	}
	m.value = bytes.Clone(value)
	m.writes++
	m.watchers.Announce(m.version())
	return m.version(), nil
}

// Watch implements [keys.Cell].
func (m *memory) Watch(ctx context.Context) (<-chan keys.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.watchers.Add(ctx)
	if v := m.version(); v != "" {
		m.watchers.Announce(v)
	}
	return ch, nil
}
