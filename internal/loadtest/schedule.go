package loadtest

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Arrivals says how requests are spread over time.
type Arrivals string

// How requests may arrive.
const (
	Poisson Arrivals = "poisson" // as many independent clients come: gaps are exponential. The default
	Even    Arrivals = "even"    // at equal distances
)

// Schedule says when requests are due, counted from the beginning. It does not look at a clock: what happens to a
// request does not move the others.
type Schedule struct {
	gap     float64 // mean, in nanoseconds
	poisson bool
	rng     *rand.Rand
	n       float64 // arrivals so far
	at      float64 // of the last one, in nanoseconds
}

// NewSchedule is for rate requests a second; the same seed gives the same schedule.
func NewSchedule(a Arrivals, rate float64, seed uint64) (*Schedule, error) {
	const fastest = 1e6
	if !(rate > 0 && rate <= fastest) { // also NaN
		return nil, fmt.Errorf("rate: want more than 0 and at most %.0f requests a second", fastest)
	}
	if a != Poisson && a != Even && a != "" {
		return nil, fmt.Errorf("arrivals %q: want %s or %s", a, Poisson, Even)
	}
	return &Schedule{gap: float64(time.Second) / rate, poisson: a != Even, rng: rand.New(rand.NewPCG(seed, 0))}, nil
}

// Next returns when the next request is due.
func (s *Schedule) Next() time.Duration {
	s.n++
	if s.poisson {
		s.at += s.rng.ExpFloat64() * s.gap
	} else {
		s.at = s.n * s.gap // no sum, which would drift
	}
	return time.Duration(s.at)
}
