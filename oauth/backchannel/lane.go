package backchannel

import (
	"container/heap"
	"time"

	"github.com/authd-project/authd/session"
)

// Stats count the notices of one client since the process started.
type Stats struct {
	Waiting   int    // now, those being delivered included
	Delivered uint64 // the client said yes
	Failed    uint64 // deliveries that failed, each try counted
	GivenUp   uint64 // the client will never hear of them
}

// Stats returns the counts of each client that ever had a notice, by its ID.
func (s *Sender) Stats() map[string]Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Stats, len(s.lanes))
	for client, l := range s.lanes {
		stats := l.stats
		stats.Waiting = len(l.waiting) + l.busy
		all[client] = stats
	}
	return all
}

// lane is what one client has coming. [Sender].mu guards it.
type lane struct {
	waiting dueFirst
	known   map[session.ID]mark // those waiting and those being delivered
	busy    int                 // how many are being delivered
	stats   Stats
}

// mark says whether a notice was noted once more since it was queued.
type mark uint8

const (
	queued mark = 1 + iota
	noted
)

// delivery is a notice on its way. It belongs to the lane while it waits, and to its goroutine while it is delivered.
type delivery struct {
	Notice
	due      time.Time
	failures int
	refusals int // failures by an answer that says no
}

func (l *lane) add(d *delivery) {
	l.known[d.Session] = queued
	heap.Push(&l.waiting, d)
}

// next takes the delivery that is due first, if it is due; with freshOnly only one that was never tried.
func (l *lane) next(now time.Time, freshOnly bool) *delivery {
	if freshOnly {
		for i, d := range l.waiting {
			if d.failures == 0 {
				heap.Remove(&l.waiting, i)
				return d
			}
		}
		return nil
	}
	if due, ok := l.due(); !ok || due.After(now) {
		return nil
	}
	return heap.Pop(&l.waiting).(*delivery)
}

// due returns when the next delivery is due.
func (l *lane) due() (due time.Time, ok bool) {
	if len(l.waiting) == 0 {
		return time.Time{}, false
	}
	return l.waiting[0].due, true
}

// dueFirst is a heap of deliveries by when they are due.
type dueFirst []*delivery

func (q dueFirst) Len() int           { return len(q) }
func (q dueFirst) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueFirst) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueFirst) Push(x any)        { *q = append(*q, x.(*delivery)) }
func (q *dueFirst) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
