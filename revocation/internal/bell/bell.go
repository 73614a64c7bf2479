// Package bell wakes every goroutine that waits for the next change of something.
package bell

import "sync"

// Bell is ready to use as its zero value. Methods may be called concurrently.
type Bell struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next Ring; nil while nobody waits
}

// Next returns a channel that the next Ring closes. Take it before looking at what may change: a change between the
// look and the wait is then not missed.
func (b *Bell) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// Ring wakes all who wait. It costs a lock when nobody does.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
