package main_test

import (
	"sync"
	"sync/atomic"
)

// trap is where writes of the ring come by on their way from one authd.
type trap struct{ next atomic.Pointer[heldWrite] }

// heldWrite is a write that has left an authd and not arrived.
type heldWrite struct {
	when  func() // called once it has left
	held  chan struct{}
	goOn  chan struct{}
	letGo func()
}

// set holds up the next write. letGo must be called.
func (tr *trap) set(when func()) *heldWrite {
	w := &heldWrite{when: when, held: make(chan struct{}), goOn: make(chan struct{})}
	w.letGo = sync.OnceFunc(func() { close(w.goOn) })
	tr.next.Store(w)
	return w
}

// unset tells whether nothing has been, or will be, held up.
func (tr *trap) unset(w *heldWrite) bool { return tr.next.CompareAndSwap(w, nil) }

func (w *heldWrite) isHeld() bool {
	select {
	case <-w.held:
		return true
	default:
		return false
	}
}

// pass is called with each write, and returns when it may go on.
func (tr *trap) pass() {
	if w := tr.next.Swap(nil); w != nil {
		w.when()
		close(w.held)
		<-w.goOn
	}
}
