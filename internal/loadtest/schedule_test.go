package loadtest

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Arrivals never go back in time, and there are as many as the rate says: exactly when they are even, and to what chance
// allows when they are not.
func TestScheduleKeepsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arrivals := rapid.SampledFrom([]Arrivals{Poisson, Even, ""}).Draw(t, "arrivals")
		rate := rapid.Float64Range(0.01, 1e6).Draw(t, "rate")
		s, err := NewSchedule(arrivals, rate, rapid.Uint64().Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, 5000).Draw(t, "n")
		var last time.Duration
		for range n {
			next := s.Next()
			if next < last {
				t.Fatalf("after %v comes %v", last, next)
			}
			last = next
		}
		gap := float64(time.Second) / rate
		off := math.Abs(float64(last) - float64(n)*gap)
		allowed := 1.0 // ns, of rounding
		if arrivals != Even {
			allowed += 6 * math.Sqrt(float64(n)) * gap // six standard deviations of a sum of n exponentials
		}
		if n < 30 && arrivals != Even {
			allowed *= 3 // few exponentials are no bell
		}
		if off > allowed+float64(n)*gap*1e-9 {
			t.Fatalf("%d arrivals at %v/s took %v", n, rate, last)
		}
	})
}

// Gaps of independent arrivals are exponential: about 1/e of them are longer than the mean.
func TestPoissonGaps(t *testing.T) {
	s, err := NewSchedule(Poisson, 1000, 7)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	long := 0
	for last, i := time.Duration(0), 0; i < n; i++ {
		next := s.Next()
		if next-last > time.Millisecond {
			long++
		}
		last = next
	}
	if share := float64(long) / n; math.Abs(share-1/math.E) > 0.01 {
		t.Errorf("%.3f of the gaps are longer than the mean, want %.3f", share, 1/math.E)
	}
}

func TestSameSeedSameSchedule(t *testing.T) {
	at := func(seed uint64) (d time.Duration) {
		s, err := NewSchedule(Poisson, 100, seed)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			d = s.Next()
		}
		return d
	}
	if one, again := at(1), at(1); one != again || one == at(2) {
		t.Error("the schedule does not depend on the seed alone")
	}
}

func TestBadSchedules(t *testing.T) {
	for _, rate := range []float64{0, -1, math.NaN(), math.Inf(1), 2e6} {
		if _, err := NewSchedule(Poisson, rate, 1); err == nil {
			t.Errorf("a rate of %v is accepted", rate)
		}
	}
	if _, err := NewSchedule("sometimes", 1, 1); err == nil {
		t.Error("an unknown kind of arrivals is accepted")
	}
}

// A search finds any knee to the precision that it promises, and never says that a rate is borne which is not.
func TestSearchFindsTheKnee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.Float64Range(1.01, 4).Draw(t, "step")
		from := rapid.Float64Range(1, 1000).Draw(t, "from")
		knee := from * math.Pow(step, rapid.Float64Range(-5, 20).Draw(t, "steps to the knee"))
		s, err := NewSearch(from, step, math.Inf(1))
		if err != nil {
			t.Fatal(err)
		}
		for rate, more := s.Next(); more; rate, more = s.Next() {
			s.Bears(rate <= knee)
		}
		precision := math.Sqrt(math.Sqrt(step)) * (1 + 1e-6)
		if s.Knee() > knee || s.Knee()*precision < knee {
			t.Fatalf("found %v for %v, by steps of %v", s.Knee(), knee, step)
		}
	})
}

func TestSearchEnds(t *testing.T) {
	for name, bears := range map[string]bool{"everything is borne": true, "nothing is borne": false} {
		s, err := NewSearch(10, 2, 1000)
		if err != nil {
			t.Fatal(err)
		}
		tries := 0
		for _, more := s.Next(); more; _, more = s.Next() {
			s.Bears(bears)
			tries++
		}
		if want := map[bool]float64{true: 1000, false: 0}[bears]; s.Knee() != want || tries > maxAttempts {
			t.Errorf("%s: knee %v after %d tries", name, s.Knee(), tries)
		}
	}
	for _, bad := range [][3]float64{{0, 2, 10}, {1, 1, 10}, {1, 11, 10}, {5, 2, 1}} {
		if _, err := NewSearch(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}
