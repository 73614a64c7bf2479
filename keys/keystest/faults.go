package keystest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/authd-project/authd/keys"
)

// Fault is what goes wrong with one write.
type Fault int

const (
	// BeforeWrite fails a write that never ran.
	BeforeWrite Fault = 1 + iota
	// AfterWrite loses the answer of a write that ran.
	AfterWrite
)

// Faults is a store whose writes can be made to fail on either side, and which can be out of reach altogether. In each
// case the caller sees an error that wraps [keys.ErrUnavailable].
type Faults struct {
	keys.Store

	mu     sync.Mutex
	next   []Fault // of the writes to come; zero for one that goes well
	down   bool
	writes int
}

// WithFaults wraps a store.
func WithFaults(s keys.Store) *Faults { return &Faults{Store: s} }

// FailNext lays down what happens to the next writes, claims among them, in turn, in place of what was laid down before.
func (f *Faults) FailNext(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = faults
}

// SetDown puts the store out of reach, or back. Watches that run are not ended.
func (f *Faults) SetDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// Writes tells how many claims and updates were attempted while the store was in reach.
func (f *Faults) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

var errInjected = fmt.Errorf("%w: %w", keys.ErrUnavailable, errors.New("injected fault"))

func (f *Faults) reach() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errInjected
	}
	return nil
}

// draw returns the fault of one write.
func (f *Faults) draw() (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return 0, errInjected
	}
	f.writes++
	if len(f.next) == 0 {
		return 0, nil
	}
	fault := f.next[0]
	f.next = f.next[1:]
	if fault == BeforeWrite {
		return fault, errInjected
	}
	return fault, nil
}

// Load implements [keys.Store].
func (f *Faults) Load(ctx context.Context) (keys.Ring, keys.Version, error) {
	if err := f.reach(); err != nil {
		return keys.Ring{}, "", err
	}
	return f.Store.Load(ctx)
}

// Claim implements [keys.Store].
func (f *Faults) Claim(ctx context.Context, holder string) (keys.Term, error) {
	fault, err := f.draw()
	if err != nil {
		return 0, err
	}
	term, err := f.Store.Claim(ctx, holder)
	if fault == AfterWrite {
		return 0, errInjected
	}
	return term, err
}

// Update implements [keys.Store].
func (f *Faults) Update(ctx context.Context, t keys.Term, v keys.Version, r keys.Ring) (keys.Version, error) {
	fault, err := f.draw()
	if err != nil {
		return "", err
	}
	next, err := f.Store.Update(ctx, t, v, r)
	if fault == AfterWrite {
		return "", errInjected
	}
	return next, err
}

// Watch implements [keys.Store].
func (f *Faults) Watch(ctx context.Context) (<-chan keys.Version, error) {
	if err := f.reach(); err != nil {
		return nil, err
	}
	return f.Store.Watch(ctx)
}
