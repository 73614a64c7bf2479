package loadtest

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A percentile of the histogram is that of the values, to a thousandth.
func TestHistogramKeepsPercentiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(1000, longest), 1, 500).Draw(t, "values")
		h := newHistogram()
		for _, v := range values {
			add(h, time.Duration(v))
		}
		slices.Sort(values)
		q := quantiles(h)
		for share, got := range map[float64]float64{0.5: q.P50, 0.9: q.P90, 0.99: q.P99, 0.999: q.P999, 1: q.Max} {
			rank := share * float64(len(values)) // between two values
			low, high := values[max(0, int(rank)-1)], values[max(0, int(math.Ceil(rank))-1)]
			if got < millis(low)*0.9989-1e-4 || got > millis(high)*1.0011+1e-4 {
				t.Fatalf("%v of %d values is %v ms, want from %v to %v", share, len(values), got, millis(low), millis(high))
			}
		}
		for i, p := range q.Curve {
			if i > 0 && (p.Share <= q.Curve[i-1].Share || p.Time < q.Curve[i-1].Time) {
				t.Fatalf("the curve goes back: %v", q.Curve)
			}
		}
	})
}

func TestHistogramBearsAnyDuration(t *testing.T) {
	h := newHistogram()
	for _, d := range []time.Duration{-time.Second, 0, 1, time.Hour} {
		add(h, d)
	}
	if q := quantiles(h); q.Count != 4 || q.Max < 119_000 || q.P50 > 0.001 {
		t.Errorf("%+v", q)
	}
}

// What a server says when it is busy is no failure, everything else that is not success is one, also before the
// measurement; and what is not measured counts nowhere else.
func TestOutcomesAreCountedApart(t *testing.T) {
	r := newRecorder()
	for o, n := range map[outcome]int{good: 5, limited: 2, unavailable: 1, noSession: 1, timedOut: 1, "500": 2, accepted: 1} {
		for range n {
			r.add(result{op: Refresh, outcome: o, fromDue: time.Millisecond})
		}
	}
	r.add(result{op: Refresh, outcome: good, fromDue: time.Hour, warmup: true})
	r.add(result{op: Refresh, outcome: "500", detail: "status 500 server_error", warmup: true})
	got := r.ops[Refresh].report(Refresh, 2)
	if got.Failed != 5 || got.Busy != 4 || got.Requests != 14 || got.Rate != 2.5 || got.Latency.Count != 5 || got.Latency.Max > 1.01 {
		t.Errorf("%+v", got)
	}
	if done, busy, failed := r.totals(); done != 5 || busy != 4 || failed != 5 {
		t.Errorf("%d, %d, %d", done, busy, failed)
	}
	if r.examples["refresh: status 500 server_error"] != 1 || r.examples["refresh: 500"] != 2 {
		t.Errorf("%v", r.examples)
	}
}

// An interval holds what came since the last one was taken, without logins and what needs no network.
func TestIntervals(t *testing.T) {
	r := newRecorder()
	for op := range opCount {
		r.add(result{op: op, fromDue: time.Millisecond})
	}
	if n := r.takeInterval().due.TotalCount(); n != int64(opCount)-2 {
		t.Errorf("the interval has %d requests", n)
	}
	if n := r.takeInterval().due.TotalCount(); n != 0 {
		t.Errorf("the next one has %d", n)
	}
}

func TestReadsMetrics(t *testing.T) {
	const text = `# HELP process_cpu_seconds_total x
process_cpu_seconds_total 1.5
process_resident_memory_bytes 5e+07
go_goroutines 42
process_open_fds 17
go_memstats_heap_inuse_bytes 1.2e+07
authd_revocation_entries{kind="sid"} 3
authd_revocation_entries{kind="jti"} 4
go_goroutines_other 7
`
	want := ServerMetrics{CPU: 1.5, Resident: 5e7, Heap: 1.2e7, Goroutines: 42, Files: 17, Entries: 7}
	if got := parseMetrics(strings.NewReader(text)); got != want {
		t.Errorf("%+v", got)
	}
}

// Whoever took a session has it for himself, those that rest come in turn, and no session is refreshed so often that the
// server would end it.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 3
		var p pool
		n := rapid.IntRange(1, 40).Draw(t, "sessions")
		for range n {
			p.begin(&session{})
		}
		now := time.Unix(1000, 0)
		taken := map[*session]bool{}
		for range rapid.IntRange(1, 500).Draw(t, "turns") {
			if len(taken) > 0 && rapid.Bool().Draw(t, "put") {
				for s := range taken {
					p.put(s)
					delete(taken, s)
					break
				}
				continue
			}
			s := p.take(mayRefresh(most, now))
			if s == nil {
				continue
			}
			if taken[s] || s.again >= most {
				t.Fatalf("taken twice, or refreshed %d times again", s.again)
			}
			s.again, s.rotated = s.again+1, now
			taken[s] = true
		}
		if p.size() != n || len(taken) > n {
			t.Fatalf("%d sessions of %d", p.size(), n)
		}
		for range n - len(taken) {
			if p.take(anySession) == nil {
				t.Fatal("a session was lost")
			}
		}
		if p.take(anySession) != nil {
			t.Fatal("a session was made up")
		}
	})
}

// A session whose refresh may have happened is the next that is taken, wherever the others stand.
func TestUnsureSessionsComeNext(t *testing.T) {
	for before := range 5 {
		var p pool
		for range 6 {
			p.begin(&session{})
		}
		for range before {
			p.take(anySession)
		}
		s := p.take(anySession)
		p.putFirst(s)
		if p.take(anySession) != s {
			t.Errorf("after %d others: another was taken", before)
		}
		for range 5 - before {
			if other := p.take(anySession); other == nil || other == s {
				t.Errorf("after %d others: one was lost", before)
			}
		}
	}
}

// After the grace a session rotates, and may be refreshed as often again.
func TestRestedSessionsMayBeRefreshed(t *testing.T) {
	s := &session{again: 32, rotated: time.Unix(1000, 0)}
	for after, want := range map[time.Duration]bool{time.Second: false, 31 * time.Second: true} {
		if got := mayRefresh(32, s.rotated.Add(after))(s); got != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	s.again = 63 // the grace is longer than usual
	if mayRefresh(32, s.rotated.Add(time.Hour))(s) {
		t.Error("one more would end the session")
	}
}

func TestLoadsThatWouldHoldTooManySessions(t *testing.T) {
	mix, err := ParseMix("login=2,logout=1,verify=7")
	if err != nil {
		t.Fatal(err)
	}
	l := Load{Rate: 100, Mix: mix, Duration: 10 * time.Second, Sessions: 50} // gains 10 a second
	if err := checkSessions(l, 150); err != nil {
		t.Error(err)
	}
	if err := checkSessions(l, 149); err == nil {
		t.Error("150 sessions pass for 149")
	}
}

// A report can be read back as it was written, and drawn, also when there is nothing in it.
func TestReportIsWritten(t *testing.T) {
	for _, r := range []*Report{{}, {Operations: []Operation{{Name: "login", Requests: 1}}, Steps: []Step{{Rate: 1}, {Rate: 2, P99: 3}}}} {
		var text strings.Builder
		if err := r.WriteJSON(&text); err != nil {
			t.Fatal(err)
		}
		var again Report
		if err := json.Unmarshal([]byte(text.String()), &again); err != nil {
			t.Fatal(err)
		}
		if err := r.WriteTable(&text); err != nil {
			t.Fatal(err)
		}
		if svg := r.Plot(); !strings.HasSuffix(svg, "</svg>\n") || strings.Contains(svg, "NaN") {
			t.Errorf("%s", svg)
		}
	}
}
