package audit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	maxBatch = 256 // entries of one write
	// The pauses after writes that failed.
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
)

// pump is the queue of one sink, and the goroutine that empties it.
type pump struct {
	target Target
	log    *Log
	wake   chan struct{} // holds one token when there may be work

	mu        sync.Mutex
	queue     []*item // oldest first; those that are being written are among them
	lost      int     // since the last report
	lostTotal uint64
	stuck     bool
}

// item is an entry on its way to a sink.
type item struct {
	Entry
	pump *pump
	done chan struct{} // closed when the sink has it
}

func newPump(t Target, l *Log) *pump {
	return &pump{target: t, log: l, wake: make(chan struct{}, 1)}
}

func (p *pump) wants(t Type) bool { return p.target.Only == nil || slices.Contains(p.target.Only, t) }

// offer queues an entry. The error says that there is no room, or that there is no use in waiting.
func (p *pump) offer(e Entry) (*item, error) {
	it := &item{Entry: e, pump: p, done: make(chan struct{})}
	p.mu.Lock()
	full, stuck := len(p.queue) >= p.log.cfg.Queue, p.stuck
	if full {
		p.lost++
		p.lostTotal++
	} else {
		p.queue = append(p.queue, it)
	}
	p.mu.Unlock()
	switch {
	case full:
		return nil, fmt.Errorf("%s: its queue is full", p.target.Name)
	case stuck:
		return nil, fmt.Errorf("%s: it takes nothing at the moment", p.target.Name)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return it, nil
}

func (p *pump) setStuck() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = true
}

func (p *pump) stats() SinkStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := SinkStats{Name: p.target.Name, Queued: len(p.queue), Waiting: len(p.queue), Lost: p.lostTotal, Stuck: p.stuck}
	if sink, ok := p.target.Sink.(interface{ Backlog() int }); ok {
		s.Waiting += sink.Backlog()
	}
	return s
}

// run writes what waits until the log is closed and nothing does, or ctx ends.
func (p *pump) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		batch := p.batch()
		if len(batch) == 0 {
			select {
			case <-p.wake:
			case <-p.log.drain:
				if len(p.batch()) == 0 {
					return
				}
			}
			continue
		}
		kept, err := p.target.Sink.Write(ctx, batch)
		p.settle(kept, err)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 {
			p.log.cfg.Log.ErrorContext(ctx, "audit events cannot be written, trying again", "sink", p.target.Name, "err", err)
		}
		select {
		case <-time.After(min(shortestPause<<min(failures-1, 10), longestPause)):
		case <-ctx.Done():
		}
	}
}

// batch returns the oldest entries, which stay in the queue.
func (p *pump) batch() []Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	entries := make([]Entry, min(len(p.queue), maxBatch))
	for i := range entries {
		entries[i] = p.queue[i].Entry
	}
	return entries
}

// settle takes what the sink has out of the queue. A sink that works again is told what it has missed, after what it has not.
func (p *pump) settle(kept int, err error) {
	p.mu.Lock()
	for _, it := range p.queue[:kept] {
		close(it.done)
	}
	p.queue = slices.Delete(p.queue, 0, kept)
	p.stuck = err != nil
	lost := p.lost
	if err != nil {
		lost = 0
	}
	p.mu.Unlock()
	if lost == 0 {
		return
	}
	entry, err := p.log.entry(Event{Type: AuditLost, Outcome: Failure, Time: p.log.cfg.Now(), Count: lost})
	if err != nil {
		return // and the count is kept
	}
	p.log.cfg.Log.Error("audit events were lost", "sink", p.target.Name, "count", lost)
	p.log.count(AuditLost)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost -= lost
	p.queue = append(p.queue, &item{Entry: entry, pump: p, done: make(chan struct{})})
}
