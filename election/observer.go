package election

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Observer is a candidate that also keeps an eye on who leads, so that whoever asks is answered at once and from memory.
// It says of itself that it leads while its work may go on (a process that was frozen may say so for a moment
// after it wakes, until its timer has run), and names nobody whom it has not seen for a lease.
// Methods may be called concurrently.
type Observer struct {
	cfg ObserverConfig

	mu      sync.Mutex
	leading context.Context // of the work that runs; nil while none does
	name    string          // of the leader when last seen
	term    uint64          // of that leader, as logged
	since   time.Time       // when name was first seen
	asOf    time.Time
	changes uint64
}

// ObserverConfig says whose election to observe. Elector and Identity are required.
type ObserverConfig struct {
	Elector  Elector
	Identity string        // as the elector names this process
	Lease    time.Duration // how long a sight counts; default 5 s. The elector is asked every fifth of it.
	// Term tells from memory in what term somebody has claimed what the work writes, and who. Nil means that nobody
	// counts terms.
	Term func() (holder string, term uint64)
	Now  func() time.Time // nil means time.Now; must be monotonic
	Log  *slog.Logger     // nil discards
}

// Sight is who leads, as far as one process knows.
type Sight struct {
	Name string // of the leader; empty when nobody leads or it cannot be told
	Self bool   // this process leads: the work that it does as leader may go on
	// Term is the leader's, or 0 while it has claimed none yet or terms are not counted.
	Term  uint64
	Since time.Time // when this process first saw the leader lead, without another in between; zero while it has seen none
	AsOf  time.Time // when the election was last heard of; zero before the first time
	// ValidFor is after what time the name becomes empty if nothing more is heard. It is no licence to work for so long.
	ValidFor time.Duration
	// Changes counts how often this process saw another one lead than before, itself included.
	Changes uint64
}

// NewObserver returns an observer that knows nothing until [Observer.Run] runs.
func NewObserver(cfg ObserverConfig) (*Observer, error) {
	if cfg.Elector == nil || cfg.Identity == "" {
		return nil, errors.New("observing an election: Elector and Identity are required")
	}
	cfg.Lease = cmp.Or(cfg.Lease, 5*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Observer{cfg: cfg}, nil
}

// Lead is the elector's, with the work observed.
func (o *Observer) Lead(ctx context.Context, work func(context.Context) error) error {
	return o.cfg.Elector.Lead(ctx, func(ctx context.Context) error {
		o.begin(ctx)
		defer o.end()
		return work(ctx)
	})
}

func (o *Observer) begin(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leading = ctx
	o.see(o.cfg.Identity, o.cfg.Now())
}

func (o *Observer) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leading = nil
}

// Run asks the elector who leads, again and again until ctx ends, and logs each change once. It returns nil.
func (o *Observer) Run(ctx context.Context) error {
	every := o.cfg.Lease / 5
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		o.ask(ctx, every)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (o *Observer) ask(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	name, asOf, err := o.cfg.Elector.Leader(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.leads():
		o.see(o.cfg.Identity, o.cfg.Now()) // whatever the answer: it may have been on its way for a while
	case err == nil && name == o.cfg.Identity:
		// Of a leadership that has ended or not begun, or of somebody with the same name: neither is worth telling.
		o.see("", asOf)
	case err == nil:
		o.see(name, asOf)
	case o.cfg.Now().Sub(o.asOf) >= o.cfg.Lease:
		o.see("", o.asOf)
		o.cfg.Log.DebugContext(ctx, "it cannot be told who leads", "err", err)
	}
}

// see takes note of a sight; mu is held.
func (o *Observer) see(name string, asOf time.Time) {
	if asOf.After(o.asOf) {
		o.asOf = asOf
	}
	if name != o.name {
		if name == "" {
			o.cfg.Log.Warn("nobody leads", "was", o.name)
		} else {
			o.changes++
			o.cfg.Log.Info("leader changed", "leader", name, "self", name == o.cfg.Identity)
		}
		o.name, o.since = name, o.cfg.Now()
	}
	if term := o.termOf(name); term != 0 && term != o.term {
		o.term = term
		o.cfg.Log.Info("leader has claimed its term", "leader", name, "term", term, "self", name == o.cfg.Identity)
	}
}

// termOf returns the term that a leader has claimed, 0 for none.
func (o *Observer) termOf(leader string) uint64 {
	if o.cfg.Term == nil || leader == "" {
		return 0
	}
	if holder, term := o.cfg.Term(); holder == leader {
		return term
	}
	return 0
}

// leads tells whether this process may work as leader; mu is held.
func (o *Observer) leads() bool { return o.leading != nil && o.leading.Err() == nil }

// Sight tells who leads, from memory.
func (o *Observer) Sight() Sight {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Sight{Name: o.name, Self: o.leads(), AsOf: o.asOf, Changes: o.changes}
	left := o.cfg.Lease - o.cfg.Now().Sub(o.asOf)
	if left <= 0 && !s.Self || s.Name == o.cfg.Identity && !s.Self {
		s.Name = ""
	}
	if s.Name != "" {
		s.Term, s.Since, s.ValidFor = o.termOf(s.Name), o.since, max(left, 0)
	}
	return s
}
