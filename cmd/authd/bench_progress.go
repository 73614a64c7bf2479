package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/authd-project/authd/internal/loadtest"
)

// write lets a report write itself into one of the files; without a name nothing is written.
func (o outputFiles) write(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	if err := write(o[name]); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// progressLine says how far a load test has come: a line that is drawn over at a terminal, and otherwise one now and then.
type progressLine struct {
	w        io.Writer
	terminal bool
	every    time.Duration

	mu    sync.Mutex
	last  time.Time
	phase string
}

func newProgressLine(w io.Writer, quiet bool) *progressLine {
	if quiet {
		return &progressLine{w: io.Discard, every: time.Hour}
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return &progressLine{w: w, terminal: true, every: 200 * time.Millisecond}
	}
	return &progressLine{w: w, every: 10 * time.Second}
}

// show may be called concurrently.
func (l *progressLine) show(p loadtest.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= l.every || p.Phase != l.phase {
		l.last, l.phase = now, p.Phase
		text := describeProgress(p)
		if l.terminal {
			fmt.Fprintf(l.w, "\r\x1b[K%s", text)
		} else {
			fmt.Fprintln(l.w, text)
		}
	}
}

// end leaves the line.
func (l *progressLine) end() {
	if l.terminal {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}

func describeProgress(p loadtest.Progress) string {
	switch {
	case p.SessionsToBe > 0:
		return fmt.Sprintf("%s: %d of %d sessions", p.Phase, p.Sessions, p.SessionsToBe)
	case p.All == 0:
		return p.Phase
	}
	text := fmt.Sprintf("%s %v of %v", p.Phase, p.Done.Round(time.Second), p.All)
	if p.RequestsEachSecond > 0 {
		text += fmt.Sprintf(": %.0f/s, p99 %.1f ms, %d answered, %d busy, %d failed, %d sessions",
			p.RequestsEachSecond, p.P99.Seconds()*1000, p.Requests, p.Busy, p.Failed, p.Sessions)
	}
	return text
}
