package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run has found. Times of its JSON are milliseconds. It holds no secret.
type Report struct {
	Began       time.Time `json:"began"`
	Machine     Machine   `json:"machine"` // that the load came from
	Settings    Settings  `json:"settings"`
	Seconds     float64   `json:"measured_seconds"`
	Interrupted bool      `json:"interrupted,omitempty"`

	Operations []Operation `json:"operations"`
	Refusals   []Refusals  `json:"logout_to_refusal,omitempty"`
	// Held are questions about sessions that had ended earlier, all of which were refused; see failures for the others.
	Held     int64            `json:"ended_sessions_refused_again"`
	Failures map[string]int64 `json:"failures,omitempty"` // what they looked like, and how often

	Rotated  int64   `json:"refreshes_rotated"`
	Kept     int64   `json:"refreshes_answered_again"` // within the grace
	Waited   float64 `json:"waited_for_connection"`    // share of the requests for which none was free when they were due
	Repeated int64   `json:"requests_repeated"`        // as their connection ended before an answer
	Sessions int     `json:"sessions_at_end"`

	FeedBytes float64         `json:"feed_bytes_per_second_per_guard"`
	Servers   []ServerMetrics `json:"servers,omitempty"` // at the end
	ServerCPU float64         `json:"server_cpu_cores"`  // of all together, while measuring; 0 where nobody tells
	Samples   []Sample        `json:"samples"`
	Steps     []Step          `json:"steps,omitempty"`              // of a search for the knee, of which this run is the last that was borne
	Beyond    int64           `json:"failed_beyond_knee,omitempty"` // requests of other steps, for other reasons than the load
	Forgiven  int64           `json:"failed_by_overload,omitempty"` // requests of this run, where no rate was borne
}

// Machine is where the load came from.
type Machine struct {
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`
}

// Settings are those of the run.
type Settings struct {
	URLs        []string      `json:"urls"`
	Services    []string      `json:"services,omitempty"`
	Mix         string        `json:"mix"`
	Rate        float64       `json:"rate"`
	Arrivals    Arrivals      `json:"arrivals"`
	Seed        uint64        `json:"seed"`
	Connections int           `json:"connections"`
	Accounts    int           `json:"accounts"`
	Sessions    int           `json:"sessions"`
	Guards      int           `json:"guards"`
	Bound       time.Duration `json:"bound_ns"`
}

// Operation is what became of the requests of one kind.
type Operation struct {
	Name     string           `json:"name"`
	Requests int64            `json:"requests"`
	Rate     float64          `json:"answers_per_second"` // good ones
	Latency  Quantiles        `json:"latency"`            // from when requests were due
	Took     Quantiles        `json:"took"`               // from when they were sent
	Outcomes map[string]int64 `json:"outcomes"`           // ok, 429, 503, no session, and failures
	Failed   int64            `json:"failed"`
	Busy     int64            `json:"busy"`
}

// Refusals are of one kind of verifier: how long after the answer to a logout its token was refused.
type Refusals struct {
	Verifier string    `json:"verifier"`
	Late     Quantiles `json:"late"`
	Accepted int64     `json:"accepted_after_bound"`
	// Blind are logouts about which the verifier could not tell in time; it accepted nothing meanwhile.
	Blind int64 `json:"could_not_tell"`
}

// Quantiles describe a histogram, in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
	// Curve has the latency at ever higher percentiles, for a plot.
	Curve []Point `json:"curve,omitempty"`
}

// Point is one of a distribution.
type Point struct {
	Share float64 `json:"share"` // of all requests, that were not slower
	Time  float64 `json:"ms"`
}

// Step is one rate that a search tried.
type Step struct {
	Rate   float64 `json:"rate"`
	P99    float64 `json:"p99_ms"` // the worst of the operations but login
	Login  float64 `json:"login_p99_ms"`
	Errors float64 `json:"errors"` // share of the requests that were not good
	CPU    float64 `json:"server_cpu_cores"`
	Borne  bool    `json:"borne"`
}

func millis(ns int64) float64 { return float64(ns) / 1e6 }

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	if h.TotalCount() == 0 {
		return Quantiles{}
	}
	q := Quantiles{
		Count: h.TotalCount(), Mean: h.Mean() / 1e6, P50: millis(h.ValueAtQuantile(50)), P90: millis(h.ValueAtQuantile(90)),
		P99: millis(h.ValueAtQuantile(99)), P999: millis(h.ValueAtQuantile(99.9)), Max: millis(h.Max()),
	}
	for rest := 1.0; rest*float64(q.Count) >= 1 && rest > 1e-7; rest *= math.Pow(10, -0.1) {
		q.Curve = append(q.Curve, Point{1 - rest, millis(h.ValueAtQuantile(100 * (1 - rest)))})
	}
	return q
}

// report puts together what the run has found.
func (t *Target) report(ctx context.Context, l Load, d *dispatcher, w *watcher, ended time.Time) *Report {
	r := t.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := &Report{
		Began: w.began.UTC(), Interrupted: ctx.Err() != nil,
		Machine: Machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()},
		Settings: Settings{
			URLs: t.config.URLs, Services: t.config.Services, Mix: l.Mix.String(), Rate: l.Rate,
			Arrivals: Arrivals(orElse(string(l.Arrivals), string(Poisson))), Seed: l.Seed, Connections: t.config.Connections,
			Accounts: len(t.config.Accounts), Sessions: l.Sessions, Guards: t.config.Guards, Bound: t.config.MaxStaleness,
		},
		Held: r.held, Failures: maps.Clone(r.examples), Rotated: r.rotated, Kept: r.kept, Repeated: t.repeated.Load(),
		Sessions: t.sessions.size(), Samples: w.samples, Servers: w.last,
	}
	if !w.measured.IsZero() {
		rep.Seconds = max(0.001, ended.Sub(w.measured).Seconds())
		rep.FeedBytes = float64(t.fed.Load()-w.fed) / time.Since(w.measured).Seconds() / float64(max(1, len(t.guards)))
	}
	for i := range w.first {
		if used := w.last[i].CPU - w.first[i].CPU; used > 0 { // less: it was restarted
			rep.ServerCPU += used / rep.Seconds
		}
	}
	var all int64
	for op := range opCount {
		if o := r.ops[op].report(op, rep.Seconds); o.Requests > 0 {
			rep.Operations = append(rep.Operations, o)
			all += o.Requests
		}
	}
	rep.Waited = float64(r.waited) / float64(max(1, all))
	for _, kind := range slices.Sorted(maps.Keys(r.refusals)) {
		f := r.refusals[kind]
		rep.Refusals = append(rep.Refusals, Refusals{Verifier: kind, Late: quantiles(f.late), Accepted: f.after, Blind: f.blind})
	}
	return rep
}

func (t *tally) report(op Op, seconds float64) Operation {
	o := Operation{
		Name: op.String(), Latency: quantiles(t.due), Took: quantiles(t.sent), Outcomes: map[string]int64{},
		Rate: float64(t.outcomes[good]) / max(seconds, 0.001),
	}
	o.Took.Curve = nil
	for outcome, n := range t.outcomes {
		o.Outcomes[orElse(string(outcome), "ok")] = n
		o.Requests += n
		switch {
		case outcome.failed():
			o.Failed += n
		case outcome != good:
			o.Busy += n
		}
	}
	return o
}

// Failed is how many requests failed that should not have.
func (r *Report) Failed() int64 {
	n := r.Beyond - r.Forgiven
	for _, o := range r.Operations {
		n += o.Failed
	}
	return n
}

// Errors is the share of the requests that were not answered as asked, busy servers included.
func (r *Report) Errors() float64 {
	var bad, all int64
	for _, o := range r.Operations {
		bad += o.Failed + o.Busy
		all += o.Requests
	}
	return float64(bad) / float64(max(1, all))
}

// step sums the run up for a search.
func (r *Report) step() Step {
	s := Step{Rate: r.Settings.Rate, Errors: r.Errors(), CPU: r.ServerCPU}
	for _, o := range r.Operations {
		if o.Name == Login.String() {
			s.Login = o.Latency.P99
		} else {
			s.P99 = max(s.P99, o.Latency.P99)
		}
	}
	return s
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	err := errors.Join(r.writeOperations(w), r.writeRefusals(w), r.writeSteps(w))
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, r.notes())
	return err
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func (r *Report) writeOperations(w io.Writer) error {
	t := newTable(w)
	fmt.Fprintln(t, "operation\trequests\tgood/s\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\ttook p50 ms\t429, 503\tfailed\t")
	for _, o := range r.Operations {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%s\t%s\t%d\t%d\t\n", o.Name, o.Requests, o.Rate, o.Latency.cells(), Digits(o.Took.P50), o.Busy, o.Failed)
	}
	return t.Flush()
}

// cells are the columns of a distribution.
func (q Quantiles) cells() string {
	return Digits(q.P50) + "\t" + Digits(q.P90) + "\t" + Digits(q.P99) + "\t" + Digits(q.P999) + "\t" + Digits(q.Max)
}

func (r *Report) writeRefusals(w io.Writer) error {
	if len(r.Refusals) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w)
	fmt.Fprintln(t, "from logout to refusal by\trefusals\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\tcould not tell\taccepted\t")
	for _, f := range r.Refusals {
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%d\t\n", f.Verifier, f.Late.Count, f.Late.cells(), f.Blind, f.Accepted)
	}
	return t.Flush()
}

func (r *Report) writeSteps(w io.Writer) error {
	if len(r.Steps) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w)
	fmt.Fprintln(t, "requests/s\tp99 ms\tlogin p99 ms\tnot as asked, %\tserver cores\tborne\t")
	for _, s := range r.Steps {
		borne := map[bool]string{true: "yes", false: "no"}[s.Borne]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", Digits(s.Rate), Digits(s.P99), Digits(s.Login), Digits(100*s.Errors), Digits(s.CPU), borne)
	}
	return t.Flush()
}

// notes are the sentences below the table.
func (r *Report) notes() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured for %.1f s at %s requests/s (%s); latencies count from when a request was due.\n",
		r.Seconds, Digits(r.Settings.Rate), r.Settings.Mix)
	if r.Interrupted {
		b.WriteString("Interrupted: this is what there is.\n")
	}
	if r.Rotated+r.Kept > 0 {
		fmt.Fprintf(&b, "%d refreshes rotated, %d were answered again within the grace.\n", r.Rotated, r.Kept)
	}
	if r.Held > 0 {
		fmt.Fprintf(&b, "Ended sessions were asked about %d times again, and refused.\n", r.Held)
	}
	if r.Repeated > 0 {
		fmt.Fprintf(&b, "%d requests were sent again, as their connection ended before an answer.\n", r.Repeated)
	}
	if r.Waited > 0.01 {
		fmt.Fprintf(&b, "%.0f %% of the requests waited for one of the %d connections.\n", 100*r.Waited, r.Settings.Connections)
	}
	if r.ServerCPU > 0 {
		fmt.Fprintf(&b, "Servers used %s cores.\n", Digits(r.ServerCPU))
	}
	if r.Settings.Guards > 0 {
		fmt.Fprintf(&b, "Each of %d guards read %.0f bytes/s from the issuer.\n", r.Settings.Guards, r.FeedBytes)
	}
	for _, what := range slices.Sorted(maps.Keys(r.Failures)) {
		fmt.Fprintf(&b, "FAILED %d times: %s\n", r.Failures[what], what)
	}
	return b.String()
}

// Digits writes a number with three digits that count. In milliseconds, what is below 100 ns cannot be told from nothing.
func Digits(v float64) string {
	switch {
	case math.Abs(v) < 1e-4:
		return "0"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case math.Abs(v) >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}
