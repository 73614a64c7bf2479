package keystest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
)

// OpenReports opens an empty memory of reports which is complete from the time now on, keeps at most so many verifiers,
// and forgets them after keepFor. lose makes the backend lose everything at a time, as a crash of what keeps it would, and
// returns what takes the place of the one before.
type OpenReports func(t testing.TB, now time.Time, keepFor time.Duration, most int) (r keys.Reports, lose func(now time.Time) keys.Reports)

// RunReports checks that a backend keeps the contract of [keys.Reports].
func RunReports(t *testing.T, open OpenReports) {
	for name, run := range map[string]func(*testing.T, OpenReports){
		"nobody has reported":                      testNoReports,
		"a report proves if it was made later":     testCensus,
		"the latest report of a verifier counts":   testLatestReport,
		"missing verifiers are named, but not all": testNamed,
		"a census knows when there was no room":    testNoRoom,
		"a census knows what was lost":             testLostReports,
		"concurrent reports are all counted":       testConcurrentReports,
	} {
		t.Run(name, func(t *testing.T) { run(t, open) })
	}
}

var reportsBegin = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

const keepFor = 10 * time.Minute

// at is so many seconds after the beginning.
func at(seconds int) time.Time { return reportsBegin.Add(time.Duration(seconds) * time.Second) }

func report(t testing.TB, r keys.Reports, verifier, held string, seconds int) {
	t.Helper()
	err := r.Put(t.Context(), keys.Report{Verifier: verifier, Held: held, From: "from " + verifier, At: at(seconds)})
	if err != nil {
		t.Fatal(err)
	}
}

func census(t testing.TB, r keys.Reports, held string, settled, after int) keys.Census {
	t.Helper()
	c, err := r.Census(t.Context(), keys.Question{Held: held, Settled: at(settled), After: at(after)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantCensus(t testing.TB, got keys.Census, verifiers int, from ...string) {
	t.Helper()
	if got.Verifiers != verifiers || got.Missing != len(from) || !slices.Equal(got.From, from) {
		t.Errorf("got %+v; want %d verifiers, and these missing: %q", got, verifiers, from)
	}
}

// wantSince allows a backend to round up.
func wantSince(t testing.TB, got keys.Census, seconds int) {
	t.Helper()
	if late := got.Since.Sub(at(seconds)); late < 0 || late > 2*time.Millisecond {
		t.Errorf("complete since %v, want %v", got.Since, at(seconds))
	}
}

func testNoReports(t *testing.T, open OpenReports) {
	r, _ := open(t, at(0), keepFor, 10)
	c := census(t, r, "new", 0, -60)
	wantCensus(t, c, 0)
	wantSince(t, c, 0)
}

func testCensus(t *testing.T, open OpenReports) {
	r, _ := open(t, at(0), keepFor, 10)
	report(t, r, "dead", "old", 10)
	report(t, r, "just dead", "old", 20)
	report(t, r, "hasty", "new", 30)
	report(t, r, "in time", "new", 31)
	report(t, r, "behind", "old", 32)
	report(t, r, "unsure", "", 33)
	wantCensus(t, census(t, r, "new", 30, 20), 4, "from behind", "from hasty", "from unsure")
	wantCensus(t, census(t, r, "new", 29, 29), 4, "from behind", "from unsure")
	wantCensus(t, census(t, r, "new", 40, 33), 0)
	wantSince(t, census(t, r, "new", 30, 20), 0)
}

func testLatestReport(t *testing.T, open OpenReports) {
	r, _ := open(t, at(0), keepFor, 10)
	report(t, r, "a", "old", 10)
	report(t, r, "b", "new", 11)
	wantCensus(t, census(t, r, "new", 5, 0), 2, "from a")
	report(t, r, "a", "new", 12)
	wantCensus(t, census(t, r, "new", 5, 0), 2)
	report(t, r, "b", "older", 13)
	wantCensus(t, census(t, r, "new", 5, 0), 2, "from b")
	report(t, r, "b", "new", 12) // at another authd, whose clock is behind
	wantCensus(t, census(t, r, "new", 5, 0), 2)
}

func testNamed(t *testing.T, open OpenReports) {
	r, _ := open(t, at(0), keepFor, 100)
	for i := range 3 * keys.MaxNamed {
		report(t, r, fmt.Sprint(i), "old", i)
	}
	c := census(t, r, "new", 0, -1)
	if c.Missing != 3*keys.MaxNamed || len(c.From) != keys.MaxNamed || !slices.IsSorted(c.From) {
		t.Errorf("got %+v", c)
	}
}

func testNoRoom(t *testing.T, open OpenReports) {
	r, _ := open(t, at(0), keepFor, 2)
	report(t, r, "a", "new", 1)
	report(t, r, "b", "new", 2)
	wantSince(t, census(t, r, "new", 0, 0), 0)
	report(t, r, "c", "old", 3) // whoever has no room is in nobody's way
	report(t, r, "a", "new", 4) // whoever has it keeps it
	c := census(t, r, "new", 0, 0)
	wantCensus(t, c, 2)
	wantSince(t, c, 3)
	over := 2 + int(keepFor/time.Second) // b is out of service
	report(t, r, "c", "new", over)
	c = census(t, r, "new", 0, 2)
	wantCensus(t, c, 2)
	wantSince(t, c, 3)
}

func testLostReports(t *testing.T, open OpenReports) {
	r, lose := open(t, at(0), keepFor, 10)
	report(t, r, "a", "old", 1)
	r = lose(at(5))
	report(t, r, "b", "new", 5)
	wantSince(t, census(t, r, "new", 0, 0), 5)
	report(t, r, "b", "new", 6)
	wantSince(t, census(t, r, "new", 0, 0), 5)
	r = lose(at(7))
	c := census(t, r, "new", 0, 0) // though nobody has reported since
	wantCensus(t, c, 0)
	wantSince(t, c, 7)
}

func testConcurrentReports(t *testing.T, open OpenReports) {
	r, _ := open(t, at(0), keepFor, 1000)
	var done sync.WaitGroup
	const n = 64
	for i := range n {
		done.Go(func() { report(t, r, fmt.Sprint(i), "new", 1) })
	}
	done.Wait()
	wantCensus(t, census(t, r, "new", 0, 0), n)
}
