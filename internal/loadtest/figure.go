package loadtest

import (
	"fmt"
	"io"
	"strings"

	"github.com/authd-project/authd/internal/plot"
)

// Plot draws the report as SVG: how slow the slowest requests were, the course of the run, when verifiers heard of
// logouts, and the steps of a search.
func (r *Report) Plot() string {
	var charts []plot.Chart
	if c := r.plotLatencies(); len(c.Series) > 0 {
		charts = append(charts, c)
	}
	if c := r.plotRefusals(); len(c.Series) > 0 {
		charts = append(charts, c)
	}
	if len(r.Samples) > 1 {
		charts = append(charts, r.plotCourse())
	}
	if len(r.Steps) > 1 {
		charts = append(charts, r.plotSteps())
	}
	return plot.Stack("authd bench: "+r.Settings.Mix, charts...)
}

func millisName(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.3g µs", ms*1000)
	case ms >= 1000:
		return fmt.Sprintf("%.3g s", ms/1000)
	}
	return fmt.Sprintf("%.3g ms", ms)
}

// plotLatencies has an axis on which each nine of a percentile is as wide as the one before.
func (r *Report) plotLatencies() plot.Chart {
	c := plot.Chart{Title: fmt.Sprintf("Latency from when a request was due, by percentile; %s requests/s", Digits(r.Settings.Rate))}
	var times []float64
	nines := 10.0
	for _, o := range r.Operations {
		s := plot.Series{Name: o.Name}
		for _, p := range o.Latency.Curve {
			inverse := 1 / (1 - p.Share)
			s.Points = append(s.Points, plot.Point{X: inverse, Y: p.Time})
			times = append(times, p.Time)
			nines = max(nines, inverse)
		}
		if len(s.Points) > 1 {
			c.Series = append(c.Series, s)
		}
	}
	c.X = plot.Axis{From: 1, To: nines, Log: true, Name: percentileName}
	c.Y = plot.Axis{Log: true, Name: millisName}
	c.Y.From, c.Y.To = plot.Decades(times...)
	return c
}

// percentileName writes 1/(1-share) as that share: 100 is 99 %.
func percentileName(inverse float64) string {
	text := fmt.Sprintf("%.5f", 100-100/inverse)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " %"
}

func (r *Report) plotRefusals() plot.Chart {
	c := plot.Chart{Title: "Share of logouts that verifiers refuse, by the time since the logout was answered"}
	first, last := 0.01, 1.0
	for _, f := range r.Refusals {
		s := plot.Series{Name: f.Verifier}
		for _, p := range f.Late.Curve {
			s.Points = append(s.Points, plot.Point{X: p.Time, Y: p.Share})
		}
		if len(s.Points) > 1 {
			c.Series = append(c.Series, s)
			last = max(last, f.Late.Max)
		}
	}
	_, last = plot.Decades(first, last)
	c.X = plot.Axis{From: first, To: last, Log: true, Name: millisName}
	c.Y = plot.Axis{From: 0, To: 1, Ticks: []float64{0, 0.5, 0.99}, Name: func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }}
	return c
}

func (r *Report) plotCourse() plot.Chart {
	c := plot.Chart{Title: "The course of the run, without logins"}
	middle, slow := plot.Series{Name: "p50"}, plot.Series{Name: "p99"}
	var times []float64
	for _, s := range r.Samples {
		if s.P99 > 0 {
			middle.Points = append(middle.Points, plot.Point{X: s.At, Y: s.P50})
			slow.Points = append(slow.Points, plot.Point{X: s.At, Y: s.P99})
			times = append(times, s.P50, s.P99)
		}
	}
	c.Series = []plot.Series{middle, slow}
	c.X = plot.Axis{From: 0, To: max(1, r.Seconds), Name: func(v float64) string { return Digits(v) + " s" }}
	c.Y = plot.Axis{Log: true, Name: millisName}
	c.Y.From, c.Y.To = plot.Decades(times...)
	return c
}

func (r *Report) plotSteps() plot.Chart {
	c := plot.Chart{Title: "99th percentile by rate"}
	all, logins := plot.Series{Name: "all but login", Dots: true}, plot.Series{Name: "login", Dots: true}
	var times []float64
	most := 0.0
	for _, s := range sortedSteps(r.Steps) {
		most = max(most, s.Rate)
		for series, p99 := range map[*plot.Series]float64{&all: s.P99, &logins: s.Login} {
			if p99 > 0 {
				series.Points = append(series.Points, plot.Point{X: s.Rate, Y: p99})
				times = append(times, p99)
			}
		}
	}
	c.Series = []plot.Series{all, logins}
	c.X = plot.Axis{From: 0, To: most, Name: func(v float64) string { return Digits(v) + "/s" }}
	c.Y = plot.Axis{Log: true, Name: millisName}
	c.Y.From, c.Y.To = plot.Decades(times...)
	return c
}

// WritePlot writes what Plot draws.
func (r *Report) WritePlot(w io.Writer) error {
	_, err := io.WriteString(w, r.Plot())
	return err
}
