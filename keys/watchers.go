package keys

import (
	"context"
	"sync"
)

// Watchers implements Watch for a [Cell] that lives in the process, where every change is made by Swap. The zero value
// is ready. Methods may be called concurrently.
type Watchers struct {
	mu    sync.Mutex
	chans map[chan Version]struct{} // each of capacity 1, holding the latest version not yet seen
}

// Add returns a channel that delivers every version announced from now on, the latest only, and closes with ctx. The
// caller announces the current version afterwards, so that none is missed in between.
func (w *Watchers) Add(ctx context.Context) <-chan Version {
	ch := make(chan Version, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chans == nil {
		w.chans = make(map[chan Version]struct{})
	}
	w.chans[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.chans, ch)
		close(ch)
	})
	return ch
}

// Announce tells all watchers that v is the current version. It never blocks.
func (w *Watchers) Announce(v Version) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.chans {
		select {
		case <-ch: // replaced: the watcher has not come for it yet
		default:
		}
		ch <- v
	}
}
