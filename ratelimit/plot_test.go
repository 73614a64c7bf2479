package ratelimit_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

// TestPlotIsFresh keeps docs/ratelimit.svg what the limiters do. To draw it again:
//
//	UPDATE=1 go test ./ratelimit -run TestPlotIsFresh
func TestPlotIsFresh(t *testing.T) {
	const file = "../docs/ratelimit.svg"
	want := plot(t)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the limiters do; draw it again with UPDATE=1 go test ./ratelimit -run TestPlotIsFresh", file)
	}
}

// traffic is the same for every limiter: a lone request, two bursts that meet where a fixed window ends, and a steady
// stream of twice the limit.
func traffic() []time.Duration {
	arrivals := []time.Duration{0}
	for i := range 14 {
		arrivals = append(arrivals, 9*time.Second+time.Duration(i)*60*time.Millisecond)
	}
	for i := range 14 {
		arrivals = append(arrivals, 10500*time.Millisecond+time.Duration(i)*60*time.Millisecond)
	}
	for i := range 30 {
		arrivals = append(arrivals, 16*time.Second+time.Duration(i)*500*time.Millisecond)
	}
	return arrivals
}

// servedAt is when the limiter lets the requests go ahead.
func servedAt(p ratelimit.Policy) []time.Duration {
	var s ratelimit.State
	var times []time.Duration
	for _, at := range traffic() {
		var d ratelimit.Decision
		if s, d = p.Step(s, epoch().Add(at), 1); d.Allowed {
			times = append(times, at+d.Delay)
		}
	}
	return times
}

// busiest is the most requests in any interval of the length.
func busiest(times []time.Duration, length time.Duration) int {
	most := 0
	for i, first := range times {
		n := 0
		for _, at := range times[i:] {
			if at < first+length {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// The plot, in pixels: a row of bars for the requests and one for each limiter.
const (
	left, right, top = 20, 20, 30
	rowHeight, bar   = 92, 44 // a row has a line of text above its bars
	second           = 18.0
	seconds          = 42
	binWidth         = 500 * time.Millisecond
	tallest          = 9 // requests in a bin
)

func plot(t *testing.T) string {
	t.Helper()
	rows := []string{"fixed-window 10/10s", "sliding-window 10/10s", "token-bucket 10/10s", "leaky-bucket 10/10s burst 9"}
	width, height := left+int(seconds*second)+right, top+(len(rows)+1)*rowHeight+10
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&svg, `<title>What each limiter lets go ahead of the same requests</title>`+"\n")
	fmt.Fprintf(&svg, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	asked := traffic()
	drawRow(&svg, 0, fmt.Sprintf("requests: %d, at most %d within 10 s", len(asked), busiest(asked, 10*time.Second)), nil, asked)
	for i, text := range rows {
		times := servedAt(policy(t, text))
		label := fmt.Sprintf("%s: %d go ahead, at most %d within 10 s and %d within 1 s",
			text, len(times), busiest(times, 10*time.Second), busiest(times, time.Second))
		drawRow(&svg, i+1, label, asked, times)
	}
	svg.WriteString("</svg>\n")
	return svg.String()
}

// drawRow draws requests per half second, in front of others in grey.
func drawRow(svg *strings.Builder, row int, label string, behind, times []time.Duration) {
	base := top + row*rowHeight + bar + 20
	fmt.Fprintf(svg, `<text x="%d" y="%d" fill="#222">%s</text>`+"\n", left, base-bar-12, label)
	drawBars(svg, base, behind, "#ddd")
	drawBars(svg, base, times, "#1f6f8b")
	fmt.Fprintf(svg, `<path d="M%d %d.5h%d" stroke="#888"/>`+"\n", left, base, int(seconds*second))
	for s := 0; s <= seconds; s += 5 {
		fmt.Fprintf(svg, `<text x="%.0f" y="%d" fill="#888" font-size="10" text-anchor="middle">%d s</text>`+"\n",
			left+float64(s)*second, base+12, s)
	}
}

func drawBars(svg *strings.Builder, base int, times []time.Duration, color string) {
	var bins [seconds * int(time.Second/binWidth)]int
	for _, at := range times {
		bins[at/binWidth]++
	}
	width := second * binWidth.Seconds()
	for i, n := range bins {
		if n > 0 {
			height := float64(n) * bar / tallest
			fmt.Fprintf(svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
				left+float64(i)*width+0.5, float64(base)-height, width-1, height, color)
		}
	}
}
