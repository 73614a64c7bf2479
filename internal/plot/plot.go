// Package plot draws charts as SVG: those of the documentation and of `authd bench`, in one style and without a
// dependency. A chart is a value that says what is in it; SVG returns the picture.
package plot

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

const (
	width = 720
	right = 70
	top   = 34

	ours  = "#1f6f8b"
	peer  = "#bbb"
	floor = "#e0e0e0"
)

// colors are those of the series of a chart, in order.
func colors() []string {
	return []string{ours, "#c0662c", "#5b8c3e", "#7a5195", "#b0303a", "#8a7a2b", "#444444", "#d48ab0"}
}

// canvas is a picture that is being drawn.
type canvas struct{ strings.Builder }

func (c *canvas) draw(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

// text writes words at a place; anchor is start, middle or end.
func (c *canvas) text(x, y float64, anchor, style, words string) {
	c.draw(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, style, escape(words))
}

func escape(words string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(words)) // a Builder takes everything
	return b.String()
}

const (
	black = `fill="#222"`
	small = `fill="#888" font-size="11"`
)

// figure puts drawings below each other into one picture.
func figure(title string, heights []int, drawings []string) string {
	all := 0
	for _, h := range heights {
		all += h
	}
	var c canvas
	c.draw(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`, width, all)
	c.draw("<title>%s</title>", escape(title))
	c.draw(`<rect width="100%%" height="100%%" fill="#fff"/>`)
	y := 0
	for i, d := range drawings {
		c.draw(`<g transform="translate(0 %d)">`, y)
		c.WriteString(d)
		c.draw("</g>")
		y += heights[i]
	}
	c.draw("</svg>")
	return c.String()
}

// Bars are a chart of amounts by name, in groups.
type Bars struct {
	Title  string
	Groups []Group
	// Name writes an amount.
	Name func(float64) string
}

// Group is some bars that belong together.
type Group struct {
	Name string
	Bars []Bar
}

// Bar is one amount.
type Bar struct {
	Name   string
	Amount float64
	Part   float64 // drawn pale: what none can do without
	Ours   bool
}

// SVG draws the chart.
func (b Bars) SVG() string {
	const row, gap, left = 18, 30, 190
	most, y := 0.0, float64(top)
	for _, g := range b.Groups {
		for _, bar := range g.Bars {
			most = max(most, bar.Amount)
		}
	}
	scale := (width - left - right) / most
	var c canvas
	c.text(12, 20, "start", black, b.Title)
	for _, g := range b.Groups {
		c.text(12, y+16, "start", black+` font-weight="bold"`, g.Name)
		y += 4
		for _, bar := range g.Bars {
			color := peer
			if bar.Ours {
				color = ours
			}
			c.text(left-8, y+12, "end", black, bar.Name)
			c.draw(`<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`, left, y, bar.Amount*scale, row-4, color)
			c.draw(`<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`, left, y, min(bar.Part, bar.Amount)*scale, row-4, floor)
			c.text(left+bar.Amount*scale+6, y+12, "start", black, b.Name(bar.Amount))
			y += row
		}
		y += gap - 4
	}
	return figure(b.Title, []int{int(y)}, []string{c.String()})
}

// Axis is one of the two of a chart.
type Axis struct {
	From, To float64
	Log      bool
	Ticks    []float64 // by default the powers of ten of a logarithmic axis, and five steps of another
	Name     func(float64) string
}

// at tells where a value lies, from 0 to 1.
func (a Axis) at(v float64) float64 {
	v = min(max(v, a.From), a.To)
	if a.Log {
		return math.Log(v/a.From) / math.Log(a.To/a.From)
	}
	return (v - a.From) / (a.To - a.From)
}

func (a Axis) ticks() []float64 {
	if a.Ticks != nil {
		return a.Ticks
	}
	var ticks []float64
	if a.Log {
		for v := math.Pow(10, math.Ceil(math.Log10(a.From)-1e-9)); v <= a.To*(1+1e-9); v *= 10 {
			ticks = append(ticks, v)
		}
		return ticks
	}
	const steps = 5
	for i := range steps + 1 {
		ticks = append(ticks, a.From+(a.To-a.From)*float64(i)/steps)
	}
	return ticks
}

// Chart is lines over two axes.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series
}

// Series is one line.
type Series struct {
	Name   string
	Points []Point
	Dots   bool // a dot at each point
}

// Point is a place in a chart. Values beyond an axis are drawn at its end.
type Point struct{ X, Y float64 }

const (
	chartBase = 250
	chartLeft = 70
)

// columns of the names of the series: fewer where they are long.
func (c Chart) columns() int {
	const long = 25
	for _, s := range c.Series {
		if len(s.Name) > long {
			return 2
		}
	}
	return 3
}

func (c Chart) height() int { return chartBase + 50 + 18*((len(c.Series)-1)/c.columns()) }

func (c Chart) drawing() string {
	var out canvas
	x := func(v float64) float64 { return chartLeft + c.X.at(v)*(width-chartLeft-right) }
	y := func(v float64) float64 { return chartBase - c.Y.at(v)*(chartBase-top-10) }
	out.text(12, 20, "start", black, c.Title)
	for _, v := range c.X.ticks() {
		out.draw(`<path d="M%.1f %.1fV%d" stroke="#eee"/>`, x(v), y(c.Y.To), chartBase)
		out.text(x(v), chartBase+16, "middle", small, c.X.Name(v))
	}
	for _, v := range c.Y.ticks() {
		out.draw(`<path d="M%d %.1fH%d" stroke="#ddd"/>`, chartLeft, y(v), width-right)
		out.text(chartLeft-6, y(v)+4, "end", small, c.Y.Name(v))
	}
	for i, s := range c.Series {
		color := colors()[i%len(colors())]
		var path strings.Builder
		for j, p := range s.Points {
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[j == 0], x(p.X), y(p.Y))
			if s.Dots {
				out.draw(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, x(p.X), y(p.Y), color)
			}
		}
		if len(s.Points) > 0 {
			out.draw(`<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, path.String(), color)
		}
		n := c.columns()
		out.text(chartLeft+float64(i%n*600/n), float64(chartBase+38+18*(i/n)), "start", `fill="`+color+`"`, s.Name)
	}
	return out.String()
}

// SVG draws the chart.
func (c Chart) SVG() string { return Stack(c.Title, c) }

// Stack draws charts below each other in one picture.
func Stack(title string, charts ...Chart) string {
	var heights []int
	var drawings []string
	for _, c := range charts {
		heights = append(heights, c.height())
		drawings = append(drawings, c.drawing())
	}
	return figure(title, heights, drawings)
}

// Decades are the bounds of a logarithmic axis that holds all values: powers of ten.
func Decades(values ...float64) (from, to float64) {
	from, to = math.Inf(1), 0
	for _, v := range values {
		if v > 0 {
			from, to = min(from, v), max(to, v)
		}
	}
	if to == 0 {
		return 1, 10
	}
	from, to = math.Pow(10, math.Floor(math.Log10(from)+1e-9)), math.Pow(10, math.Ceil(math.Log10(to)-1e-9))
	return from, max(to, from*10)
}
