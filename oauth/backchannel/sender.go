package backchannel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/authd-project/authd/session"
)

// Config is what a Sender is made of. Fields without a default are required.
type Config struct {
	// Sessions is where ends are looked up before they are told. It must not be the wrapped one.
	Sessions session.Store
	Limits   session.Limits // of sessions; zero fields mean the defaults
	Outbox   Outbox
	Tokens   Tokens
	Clients  Clients

	Timeout     time.Duration // of one delivery, from dialling to the answer; default 5 s
	PerClient   int           // deliveries to one client at once; default 4
	Queue       int           // notices that may wait for one client; more are given up; default 10,000
	FirstPause  time.Duration // after the first failure; doubles with each; default 1 s
	LongestRest time.Duration // what the pauses grow to; default 5 min
	GiveUpAfter time.Duration // since the session's end; default 24 h
	Drain       time.Duration // how long Run goes on, once it is told to end, with what was never tried; default 5 s

	// Transport makes the requests; by default one that trusts the system's certificate authorities. Redirects are never
	// followed.
	Transport http.RoundTripper
	// Around returns what makes the requests, given the Transport; for traces. Default: the Transport.
	Around func(http.RoundTripper) http.RoundTripper
	Log    *slog.Logger     // default: none
	Now    func() time.Time // default time.Now
}

// Sender delivers notices. Methods may be called concurrently.
type Sender struct {
	cfg    Config
	client *http.Client
	wake   chan struct{} // holds one: there is something new to look at

	mu    sync.Mutex // guards what follows
	lanes map[string]*lane
}

// NewSender checks the configuration and reports everything that is wrong with it at once.
func NewSender(c Config) (*Sender, error) {
	var errs []error
	require := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what+": required"))
		}
	}
	require(c.Sessions != nil, "sessions")
	require(c.Outbox != nil, "outbox")
	require(c.Tokens != nil, "tokens")
	require(c.Clients != nil, "clients")
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("back-channel logout: %w", err)
	}
	c.Limits = c.Limits.WithDefaults()
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.PerClient = cmp.Or(c.PerClient, 4)
	c.Queue = cmp.Or(c.Queue, 10_000)
	c.FirstPause = cmp.Or(c.FirstPause, time.Second)
	c.LongestRest = cmp.Or(c.LongestRest, 5*time.Minute)
	c.GiveUpAfter = cmp.Or(c.GiveUpAfter, 24*time.Hour)
	c.Drain = cmp.Or(c.Drain, 5*time.Second)
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	if c.Around != nil {
		c.Transport = c.Around(c.Transport)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Sender{cfg: c, client: newClient(c), wake: make(chan struct{}, 1), lanes: make(map[string]*lane)}, nil
}

// Run delivers notices, first those that an earlier process left in the outbox, until ctx ends, which is no error. Then it
// gives those that were never tried one chance more, and returns once nothing is under way. What is left stays in the
// outbox.
func (s *Sender) Run(ctx context.Context) error {
	defer s.client.CloseIdleConnections()
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	recovered := false
	for {
		if !recovered {
			recovered = s.recover(ctx)
		}
		pause := s.start(ctx, &deliveries, false)
		if !recovered {
			pause = min(pause, s.cfg.FirstPause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s.drain(ctx, &deliveries)
		}
		timer.Stop()
	}
}

// recover queues what the outbox holds. What was queued since this process started is in there too, and stays as it is.
func (s *Sender) recover(ctx context.Context) bool {
	notices, err := s.cfg.Outbox.All(ctx)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "reading the outbox of logout notices", "err", err)
		return false
	}
	s.queue(notices)
	return true
}

// drain works on what was never tried, until that is done or the time for it is over.
func (s *Sender) drain(ctx context.Context, deliveries *sync.WaitGroup) error {
	ctx = context.WithoutCancel(ctx)
	timer := time.NewTimer(s.cfg.Drain)
	defer timer.Stop()
	for {
		s.start(ctx, deliveries, true)
		left, busy := s.left()
		if busy == 0 {
			if left > 0 {
				s.cfg.Log.WarnContext(ctx, "logout notices stay in the outbox until the next start", "notices", left)
			}
			return nil
		}
		select {
		case <-s.wake:
		case <-timer.C:
			s.cfg.Log.WarnContext(ctx, "logout notices stay in the outbox until the next start", "notices", left+busy)
			return nil
		}
	}
}

// idle is how long Run rests when there is nothing to wait for; whatever comes wakes it.
const idle = time.Hour

// start begins the deliveries that are due, as many as each client may have, and returns when to look again.
func (s *Sender) start(ctx context.Context, deliveries *sync.WaitGroup, freshOnly bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, pause := s.cfg.Now(), idle
	for client, l := range s.lanes {
		for l.busy < s.cfg.PerClient {
			d := l.next(now, freshOnly)
			if d == nil {
				break
			}
			l.busy++
			deliveries.Go(func() { s.deliver(context.WithoutCancel(ctx), client, d) })
		}
		if due, ok := l.due(); ok && l.busy < s.cfg.PerClient {
			pause = min(pause, max(due.Sub(now), 0))
		}
	}
	return pause
}

// queue hands notices to Run. It never blocks.
func (s *Sender) queue(notices []Notice) {
	if len(notices) == 0 {
		return
	}
	var refused []Notice
	s.mu.Lock()
	for _, n := range notices {
		l := s.lane(n.ClientID)
		switch {
		case l.known[n.Session] != 0:
			l.known[n.Session] = noted
		case len(l.waiting) >= s.cfg.Queue:
			l.stats.GivenUp++
			refused = append(refused, n)
		default:
			l.add(&delivery{Notice: n, due: s.cfg.Now()})
		}
	}
	s.mu.Unlock()
	for _, n := range refused {
		s.cfg.Log.Error("logout notice given up: the client's queue is full", "client_id", n.ClientID, "sid", n.Session)
		s.forget(context.Background(), n.Session)
	}
	s.ring()
}

func (s *Sender) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lane returns a client's; s.mu is held.
func (s *Sender) lane(client string) *lane {
	l := s.lanes[client]
	if l == nil {
		l = &lane{known: make(map[session.ID]mark)}
		s.lanes[client] = l
	}
	return l
}

// left tells how many notices wait, and how many are being delivered.
func (s *Sender) left() (waiting, busy int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		waiting, busy = waiting+len(l.waiting), busy+l.busy
	}
	return waiting, busy
}

// pause is how long to wait after so many failures: it doubles up to the longest, and a random half of it is left out, so
// that clients that come back are not met by all notices at once.
func (c *Config) pause(failures int) time.Duration {
	d := c.FirstPause
	for range failures - 1 {
		if d *= 2; d >= c.LongestRest {
			d = c.LongestRest
			break
		}
	}
	return d/2 + rand.N(d/2+1)
}
