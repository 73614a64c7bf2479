package main_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// grafana is what of a dashboard is drawn.
type grafana struct {
	Panels []panel
}

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr, LegendFormat string }
}

// series is what a panel shows of one query's answer.
type series struct {
	name   string
	points []point
}

type point struct {
	at    time.Time
	value float64
}

func readDashboard(t *testing.T) grafana {
	t.Helper()
	var d grafana
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(monitoring, "dashboard.json"))), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The picture of the dashboard in docs/metrics.md has every panel where the dashboard has it, each with what it showed of a run.
func TestDashboardPlot(t *testing.T) {
	t.Parallel()
	picture := readText(t, "../../docs/dashboard.svg")
	const again = "go test ./cmd/authd -run 'TestDashboard$' -dashboard.plot draws it anew"
	panels := readDashboard(t).Panels
	if n := strings.Count(picture, "<g "); n != len(panels) {
		t.Errorf("%d panels are drawn, want %d; %s", n, len(panels), again)
	}
	for _, p := range panels {
		_, rest, found := strings.Cut(picture, p.open()+"\n")
		drawn, _, _ := strings.Cut(rest, "</g>")
		switch {
		case !found:
			t.Errorf("%s: not drawn where the dashboard has it; %s", p.Title, again)
		case !strings.Contains(drawn, ">"+html.EscapeString(p.Title)+"<"):
			t.Errorf("%s: drawn without its title; %s", p.Title, again)
		case p.Type == "stat" && !strings.Contains(drawn, `font-size="26"`), // its number
			p.Type == "timeseries" && !strings.Contains(drawn, "<path class=\"line\"") && !slices.Contains(quietPanels, p.Title):
			t.Errorf("%s: nothing is drawn in it; %s", p.Title, again)
		}
	}
	if !strings.Contains(readText(t, "../../docs/metrics.md"), "](dashboard.svg)") {
		t.Error("docs/metrics.md does not show docs/dashboard.svg")
	}
}

const (
	gridColumn, gridRow = 50, 27 // of the dashboard's grid, in pixels
	gridGap             = 6
	axisLeft, axisBelow = 56, 18
	legendLine          = 13
	legendMost          = 4 // lines
)

func lineColors() []string {
	return []string{"#1f6f8b", "#c0662c", "#5b8c3a", "#8a4f9e", "#b8902a", "#b03a48", "#4a7fc1", "#6b6b6b"}
}

// open is the tag that a panel's group begins with.
func (p panel) open() string {
	return fmt.Sprintf(`<g id="panel%d" transform="translate(%d,%d)">`, p.ID, p.GridPos.X*gridColumn, p.GridPos.Y*gridRow+captionHeight)
}

const captionHeight = 30

// drawDashboard draws the panels in the dashboard's own layout.
func drawDashboard(d grafana, caption string, shown map[int][]series) string {
	rows := 0
	for _, p := range d.Panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	width, height := 24*gridColumn, rows*gridRow+captionHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", caption)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="#fff"/>`)
	fmt.Fprintf(&b, `<text x="10" y="20" fill="#222" font-size="13">%s</text>`+"\n", caption)
	for _, p := range d.Panels {
		fmt.Fprintln(&b, p.open())
		p.draw(&b, shown[p.ID])
		fmt.Fprintln(&b, "</g>")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) draw(b *strings.Builder, shown []series) {
	w, h := p.GridPos.W*gridColumn-gridGap, p.GridPos.H*gridRow-gridGap
	if p.Type == "row" {
		fmt.Fprintf(b, `<text x="10" y="%d" fill="#222" font-size="14" font-weight="bold">%s</text>`+"\n", h-2, html.EscapeString(p.Title))
		return
	}
	fmt.Fprintf(b, `<rect x="3" width="%d" height="%d" rx="3" fill="none" stroke="#ccc"/>`+"\n", w, h)
	fmt.Fprintf(b, `<text x="11" y="17" fill="#222" font-size="12" font-weight="bold">%s</text>`+"\n", html.EscapeString(p.Title))
	if p.Type == "stat" {
		last := math.NaN()
		if len(shown) > 0 {
			last = shown[0].points[len(shown[0].points)-1].value
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s" font-size="26" text-anchor="middle">%s</text>`+"\n",
			w/2, h/2+20, lineColors()[0], spell(last, p.FieldConfig.Defaults.Unit))
		return
	}
	shown, atZero := legible(shown)
	legend := min(legendMost, (len(shown)+min(atZero, 1)+1)/2)
	p.drawLines(b, w-20, h-legend*legendLine-axisBelow-8, shown)
	drawLegend(b, w, h-legend*legendLine+2, shown, atZero)
}

// legible leaves out what was 0 all the time, where there is more than a legend can name.
func legible(shown []series) (some []series, atZero int) {
	if len(shown) <= 2*legendMost {
		return shown, 0
	}
	some = slices.DeleteFunc(slices.Clone(shown), func(s series) bool {
		return !slices.ContainsFunc(s.points, func(p point) bool { return p.value != 0 })
	})
	return some, len(shown) - len(some)
}

// drawLines draws the axes and a line for each series. The plot reaches from axisLeft to right and from 28 to base.
func (p panel) drawLines(b *strings.Builder, right, base int, shown []series) {
	const top = 28
	var begun, ended time.Time
	highest := 0.0
	for _, s := range shown {
		for _, q := range s.points {
			if begun.IsZero() || q.at.Before(begun) {
				begun = q.at
			}
			if q.at.After(ended) {
				ended = q.at
			}
			highest = max(highest, q.value)
		}
	}
	step := niceStep(highest)
	if p.FieldConfig.Defaults.Unit == "bytes" {
		step = niceStep(highest/(1<<20)) * (1 << 20)
	}
	most := max(step, math.Ceil(highest/step)*step)
	y := func(v float64) float64 { return float64(base) - v/most*float64(base-top) }
	x := func(at time.Time) float64 {
		return axisLeft + at.Sub(begun).Seconds()/max(ended.Sub(begun).Seconds(), 1)*float64(right-axisLeft)
	}
	for v := 0.0; v <= most*1.001; v += step {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#e6e6e6"/><text x="%d" y="%.1f" fill="#777" text-anchor="end">%s</text>`+"\n",
			axisLeft, y(v), right, axisLeft-5, y(v)+4, spell(v, p.FieldConfig.Defaults.Unit))
	}
	if len(shown) == 0 {
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#777" text-anchor="middle">none</text>`+"\n", (axisLeft+right)/2, (top+base)/2)
		return
	}
	for at := time.Duration(0); at <= ended.Sub(begun); at += 20 * time.Second {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#777" text-anchor="middle">%.0f s</text>`+"\n", x(begun.Add(at)), base+14, at.Seconds())
	}
	for i, s := range shown {
		var path strings.Builder
		for j, q := range s.points {
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[j == 0], x(q.at), y(q.value))
		}
		fmt.Fprintf(b, `<path class="line" d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), lineColors()[i%len(lineColors())])
	}
}

func drawLegend(b *strings.Builder, width, y int, shown []series, atZero int) {
	const charWidth = 6.3
	place := func(i int) (left, top int) { return 11 + i%2*(width/2), y + i/2*legendLine }
	named := shown
	if len(shown)+min(atZero, 1) > 2*legendMost { // the last place says how many more
		named = shown[:2*legendMost-1]
	}
	for i, s := range named {
		left, top := place(i)
		name := s.name
		if most := int(float64(width/2-24) / charWidth); len(name) > most {
			name = name[:most-1] + "…"
		}
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="9" height="3" fill="%s"/><text x="%d" y="%d" fill="#444">%s</text>`+"\n",
			left, top-5, lineColors()[i%len(lineColors())], left+13, top, html.EscapeString(name))
	}
	left, top := place(len(named))
	switch more := len(shown) - len(named); {
	case more > 0:
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#777">and %d more</text>`+"\n", left, top, more+atZero)
	case atZero > 0:
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#777">%d at 0</text>`+"\n", left, top, atZero)
	}
}

// niceStep is the distance of the lines of a scale that has to reach so high: three or so.
func niceStep(highest float64) float64 {
	if highest <= 0 {
		return 1
	}
	size := math.Pow(10, math.Floor(math.Log10(highest/3)))
	for _, m := range []float64{1, 2, 5} {
		if highest/(m*size) <= 4 {
			return m * size
		}
	}
	return 10 * size
}

// spell writes a value in a unit of Grafana's.
func spell(v float64, unit string) string {
	if math.IsNaN(v) {
		return "–"
	}
	short := func(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.3g", v), ".0") }
	switch unit {
	case "percentunit":
		return short(v*100) + " %"
	case "reqps":
		return short(v) + "/s"
	case "ops":
		return short(v) + "/s"
	case "s":
		switch {
		case v == 0 || v >= 1:
			return short(v) + " s"
		case v >= 1e-3:
			return short(v*1e3) + " ms"
		}
		return short(v*1e6) + " µs"
	case "bytes":
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	}
	return short(v)
}

// byName sorts series, so that a picture drawn again differs in its numbers only.
func byName(shown []series) []series {
	slices.SortFunc(shown, func(a, b series) int { return cmp.Compare(a.name, b.name) })
	return shown
}
