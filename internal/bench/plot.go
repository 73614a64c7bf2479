package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	plotWidth  = 720
	plotLeft   = 190 // room for names
	plotRight  = 70
	plotTop    = 34
	colorOurs  = "#1f6f8b"
	colorPeer  = "#bbb"
	colorFloor = "#e0e0e0"
)

// svg begins a picture; the caller closes it.
func svg(height int, title string) *strings.Builder {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", title)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="12" y="20" fill="#222">%s</text>`+"\n", title)
	return &b
}

// plotVerify draws what verifying a token costs, of which the pale part is the signature check.
func plotVerify(all []verification) string {
	const row, gap = 18, 30
	height := plotTop
	most := 0.0
	for _, v := range all {
		for _, r := range v.unseen() {
			most = max(most, r.ns)
			height += row
		}
		height += gap
	}
	b := svg(height, "Verifying a token not seen before, µs; pale: the bare signature check")
	scale := (plotWidth - plotLeft - plotRight) / most
	y := plotTop
	for _, v := range all {
		fmt.Fprintf(b, `<text x="12" y="%d" fill="#222" font-weight="bold">%s</text>`+"\n", y+16, v.alg)
		y += 4
		floor := v.find(nameBare).ns
		for _, r := range v.unseen() {
			color := colorPeer
			if r.name == nameNew {
				color = colorOurs
			}
			fmt.Fprintf(b, `<text x="%d" y="%d" fill="#222" text-anchor="end">%s</text>`+"\n", plotLeft-8, y+12, r.name)
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLeft, y, r.ns*scale, row-4, color)
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLeft, y, min(floor, r.ns)*scale, row-4, colorFloor)
			fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#222">%.1f</text>`+"\n", plotLeft+r.ns*scale+6, y+12, r.ns/1000)
			y += row
		}
		y += gap - 4
	}
	b.WriteString("</svg>\n")
	return b.String()
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
	const height, base, left = 300, 250, 60
	colors := []string{colorOurs, "#c0662c"}
	first, last := 10*time.Microsecond, 100*time.Millisecond
	x := func(d time.Duration) float64 {
		d = min(max(d, first), last)
		return left + math.Log(float64(d)/float64(first))/math.Log(float64(last)/float64(first))*(plotWidth-left-plotRight)
	}
	y := func(share float64) float64 { return base - share*(base-plotTop-10) }
	b := svg(height, fmt.Sprintf("Share of %d mirrors that deny a session, by the time since its logout was answered", mirrors))
	for d := first; d <= last; d *= 10 {
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%d" stroke="#eee"/>`+"\n", x(d), y(1), base)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#888" font-size="11" text-anchor="middle">%v</text>`+"\n", x(d), base+16, d)
	}
	for _, share := range []float64{0, 0.5, 0.99} {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, y(share), plotWidth-plotRight)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="#888" font-size="11" text-anchor="end">%.0f %%</text>`+"\n", left-6, y(share)+4, share*100)
	}
	for i, o := range all {
		color := colors[i%len(colors)]
		const points = 200
		var path strings.Builder
		for p := 0; p <= points; p++ {
			share := float64(p) / points
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[p == 0], x(quantile(o.late, share)), y(share))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), color)
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">mirrors on %s</text>`+"\n", left+i*200, base+38, color, o.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
