package main_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// lookout asks every authd all the time whether it leads.
type lookout struct {
	t     *testing.T
	front *front

	mu      sync.Mutex
	now     reign // of the highest term
	anybody time.Time
	hanging bool                   // the backend, so that nobody can lead
	longest map[bool]time.Duration // without a leader, by hanging
}

func newLookout(t *testing.T, f *front) *lookout {
	return &lookout{t: t, front: f, longest: make(map[bool]time.Duration)}
}

// reign is a leadership whose holder says that it goes on.
type reign struct {
	slot  *slot
	term  uint64
	asked time.Time // when the latest such answer was asked for
	seen  time.Time // and when it came
}

func (l *lookout) watch(s *slot) {
	ctx := l.t.Context()
	for pauseFor(ctx, 50*time.Millisecond) {
		server := s.current()
		if server == nil {
			continue
		}
		var answer sight
		asked := time.Now()
		status, err := l.front.call(ctx, time.Second, http.MethodGet, server.Admin+"/leader", nil, &answer)
		if err == nil && status == http.StatusOK && answer.Self {
			l.see(reign{s, answer.Term, asked, time.Now()})
		}
	}
}

// see checks that a leader never says so once one of a later term has, unless it was frozen.
func (l *lookout) see(r reign) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.anybody.IsZero() {
		l.longest[l.hanging] = max(l.longest[l.hanging], r.seen.Sub(l.anybody))
	}
	l.anybody = r.seen
	switch {
	case r.term == 0: // it has not claimed the ring yet
	case r.term < l.now.term && r.asked.After(l.now.seen) && !r.slot.dazed(r.asked):
		l.t.Errorf("authd %d says that it leads in term %d, after another one has in term %d", r.slot.n, r.term, l.now.term)
	case r.term == l.now.term && r.slot != l.now.slot:
		l.t.Errorf("authd %d and %d both lead in term %d", r.slot.n, l.now.slot.n, r.term)
	case r.term >= l.now.term:
		l.now = r
	}
}

func (l *lookout) latest() reign {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// hang tells that the backend hangs, or that somebody leads since it did.
func (l *lookout) hang(hanging bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hanging = hanging
}

// withoutLeader is the longest time without one, apart from when the backend hung, and then.
func (l *lookout) withoutLeader() (longest, hanging time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.longest[false], l.longest[true]
}
