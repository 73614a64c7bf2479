package keys

import (
	"context"
	"errors"
)

var (
	// ErrStale refuses a write whose term or version has moved on: somebody else leads, or wrote.
	ErrStale = errors.New("stale term or version")
	// ErrUnavailable means that the store could not be reached or did not answer in time; the outcome is unknown.
	ErrUnavailable = errors.New("key store unavailable")
)

// Term numbers leaderships of one ring. It is claimed in the ring's own store, never taken from an elector, and grows by
// one with each claim.
type Term uint64

// Version is an opaque version of the stored ring; only equality counts. Empty means that no ring exists yet.
type Version string

// Store keeps one ring. Methods may be called concurrently and honour ctx. Errors caused by the backend, or by a ctx that
// ended before the outcome was known, wrap ErrUnavailable.
type Store interface {
	// Load returns the ring and its version as they are now, not as some replica last saw them; a store that was never
	// written to answers an empty ring and the empty version. The ring may be shared and must not be changed.
	Load(ctx context.Context) (Ring, Version, error)
	// Claim begins a leadership: it stores the next term and its holder by compare-and-set. It is the first act of
	// every leadership, before the leader reads anything it will act on.
	Claim(ctx context.Context, holder string) (Term, error)
	// Update replaces the ring, atomically and durably, if both the term and the version are still current; otherwise
	// it changes nothing and returns an error that wraps ErrStale. Term and holder of r are the store's to set.
	Update(ctx context.Context, t Term, v Version, r Ring) (Version, error)
	// Watch delivers the current version at once, if there is a ring, and then every change, the latest only. The
	// channel closes when ctx ends or changes can no longer be seen; watch again then.
	Watch(ctx context.Context) (<-chan Version, error)
}
