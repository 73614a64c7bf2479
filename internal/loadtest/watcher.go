package loadtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// watcher looks at a run while it goes on: at the recorder for the display, and at the servers' metrics.
type watcher struct {
	target *Target
	load   Load
	began  time.Time

	first, last []ServerMetrics // at the beginning of the measurement, and at its end
	fed         int64           // bytes that guards had read at the beginning
	measured    time.Time       // when the measurement began; zero before
	samples     []Sample
	intervals   int64 // requests of the interval
}

// ServerMetrics is what one server says of itself.
type ServerMetrics struct {
	CPU        float64 `json:"cpu_seconds"`
	Resident   float64 `json:"resident_bytes"`
	Heap       float64 `json:"heap_bytes"` // in use, garbage included
	Goroutines float64 `json:"goroutines"`
	Files      float64 `json:"open_files"`
	// Entries are the revocations that it holds.
	Entries float64 `json:"revocations"`
}

// Sample is what was seen in one stretch of time.
type Sample struct {
	At       float64         `json:"at_seconds"` // its end, since the measurement began
	Rate     float64         `json:"requests_per_second"`
	P50      float64         `json:"p50_ms"` // of all operations but logins and those without a network, from when they were due
	P99      float64         `json:"p99_ms"`
	Failed   int64           `json:"failed"`
	Busy     int64           `json:"busy"`
	Sessions int             `json:"sessions"`
	Servers  []ServerMetrics `json:"servers,omitempty"`
}

// width of a sample: at most some hundred are kept.
func (w *watcher) width() time.Duration { return max(time.Second, w.load.Duration/240) }

// run looks on until ctx ends, and once more then.
func (w *watcher) run(ctx context.Context) {
	warm := w.began.Add(w.load.Warmup)
	for time.Now().Before(warm) && sleep(ctx, min(w.width(), time.Until(warm))) {
		w.show("warming up", nil)
	}
	w.measured = time.Now()
	w.target.recorder.takeInterval()
	w.first = w.target.readMetrics(context.WithoutCancel(ctx))
	w.fed = w.target.fed.Load()
	for at := w.measured; ; {
		at = at.Add(w.width())
		more := w.wait(ctx, at)
		w.last = w.target.readMetrics(context.WithoutCancel(ctx))
		w.sample()
		if !more {
			return
		}
	}
}

// wait lets time pass, and shows meanwhile that it does.
func (w *watcher) wait(ctx context.Context, until time.Time) bool {
	const show = time.Second
	for time.Until(until) > show {
		if !sleep(ctx, show) {
			return false
		}
		var last *Sample
		if n := len(w.samples); n > 0 {
			last = &w.samples[n-1]
		}
		w.show("measuring", last)
	}
	return sleep(ctx, time.Until(until))
}

func (w *watcher) sample() {
	since := time.Since(w.measured).Seconds()
	taken := w.target.recorder.takeInterval()
	var previous float64
	if n := len(w.samples); n > 0 {
		previous = w.samples[n-1].At
	}
	s := Sample{
		At: since, P50: millis(taken.due.ValueAtQuantile(50)), P99: millis(taken.due.ValueAtQuantile(99)),
		Sessions: w.target.sessions.size(), Servers: w.last,
	}
	for o, n := range taken.outcomes {
		switch {
		case o.failed():
			s.Failed += n
		case o != good:
			s.Busy += n
		}
	}
	done, busy, failed := w.target.recorder.totals()
	s.Rate = float64(done+busy+failed-w.intervals) / max(since-previous, 0.001)
	w.intervals = done + busy + failed
	w.samples = append(w.samples, s)
	w.show("measuring", &s)
}

func (w *watcher) show(phase string, s *Sample) {
	if w.load.Progress == nil {
		return
	}
	p := Progress{Phase: phase, Done: time.Since(w.began), All: w.load.Warmup + w.load.Duration, Sessions: w.target.sessions.size()}
	p.Requests, p.Busy, p.Failed = w.target.recorder.totals()
	if s != nil {
		p.P99, p.RequestsEachSecond = time.Duration(s.P99*float64(time.Millisecond)), s.Rate
	}
	w.load.Progress(p)
}

// readMetrics asks each server; one that does not answer just now says nothing, in zeros.
func (t *Target) readMetrics(ctx context.Context) []ServerMetrics {
	if len(t.metrics) == 0 {
		return nil
	}
	all := make([]ServerMetrics, len(t.metrics))
	for i, e := range t.metrics {
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		req, err := http.NewRequestWithContext(asking, http.MethodGet, e.url.String(), nil)
		if err == nil {
			if resp, err := t.asker.Do(req); err == nil {
				all[i] = parseMetrics(resp.Body)
				resp.Body.Close()
			}
		}
		cancel()
	}
	return all
}

// parseMetrics reads Prometheus' text format as far as it is needed here.
func parseMetrics(r io.Reader) (m ServerMetrics) {
	values := map[string]*float64{
		"process_cpu_seconds_total": &m.CPU, "process_resident_memory_bytes": &m.Resident, "go_memstats_heap_inuse_bytes": &m.Heap,
		"go_goroutines": &m.Goroutines, "process_open_fds": &m.Files, "authd_revocation_entries": &m.Entries,
	}
	for lines := bufio.NewScanner(io.LimitReader(r, 8<<20)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		target := values[name]
		if !ok || target == nil {
			continue
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			*target += n // authd_revocation_entries has a line for each kind
		}
	}
	return m
}
