package keys

import (
	"context"
	"fmt"
	"sync"
)

// Cell is all that a backend must offer to hold a ring: one value, replaced only by compare-and-swap. [NewStore] makes a
// [Store] of it. Methods may be called concurrently and honour ctx; errors caused by the backend wrap ErrUnavailable.
type Cell interface {
	// Get returns the value and its version as they are now, not as some replica last saw them; nil and the empty
	// version when there is no value yet.
	Get(ctx context.Context) ([]byte, Version, error)
	// Swap replaces the value, atomically and durably, if its version is still old; the empty version means "if there
	// is none yet". Otherwise it changes nothing and returns an error that wraps ErrStale. A version is never used
	// again, not even after the value was lost.
	Swap(ctx context.Context, old Version, value []byte) (Version, error)
	// Watch is as in [Store].
	Watch(ctx context.Context) (<-chan Version, error)
}

// NewStore keeps a ring in a cell, in the form that the codec gives it. Term and holder live inside the value, so one
// compare-and-swap fences both the term and the version.
func NewStore(cell Cell, codec *Codec) Store { return &cellStore{cell: cell, codec: codec} }

type cellStore struct {
	cell  Cell
	codec *Codec

	mu   sync.Mutex // guards what follows: the value last decoded, as opening a ring's seals takes a while
	ring Ring
	at   Version // empty when nothing is held
}

// Load implements [Store].
func (s *cellStore) Load(ctx context.Context) (Ring, Version, error) {
	value, v, err := s.cell.Get(ctx)
	if err != nil {
		return Ring{}, "", fmt.Errorf("loading the key ring: %w", err)
	}
	if v == "" {
		return Ring{}, "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != v {
		ring, err := s.codec.Unmarshal(value)
		if err != nil {
			return Ring{}, "", fmt.Errorf("loading the key ring: %w", err)
		}
		s.ring, s.at = ring, v
	}
	return s.ring, v, nil
}

// Claim implements [Store]. It seals the ring anew, with the first KEK, so that a change of the KEK takes effect.
func (s *cellStore) Claim(ctx context.Context, holder string) (Term, error) {
	ring, v, err := s.Load(ctx)
	if err != nil {
		return 0, fmt.Errorf("claiming the key ring: %w", err)
	}
	ring.Term++
	ring.Holder = holder
	if _, err := s.swap(ctx, v, ring); err != nil {
		return 0, fmt.Errorf("claiming the key ring: %w", err)
	}
	return ring.Term, nil
}

// Update implements [Store].
func (s *cellStore) Update(ctx context.Context, t Term, v Version, r Ring) (Version, error) {
	stored, now, err := s.Load(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("updating the key ring: %w", err)
	case stored.Term != t:
		return "", fmt.Errorf("updating the key ring: %w: term %d has moved on to %d, held by %q",
			ErrStale, t, stored.Term, stored.Holder)
	case now != v:
		return "", fmt.Errorf("updating the key ring: %w: version %s has moved on to %s", ErrStale, v, now)
	}
	r.Term, r.Holder = stored.Term, stored.Holder
	next, err := s.swap(ctx, v, r)
	if err != nil {
		return "", fmt.Errorf("updating the key ring: %w", err)
	}
	return next, nil
}

func (s *cellStore) swap(ctx context.Context, v Version, r Ring) (Version, error) {
	value, err := s.codec.Marshal(r)
	if err != nil {
		return "", err
	}
	return s.cell.Swap(ctx, v, value)
}

// Watch implements [Store].
func (s *cellStore) Watch(ctx context.Context) (<-chan Version, error) {
	versions, err := s.cell.Watch(ctx)
	if err != nil {
		return nil, fmt.Errorf("watching the key ring: %w", err)
	}
	return versions, nil
}
