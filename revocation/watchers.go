package revocation

import (
	"container/heap"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// watchers are the open watches of a mirror, found by what may end them. The set decides whether it does: what is here
// only says whom to look at again.
type watchers struct {
	open atomic.Int64  // how many; read without the lock, so that a merge that nobody watches pays for one load
	wake chan struct{} // holds one: look again, there is news

	mu      sync.Mutex // guards what follows; nothing is called, and no token looked at, while it is held
	serving bool
	byID    [Key]map[ID]*watcher  // by kind, from Token; the first of those that an entry with this ID may end
	due     byExpiry              // all of them
	bounds  map[time.Duration]int // how many bear which age of the mirror
	touched map[axis]struct{}     // what was merged and is watched, until it has been looked at
}

// axis is what an entry names.
type axis struct {
	kind Kind
	id   ID
}

// watcher is an open watch.
type watcher struct {
	Watch
	place int       // in due
	open  bool      // is in all of watchers; else in none of it
	links [Key]link // the others with the same ID, by kind, from Token
}

type link struct{ before, after *watcher }

// id is what entries of kind k call the token.
func (w *watcher) id(k Kind) ID {
	switch k {
	case Token:
		return w.Claims.Token
	case Session:
		return w.Claims.Session
	case Subject:
		return w.Claims.Subject
	case Client:
		return w.Claims.Client
	}
	return w.Claims.Key
}

// serve lets watches be opened. Until close they are looked after.
func (ws *watchers) serve() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.serving = true
}

// close lets no more be opened, and returns those that are.
func (ws *watchers) close() []*watcher {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.serving = false
	return slices.Clone(ws.due)
}

// add opens w, unless nobody serves.
func (ws *watchers) add(w *watcher) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !ws.serving {
		return false
	}
	if len(ws.due) == 0 {
		ws.bounds, ws.touched = map[time.Duration]int{}, map[axis]struct{}{}
		for k := range ws.byID {
			ws.byID[k] = map[ID]*watcher{}
		}
	}
	w.open = true
	for k := Token; k <= Key; k++ {
		first := ws.byID[k-1][w.id(k)]
		w.links[k-1].after = first
		if first != nil {
			first.links[k-1].before = w
		}
		ws.byID[k-1][w.id(k)] = w
	}
	heap.Push(&ws.due, w)
	ws.bounds[w.MaxAge]++
	ws.open.Store(int64(len(ws.due)))
	if len(ws.due) == 1 { // the next look was put off for ever; otherwise it comes soon enough
		ws.ring()
	}
	return true
}

// remove closes w and tells whether it was open.
func (ws *watchers) remove(w *watcher) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !w.open {
		return false
	}
	w.open = false
	for k := Token; k <= Key; k++ {
		ws.unlink(w, k)
	}
	heap.Remove(&ws.due, w.place)
	if ws.bounds[w.MaxAge]--; ws.bounds[w.MaxAge] == 0 {
		delete(ws.bounds, w.MaxAge)
	}
	ws.open.Store(int64(len(ws.due)))
	if len(ws.due) == 0 { // maps do not shrink
		ws.byID, ws.due, ws.bounds, ws.touched = [Key]map[ID]*watcher{}, nil, nil, nil
	}
	return true
}

func (ws *watchers) unlink(w *watcher, k Kind) {
	l := w.links[k-1]
	if l.after != nil {
		l.after.links[k-1].before = l.before
	}
	switch {
	case l.before != nil:
		l.before.links[k-1].after = l.after
	case l.after != nil:
		ws.byID[k-1][w.id(k)] = l.after
	default:
		delete(ws.byID[k-1], w.id(k))
	}
	w.links[k-1] = link{}
}

// end closes w and says why, unless it was closed before.
func (ws *watchers) end(w *watcher, why error) {
	if ws.remove(w) {
		w.Ended(why)
	}
}

// touch takes note of an entry that has just been merged into the set.
func (ws *watchers) touch(e Entry) {
	if ws.open.Load() == 0 {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.due) == 0 || e.Kind != Everything && ws.byID[e.Kind-1][e.ID] == nil {
		return
	}
	ws.touched[axis{e.Kind, e.ID}] = struct{}{}
	ws.ring()
}

func (ws *watchers) ring() {
	select {
	case ws.wake <- struct{}{}:
	default: // has been rung
	}
}

// suspects returns whom the entries touched since the last call may end, and all of them if some do not bear a mirror of
// this age.
func (ws *watchers) suspects(age time.Duration) []*watcher {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	touched := ws.touched
	if len(touched) > 0 {
		ws.touched = map[axis]struct{}{}
	}
	if _, all := touched[axis{kind: Everything}]; all {
		return slices.Clone(ws.due)
	}
	for bound := range ws.bounds {
		if age > bound {
			return slices.Clone(ws.due)
		}
	}
	var found []*watcher
	for a := range touched {
		for w := ws.byID[a.kind-1][a.id]; w != nil; w = w.links[a.kind-1].after {
			found = append(found, w)
		}
	}
	return found
}

// expired closes one whose token has expired, and returns it; nil when there is none.
func (ws *watchers) expired(now time.Time) *watcher {
	ws.mu.Lock()
	if len(ws.due) == 0 || ws.due[0].Expires > now.Unix() {
		ws.mu.Unlock()
		return nil
	}
	w := ws.due[0]
	ws.mu.Unlock()
	if !ws.remove(w) {
		return ws.expired(now)
	}
	return w
}

// next tells how long it is until one of them expires or does not bear the mirror's age any more, if that does not fall.
// It is short enough to notice that a clock was set or the machine suspended, and zero when there is none.
func (ws *watchers) next(now time.Time, age time.Duration) time.Duration {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.due) == 0 {
		return 0
	}
	wait := min(beat, time.Unix(ws.due[0].Expires, 0).Sub(now))
	for bound := range ws.bounds {
		wait = min(wait, bound-age+1)
	}
	return max(wait, time.Millisecond)
}

// byExpiry is a heap, see container/heap: the first expires first.
type byExpiry []*watcher

func (h byExpiry) Len() int           { return len(h) }
func (h byExpiry) Less(i, j int) bool { return h[i].Expires < h[j].Expires }

func (h byExpiry) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *byExpiry) Push(w any) {
	added := w.(*watcher)
	added.place = len(*h)
	*h = append(*h, added)
}

// Pop implements heap.Interface.
func (h *byExpiry) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil // so that it can be collected
	*h = (*h)[:last]
	return w
}
