package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/loadtest"
)

// growth is how amounts changed while servers were left alone: the median of the first third of that time, and of the last.
type growth struct {
	series []amount
}

// amount is one that must not grow.
type amount struct {
	name        string
	first, last float64
	scale       float64 // of what is shown
	slack       float64 // what it may grow by, beside a tenth
}

const heldRevocations = "revocations held"

// newGrowth looks at what came after a time.
func newGrowth(r loadtest.Report, after time.Time, sizes []soakSize) *growth {
	g := &growth{}
	var samples []loadtest.Sample
	for _, s := range r.Samples {
		unread := slices.ContainsFunc(s.Servers, func(m loadtest.ServerMetrics) bool { return m.Resident == 0 }) // it was too busy to tell
		if !unread && r.Began.Add(time.Duration(s.At*float64(time.Second))).After(after) {
			samples = append(samples, s)
		}
	}
	of := func(value func(loadtest.ServerMetrics) float64) func(loadtest.Sample) float64 {
		return func(s loadtest.Sample) (sum float64) {
			for _, m := range s.Servers {
				sum += value(m)
			}
			return sum
		}
	}
	for _, a := range []struct {
		amount
		value func(loadtest.Sample) float64
	}{
		{amount{name: "resident memory, MiB", scale: 1 << 20, slack: 16 << 20}, of(func(m loadtest.ServerMetrics) float64 { return m.Resident })},
		{amount{name: "goroutines", scale: 1, slack: 20}, of(func(m loadtest.ServerMetrics) float64 { return m.Goroutines })},
		{amount{name: "open files", scale: 1, slack: 20}, of(func(m loadtest.ServerMetrics) float64 { return m.Files })},
		{amount{name: heldRevocations, scale: 1, slack: 50}, of(func(m loadtest.ServerMetrics) float64 { return m.Entries })},
		{amount{name: "p50, ms", scale: 1, slack: 20}, func(s loadtest.Sample) float64 { return s.P50 }},
	} {
		a.first, a.last = thirds(samples, a.value)
		g.series = append(g.series, a.amount)
	}
	sizes = slices.DeleteFunc(slices.Clone(sizes), func(s soakSize) bool { return s.at.Before(after) })
	file := amount{name: "authd.db, KiB", scale: 1 << 10, slack: 512 << 10}
	file.first, file.last = thirds(sizes, func(s soakSize) float64 { return s.bytes })
	g.series = append(g.series, file)
	return g
}

// thirds are the medians of the first third of all values, and of the last.
func thirds[T any](all []T, value func(T) float64) (first, last float64) {
	n := len(all) / 3
	if n == 0 {
		return 0, 0
	}
	median := func(some []T) float64 {
		var values []float64
		for _, s := range some {
			values = append(values, value(s))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return median(all[:n]), median(all[len(all)-n:])
}

func (a amount) grew() bool { return a.last > 1.1*a.first+a.slack }

func (g *growth) check(t *testing.T, mode string) {
	t.Helper()
	for _, a := range g.series {
		if a.first == 0 && a.last == 0 && a.name != "p50, ms" {
			t.Errorf("%s: %s was not measured", mode, a.name)
		}
		if a.name == heldRevocations && *soakFor < 8*time.Minute {
			continue // they stay for up to four minutes: their tokens' life, and margins of a minute each
		}
		if a.grew() {
			t.Errorf("%s: %s grew from %v to %v", mode, a.name, a.first/a.scale, a.last/a.scale)
		}
	}
}

// cells are columns of the page.
func (g *growth) cells() (text string) {
	for i, a := range g.series {
		if i > 0 {
			text += " | "
		}
		text += fmt.Sprintf("%s → %s", loadtest.Digits(a.first/a.scale), loadtest.Digits(a.last/a.scale))
	}
	return text
}

// What grows is noticed, what jumps about is not.
func TestGrowthIsNoticed(t *testing.T) {
	began := time.Now()
	report := func(resident func(i int) float64) loadtest.Report {
		r := loadtest.Report{Began: began}
		for i := range 90 {
			r.Samples = append(r.Samples, loadtest.Sample{At: float64(i), Servers: []loadtest.ServerMetrics{{Resident: resident(i)}}})
		}
		return r
	}
	const mib = 1 << 20
	for name, c := range map[string]struct {
		resident func(i int) float64
		grew     bool
	}{
		"steady":           {func(int) float64 { return 50 * mib }, false},
		"saw":              {func(i int) float64 { return float64(50+i%20) * mib }, false},
		"leak":             {func(i int) float64 { return float64(50+i) * mib }, true},
		"before it counts": {func(i int) float64 { return float64(50+min(i, 30)*3) * mib }, false},
	} {
		g := newGrowth(report(c.resident), began.Add(30*time.Second), nil)
		if g.series[0].grew() != c.grew {
			t.Errorf("%s: %+v", name, g.series[0])
		}
	}
}
