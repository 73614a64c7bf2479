package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Load is what a run asks for.
type Load struct {
	Rate     float64 // requests a second, of all operations
	Mix      Mix
	Arrivals Arrivals
	Seed     uint64        // of the arrivals
	Warmup   time.Duration // before anything counts
	Duration time.Duration // of what is measured
	// Sessions are begun before. By default there are as many as requests at once need, and as refreshes a second.
	Sessions int
	// Progress, if set, is called a few times a second, by one goroutine.
	Progress func(Progress)
}

// Progress says how far a run has come.
type Progress struct {
	Phase              string // "logging in", "warming up", "measuring", "checking"
	Done, All          time.Duration
	Requests, Busy     int64 // answered, and answered 429 or 503
	Failed             int64
	Sessions           int           // that live
	P99                time.Duration // of the last moments, without logins
	SessionsToBe       int           // while logging in
	RequestsEachSecond float64
}

// prepare fills in defaults and refuses what cannot be done.
func (t *Target) prepare(l Load) (Load, error) {
	if l.Mix.total() == 0 {
		return l, errors.New("no mix of operations")
	}
	if l.Duration <= 0 || l.Warmup < 0 {
		return l, errors.New("duration: want more than 0, and a warm-up of at least 0")
	}
	if l.Sessions == 0 {
		l.Sessions = max(2*t.config.Connections, int(l.Rate*l.Mix.Share(Refresh)))
	}
	for op, missing := range map[Op]bool{
		Verify: len(t.guards) == 0, Service: len(t.services) == 0, Introspect: t.config.ClientID == "",
	} {
		if missing && l.Mix.Share(op) > 0 {
			return l, fmt.Errorf("%s is in the mix, but there is none to ask: %s", op, map[Op]string{
				Verify: "no guards", Service: "no URL of a service", Introspect: "no client that may introspect",
			}[op])
		}
	}
	return l, checkSessions(l, t.config.MaxSessions)
}

// Run puts the load on the servers and reports what came of it. When ctx ends early, the report says so and holds what
// there is. An error means that nothing was measured.
func (t *Target) Run(ctx context.Context, l Load) (*Report, error) {
	l, err := t.prepare(l)
	if err != nil {
		return nil, err
	}
	schedule, err := NewSchedule(l.Arrivals, l.Rate, l.Seed)
	if err != nil {
		return nil, err
	}
	t.recorder = newRecorder()
	if err := t.fill(ctx, l); err != nil {
		return nil, err
	}
	d := &dispatcher{schedule: schedule, deal: dealer{mix: l.Mix}}
	w := &watcher{target: t, load: l, began: time.Now()}
	auditing, stopAudit := context.WithCancel(ctx)
	watching, stopWatch := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { t.audit(auditing) })
	beside.Go(func() { w.run(watching) })
	t.drive(ctx, l, d, w.began)
	ended := time.Now()
	stopAudit()
	stopWatch()
	beside.Wait()
	t.followers.Wait()
	if l.Progress != nil {
		l.Progress(Progress{Phase: "checking"})
	}
	t.lastAudit(ctx)
	return t.report(ctx, l, d, w, ended), nil
}

// dispatcher hands out requests in the order in which they are due.
type dispatcher struct {
	mu       sync.Mutex
	schedule *Schedule
	deal     dealer
	over     bool
}

// next returns the next request; false once the last was due before end.
func (d *dispatcher) next(end time.Duration) (due time.Duration, op Op, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return 0, 0, false
	}
	due = d.schedule.Next()
	if due >= end {
		d.over = true
		return 0, 0, false
	}
	return due, d.deal.next(), true
}

// drive lets all connections ask until the last request was answered.
func (t *Target) drive(ctx context.Context, l Load, d *dispatcher, began time.Time) {
	all := l.Warmup + l.Duration
	var workers sync.WaitGroup
	defer workers.Wait()
	for i := range t.config.Connections {
		workers.Go(func() {
			w := t.newWorker(i)
			defer w.close()
			for {
				offset, op, ok := d.next(all)
				if !ok {
					return
				}
				due := began.Add(offset)
				if time.Since(began) > all+t.config.Timeout { // what has waited so long will not get better
					if ctx.Err() == nil {
						w.record(op, due, due, notBegun, "", false)
					}
					continue
				}
				const late = time.Millisecond // less is the timer's doing
				if time.Since(due) > late {
					t.recorder.count(&t.recorder.waited)
				}
				if !sleep(ctx, time.Until(due)) {
					return
				}
				w.do(ctx, op, due, offset < l.Warmup)
			}
		})
	}
}

// fill begins sessions until there are enough, as fast as the servers let it.
func (t *Target) fill(ctx context.Context, l Load) error {
	var workers sync.WaitGroup
	missing := atomic.Int64{}
	missing.Store(int64(l.Sessions - t.sessions.size()))
	began, last := time.Now(), atomic.Int64{} // last: when a login succeeded, since began
	failure := make(chan error, 1)
	for i := range min(t.config.Connections, 16) {
		workers.Go(func() {
			c := t.newClient()
			c.at = i
			defer c.close()
			for ctx.Err() == nil && missing.Add(-1) >= 0 {
				s, o, detail := t.login(ctx, c)
				switch {
				case o == good:
					t.sessions.begin(s)
					last.Store(int64(time.Since(began)))
					if l.Progress != nil && i == 0 {
						l.Progress(Progress{Phase: "logging in", Sessions: t.sessions.size(), SessionsToBe: l.Sessions})
					}
					continue
				case o.failed():
				case time.Since(began)-time.Duration(last.Load()) > 30*time.Second:
					detail = fmt.Sprintf("answered %s for half a minute", o)
				default: // later, then
					missing.Add(1)
					sleep(ctx, 200*time.Millisecond)
					continue
				}
				select {
				case failure <- fmt.Errorf("logging in beforehand: %s", orElse(detail, string(o))):
				default:
				}
				missing.Store(0)
				return
			}
		})
	}
	workers.Wait()
	select {
	case err := <-failure:
		return err
	default:
		return ctx.Err()
	}
}
