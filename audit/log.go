package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnconfirmed means that not every sink has taken an event in time. It may be kept yet, or be counted as lost.
var ErrUnconfirmed = errors.New("audit event not confirmed")

// Entry is an event and its line.
type Entry struct {
	Event Event
	Line  []byte // by [Encode]; not to be changed
}

// Sink keeps events.
type Sink interface {
	// Write keeps entries in their order and returns how many of them, from the first on, it has kept: fewer than all only
	// with an error. Those that are left come again. One goroutine calls it. It returns soon after ctx has ended.
	Write(ctx context.Context, entries []Entry) (kept int, err error)
}

// Target is a sink and what is for it.
type Target struct {
	Name string // unique, for logs and metrics
	Sink Sink
	Only []Type // nil means all; AuditLost comes anyway
}

// Config is what a Log is made of.
type Config struct {
	Targets []Target
	Wait    time.Duration // longest that Record waits; default 1 s
	Queue   int           // events that may wait for one sink; default 8192
	Now     func() time.Time
	Rand    io.Reader // of events' ids; default crypto/rand
	Log     *slog.Logger
}

// Log hands events to sinks. Methods may be called concurrently.
type Log struct {
	cfg    Config
	pumps  []*pump
	merger merger
	counts []atomic.Uint64 // by index in types
	types  []Type

	stop    chan struct{} // closed by Close: nothing more is recorded
	drain   chan struct{} // closed after that: nothing more comes into the queues
	stopped sync.Once
	merging sync.WaitGroup
	pumping sync.WaitGroup
	cut     context.CancelFunc // ends the sinks' writes
}

// New returns a log whose sinks are served until [Log.Close].
func New(cfg Config) (*Log, error) {
	cfg.Wait, cfg.Queue = cmp.Or(cfg.Wait, time.Second), cmp.Or(cfg.Queue, 8192)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, types: Types(), stop: make(chan struct{}), drain: make(chan struct{})}
	l.counts = make([]atomic.Uint64, len(l.types))
	l.merger.groups = make(map[groupKey]*group)
	names := make(map[string]bool)
	for _, t := range cfg.Targets {
		if t.Sink == nil || t.Name == "" || names[t.Name] {
			return nil, fmt.Errorf("audit: target %q: needs a sink and a name of its own", t.Name)
		}
		names[t.Name] = true
		l.pumps = append(l.pumps, newPump(t, l))
	}
	writes, cut := context.WithCancel(context.Background())
	l.cut = cut
	for _, p := range l.pumps {
		l.pumping.Go(func() { p.run(writes) })
	}
	l.merging.Go(l.flushMerged)
	return l, nil
}

// Record hands an event to all sinks that it is for, and returns nil once they have taken it. Otherwise the error wraps
// [ErrUnconfirmed], after Config.Wait at the latest, or when ctx ends: the sinks are given the event as soon as they take
// anything again, and if their queues are full, it is counted as lost. So a caller who does not depend on the event may
// ignore the error.
func (l *Log) Record(ctx context.Context, e Event) error {
	e = e.from(ctx)
	if e.Time.IsZero() {
		e.Time = l.cfg.Now()
	}
	if e.cheap() && !l.merger.pass(e) {
		return nil
	}
	return l.record(ctx, e)
}

func (l *Log) record(ctx context.Context, e Event) error {
	entry, err := l.entry(e)
	if err != nil {
		l.cfg.Log.ErrorContext(ctx, "an audit event could not be made", "type", string(e.Type), "err", err)
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	l.count(e.Type)
	var waiting []*item
	var problems []error
	for _, p := range l.pumps {
		if !p.wants(e.Type) {
			continue
		}
		it, err := p.offer(entry)
		if err != nil {
			problems = append(problems, err)
		} else {
			waiting = append(waiting, it)
		}
	}
	problems = append(problems, l.await(ctx, waiting)...)
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, errors.Join(problems...))
	}
	return nil
}

func (l *Log) entry(e Event) (Entry, error) {
	if e.ID == "" {
		var id [16]byte
		if _, err := io.ReadFull(l.cfg.Rand, id[:]); err != nil {
			return Entry{}, fmt.Errorf("making an event's id: %w", err)
		}
		e.ID = base64.RawURLEncoding.EncodeToString(id[:])
	}
	text, err := Encode(e)
	return Entry{e.clean(), text}, err
}

func (l *Log) count(t Type) {
	if i := slices.Index(l.types, t); i >= 0 {
		l.counts[i].Add(1)
	}
}

// await waits for all items together. A sink that does not take one in time counts as stuck from then on.
func (l *Log) await(ctx context.Context, items []*item) (problems []error) {
	if len(items) == 0 {
		return nil
	}
	timer := time.NewTimer(l.cfg.Wait)
	defer timer.Stop()
	expired := false
	for _, it := range items {
		if !expired {
			select {
			case <-it.done:
				continue
			case <-timer.C:
				expired = true
			case <-ctx.Done():
				problems = append(problems, ctx.Err())
				return problems
			}
		}
		select {
		case <-it.done:
		default:
			it.pump.setStuck()
			problems = append(problems, fmt.Errorf("%s: took longer than %v", it.pump.target.Name, l.cfg.Wait))
		}
	}
	return problems
}

// Close lets the sinks take what waits, until ctx ends, and stops them. The error says what was left. Nothing may be recorded
// during or after it.
func (l *Log) Close(ctx context.Context) error {
	l.stopped.Do(func() {
		close(l.stop)
		l.merging.Wait() // not for longer than Record takes
		close(l.drain)
	})
	done := make(chan struct{})
	go func() { l.pumping.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	l.cut()
	var problems []error
	for _, p := range l.pumps {
		if n := p.stats().Queued; n > 0 {
			problems = append(problems, fmt.Errorf("audit: %d events were not given to %s", n, p.target.Name))
		}
	}
	select { // a sink that does not heed its context, such as a pipe that nobody reads, must not hold up the end
	case <-done:
	case <-time.After(closeGrace):
		problems = append(problems, errors.New("audit: a sink does not stop"))
	}
	return errors.Join(problems...)
}

// closeGrace is how long a sink may take to notice that its context has ended.
const closeGrace = time.Second

// Stats is how a log does.
type Stats struct {
	Recorded map[Type]uint64 // events since the start
	Merged   uint64          // events that were merged into others
	Sinks    []SinkStats
}

// SinkStats is how a sink does.
type SinkStats struct {
	Name    string
	Queued  int    // events in the queue
	Waiting int    // these, and what the sink has kept but not passed on; of sinks that have a method Backlog() int
	Lost    uint64 // events that the queue had no room for, since the start
	Stuck   bool   // the last write failed, or takes too long: nobody waits for the sink
}

// Stats returns a snapshot.
func (l *Log) Stats() Stats {
	s := Stats{Recorded: make(map[Type]uint64, len(l.types)), Merged: l.merger.total.Load()}
	for i, t := range l.types {
		s.Recorded[t] = l.counts[i].Load()
	}
	for _, p := range l.pumps {
		s.Sinks = append(s.Sinks, p.stats())
	}
	return s
}
