package loadtest

import (
	"errors"
	"math"
)

// Search looks for the knee: the highest rate that a server bears. Rates grow by a factor until one is too much, and
// the last step is then halved, so that the answer is good to the square root of the factor's square root.
//
//	for rate, ok := search.Next(); ok; rate, ok = search.Next() { search.Bears(try(rate)) }
type Search struct {
	step     float64
	rate     float64 // to be tried now
	good     float64 // the highest that was borne; 0 for none
	bad      float64 // the lowest that was too much; infinite for none
	most     float64 // nothing beyond it is tried
	attempts int
}

// NewSearch begins at a rate, grows by step, and tries nothing beyond most.
func NewSearch(from, step, most float64) (*Search, error) {
	if !(from > 0) || !(step >= 1.01 && step <= 10) || !(most >= from) {
		return nil, errors.New("a search wants a first rate above 0, a step from 1.01 to 10, and a last rate not below the first")
	}
	return &Search{step: step, rate: from, bad: math.Inf(1), most: most}, nil
}

// maxAttempts ends a search that began much too high.
const maxAttempts = 60

// Next returns the rate to try, until enough is known.
func (s *Search) Next() (rate float64, more bool) {
	switch {
	case s.attempts == maxAttempts, s.good == s.most:
		return 0, false
	case s.bad <= s.good*math.Sqrt(math.Sqrt(s.step))*(1+1e-9):
		return 0, false
	}
	return s.rate, true
}

// Bears says what came of the rate that Next returned.
func (s *Search) Bears(ok bool) {
	s.attempts++
	if ok {
		s.good = max(s.good, s.rate)
	} else {
		s.bad = min(s.bad, s.rate)
	}
	switch {
	case math.IsInf(s.bad, 1):
		s.rate = min(s.rate*s.step, s.most)
	case s.good == 0:
		s.rate /= s.step
	default:
		s.rate = math.Sqrt(s.good * s.bad)
	}
}

// Knee is the highest rate that was borne; 0 if none was.
func (s *Search) Knee() float64 { return s.good }
