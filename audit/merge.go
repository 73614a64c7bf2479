package audit

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// alone is how many events of a kind stand alone between two flushes, which is a second.
const alone = 20

// merger merges what strangers can cause in any number.
type merger struct {
	mu     sync.Mutex
	groups map[groupKey]*group
	total  atomic.Uint64
}

// groupKey is what makes events alike. All its members are of closed lists.
type groupKey struct {
	kind   Type
	reason string
	limit  string
}

type group struct {
	passed int
	merged int
	event  Event // what the merged ones have in common
}

// cheap tells which events somebody without credentials can bring about as fast as the network carries them. A wrong
// password is not among them, as it costs a hash.
func (e Event) cheap() bool {
	switch e.Type {
	case ClientRefused, AdminRefused, RateLimited:
		return true
	case Login:
		return e.Outcome == Failure && e.Reason != InvalidCredentials
	}
	return false
}

// InvalidCredentials is the reason of a login with a wrong name or password.
const InvalidCredentials = "invalid_credentials"

// pass tells whether the event stands alone. If not, it has been counted.
func (m *merger) pass(e Event) bool {
	key := groupKey{e.Type, e.Reason, e.Details["limit"]}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[key]
	if g == nil {
		g = &group{}
		m.groups[key] = g
	}
	if g.passed < alone {
		g.passed++
		return true
	}
	g.merged++
	m.total.Add(1)
	g.event = Event{Type: e.Type, Outcome: e.Outcome, Reason: e.Reason, Actor: Actor{Type: Anonymous}}
	if key.limit != "" {
		g.event.Details = map[string]string{"limit": key.limit}
	}
	return false
}

// take returns an event for each group in which some were merged, and lets the groups begin anew.
func (m *merger) take() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var events []Event
	for g := range maps.Values(m.groups) {
		if g.merged > 0 {
			g.event.Count = g.merged
			events = append(events, g.event)
		}
	}
	clear(m.groups)
	slices.SortFunc(events, func(a, b Event) int { return strings.Compare(string(a.Type)+a.Reason, string(b.Type)+b.Reason) })
	return events
}

// flushMerged records what was merged, every second.
func (l *Log) flushMerged() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for open := true; open; {
		select {
		case <-ticker.C:
		case <-l.stop:
			open = false
		}
		for _, e := range l.merger.take() {
			e.Time = l.cfg.Now()
			_ = l.record(context.Background(), e) // what is lost is counted
		}
	}
}
