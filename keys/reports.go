package keys

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Report is what one verifier says of itself.
type Report struct {
	Verifier string // a name that no other verifier has; nothing else is to be read from it
	// Held is the ETag, without its quotes, of the JWKS that it holds and has just fetched or had confirmed; empty when
	// it could not, or does not say.
	Held string
	From string    // its address, for people
	At   time.Time // by the clock of the authd that it reported to
}

// Reports is where the reports of all verifiers come together, whichever authd they reach. Methods may be called
// concurrently and honour ctx; errors caused by a backend wrap ErrUnavailable.
//
// What is kept may be lost, with the process or with the server that keeps it, but never in silence: a census then says
// that it is complete since a later time only.
type Reports interface {
	// Put keeps a report in place of the earlier one of the same verifier. Once it has returned nil, each census of any
	// process counts the verifier. A verifier beyond the most that are kept is not kept; the census is incomplete then.
	// After an error the outcome is unknown, and the verifier must not be served as if it were counted.
	Put(ctx context.Context, r Report) error
	// Census counts the verifiers that are in service.
	Census(ctx context.Context, q Question) (Census, error)
}

// Question is what a [Census] is to tell: whether every verifier holds a JWKS.
type Question struct {
	Held    string    // what they are to hold
	Settled time.Time // a report proves that, for good, if it was made later
	After   time.Time // a verifier is in service if it has reported later
}

// Counts tells whether the verifier that made r is in service.
func (q Question) Counts(r Report) bool { return r.At.After(q.After) }

// Proves tells whether the verifier that made r holds what is asked for.
func (q Question) Proves(r Report) bool { return r.Held == q.Held && r.At.After(q.Settled) }

// Census is the sum of the reports.
type Census struct {
	Since     time.Time // every report made later is in it; zero when that cannot be said of any time
	Verifiers int       // how many are in service
	Missing   int       // how many of them have not proven that they hold what was asked for
	From      []string  // where some of these are, at most MaxNamed, sorted
}

const (
	// MaxReports is how many verifiers a backend keeps unless it is told otherwise.
	MaxReports = 20_000
	// MaxNamed is how many verifiers that are missing a census names.
	MaxNamed = 16
)

// MemoryReports keeps reports in the process, for an authd that runs alone.
type MemoryReports struct {
	keepFor time.Duration
	most    int

	mu    sync.Mutex
	since time.Time
	last  map[string]Report // by verifier
}

// NewMemoryReports makes an empty memory, which is complete from now on. keepFor is [Policy.ReportedFor]; most is how
// many verifiers are kept, 0 for MaxReports.
func NewMemoryReports(now time.Time, keepFor time.Duration, most int) *MemoryReports {
	if most == 0 {
		most = MaxReports
	}
	return &MemoryReports{keepFor: keepFor, most: most, since: now, last: make(map[string]Report)}
}

// Put implements [Reports].
func (m *MemoryReports) Put(_ context.Context, r Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.last[r.Verifier]; !known && !m.room(r.At) {
		m.since = r.At
		return nil
	}
	m.last[r.Verifier] = r
	return nil
}

// room tells whether one verifier more can be kept. Whoever floods the memory with names does not make it look for those
// to forget more than once a second.
func (m *MemoryReports) room(now time.Time) bool {
	if len(m.last) >= m.most && now.Sub(m.since) > time.Second {
		m.forget(now.Add(-m.keepFor))
	}
	return len(m.last) < m.most
}

// forget drops the reports of verifiers that are out of service.
func (m *MemoryReports) forget(until time.Time) {
	for name, r := range m.last {
		if !r.At.After(until) {
			delete(m.last, name)
		}
	}
}

// Census implements [Reports].
func (m *MemoryReports) Census(_ context.Context, q Question) (Census, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Census{Since: m.since}
	for _, r := range m.last {
		if !q.Counts(r) {
			continue
		}
		c.Verifiers++
		if q.Proves(r) {
			continue
		}
		c.Missing++
		if len(c.From) < MaxNamed {
			c.From = append(c.From, r.From)
		}
	}
	slices.Sort(c.From)
	return c, nil
}
