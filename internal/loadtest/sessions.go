package loadtest

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Account is somebody who logs in.
type Account struct{ Name, Password string }

// session is one that this run began. Whoever took it from the pool has it for itself.
type session struct {
	id, access, refresh string
	expires             time.Time // of the access token
	rotated             time.Time // when its refresh token last changed
	again               int       // refreshes since then, which were answered with the same token
	unsure              bool      // a refresh failed, and may have happened all the same
}

// pool holds the sessions that live and are not in use, the one that was used longest ago first.
type pool struct {
	mu      sync.Mutex
	resting []*session
	first   int        // index of the first in resting
	live    int        // with those in use
	doubted []*session // that were refused
}

func (p *pool) put(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resting = append(p.resting, s)
}

// putFirst puts a session where it is taken next.
func (p *pool) putFirst(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == 0 {
		p.resting = append([]*session{s}, p.resting...)
		return
	}
	p.first--
	p.resting[p.first] = s
}

// begin puts a new session.
func (p *pool) begin(s *session) {
	p.put(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live++
}

// forget says that a taken session has ended.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
}

// doubt takes a session out of use.
func (p *pool) doubt(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
	p.doubted = append(p.doubted, s)
}

// doubts puts those back that were taken out of use.
func (p *pool) doubts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live += len(p.doubted)
	p.resting = append(p.resting, p.doubted...)
	p.doubted = nil
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

// take returns the next session for which fit holds, or nil. Few are looked at, as one that is not fit stands for many.
func (p *pool) take(fit func(*session) bool) *session {
	const looks = 64
	p.mu.Lock()
	defer p.mu.Unlock()
	for range min(looks, len(p.resting)-p.first) {
		s := p.resting[p.first]
		p.resting[p.first] = nil
		p.first++
		if p.first > len(p.resting)/2 { // the front half is empty: each move costs one put
			p.resting = append(p.resting[:0], p.resting[p.first:]...)
			p.first = 0
		}
		if fit(s) {
			return s
		}
		p.resting = append(p.resting, s)
	}
	return nil
}

func anySession(*session) bool { return true }

// mayRefresh keeps a session from being replayed so often within its grace that the server takes it for stolen. The grace
// is not known here; authd allows it to be half of a token's life at most.
func mayRefresh(most int, now time.Time) func(*session) bool {
	const usualGrace = 30 * time.Second
	return func(s *session) bool {
		if s.again >= most {
			return now.Sub(s.rotated) > usualGrace && s.again < 2*most-1
		}
		return true
	}
}

// ended is a session that was logged out, remembered to ask about it again.
type ended struct {
	access, refresh string
	expires         time.Time
	at              time.Time
}

// graveyard remembers the last ended sessions.
type graveyard struct {
	mu    sync.Mutex
	all   []ended
	next  int
	limit int
}

func (g *graveyard) add(e ended) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.all) < g.limit {
		g.all = append(g.all, e)
		return
	}
	g.all[g.next%g.limit] = e
	g.next++
}

// list returns those that ended before a time and whose tokens have not expired at another, so that only the logout can
// be why they are refused.
func (g *graveyard) list(before, alive time.Time) (list []ended) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.all {
		if e.at.Before(before) && e.expires.After(alive) {
			list = append(list, e)
		}
	}
	return list
}

// checkSessions tells whether a load stays within a number of sessions, before it begins.
func checkSessions(l Load, most int) error {
	gained := l.Rate * (l.Mix.Share(Login) - l.Mix.Share(Logout)) * (l.Warmup + l.Duration).Seconds()
	if all := float64(l.Sessions) + gained; all > float64(most) {
		return fmt.Errorf("the mix would begin %.0f sessions more than it ends; %d at once is the limit", gained, most)
	}
	if l.Sessions < 1 {
		return errors.New("sessions: want at least 1")
	}
	return nil
}
