package main

import (
	"fmt"
	"time"

	"github.com/authd-project/authd/internal/plot"
)

// plotVerify draws what verifying a token costs, of which the pale part is the signature check.
func plotVerify(all []verification) string {
	b := plot.Bars{
		Title: "Verifying a token not seen before, µs; pale: the bare signature check",
		Name:  func(ns float64) string { return fmt.Sprintf("%.1f", ns/1000) },
	}
	for _, v := range all {
		g := plot.Group{Name: v.alg}
		for _, r := range v.unseen() {
			g.Bars = append(g.Bars, plot.Bar{Name: r.name, Amount: r.ns, Part: v.find(nameBare).ns, Ours: r.name == nameNew})
		}
		b.Groups = append(b.Groups, g)
	}
	return b.SVG()
}

// unseen are the results about tokens not seen before.
func (v verification) unseen() []result {
	var results []result
	for _, r := range v.results {
		if r.name != nameSeen(v.few) && r.name != nameSeen(v.many) {
			results = append(results, r)
		}
	}
	return results
}

// plotLogouts draws which share of the mirrors denied a session how long after the answer to its logout, on a logarithmic
// scale of time.
func plotLogouts(all []logouts) string {
	c := plot.Chart{
		Title: fmt.Sprintf("Share of %d mirrors that deny a session, by the time since its logout was answered", mirrors),
		X: plot.Axis{
			From: (10 * time.Microsecond).Seconds(), To: (100 * time.Millisecond).Seconds(), Log: true,
			Name: func(s float64) string {
				return time.Duration(s * float64(time.Second)).Round(time.Microsecond).String()
			},
		},
		Y: plot.Axis{From: 0, To: 1, Ticks: []float64{0, 0.5, 0.99}, Name: func(v float64) string { return fmt.Sprintf("%.0f %%", v*100) }},
	}
	for _, o := range all {
		s := plot.Series{Name: "mirrors on " + o.name}
		const points = 200
		for p := range points + 1 {
			share := float64(p) / points
			s.Points = append(s.Points, plot.Point{X: quantile(o.late, share).Seconds(), Y: share})
		}
		c.Series = append(c.Series, s)
	}
	return c.SVG()
}
