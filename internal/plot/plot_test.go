package plot_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/plot"
)

func name(v float64) string { return fmt.Sprint(v) }

// wellFormed reads the whole picture.
func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
	}
}

func TestPicturesAreWellFormed(t *testing.T) {
	chart := plot.Chart{
		Title: "a < b & c", X: plot.Axis{From: 1, To: 1000, Log: true, Name: name}, Y: plot.Axis{From: 0, To: 10, Name: name},
		Series: []plot.Series{{Name: `"x"`, Points: []plot.Point{{1, 0}, {10, 5}, {1e9, -3}}, Dots: true}, {Name: "none"}},
	}
	bars := plot.Bars{Title: "t", Name: name, Groups: []plot.Group{{Name: "g", Bars: []plot.Bar{{Name: "a&b", Amount: 3, Part: 1}}}}}
	for _, svg := range []string{chart.SVG(), plot.Stack("both", chart, chart), bars.SVG()} {
		wellFormed(t, svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("a place that is no number:\n%s", svg)
		}
	}
}

// A point lies where its values say, on either kind of axis, and at the end if beyond.
func TestPlaces(t *testing.T) {
	c := plot.Chart{
		X: plot.Axis{From: 1, To: 100, Log: true, Name: name}, Y: plot.Axis{From: 0, To: 2, Name: name},
		Series: []plot.Series{{Points: []plot.Point{{1, 0}, {10, 1}, {100, 2}, {1e6, 99}}}},
	}
	if want := `d="M70.0 250.0L360.0 147.0L650.0 44.0L650.0 44.0"`; !strings.Contains(c.SVG(), want) {
		t.Errorf("want %s in\n%s", want, c.SVG())
	}
}

func TestDecades(t *testing.T) {
	for _, c := range []struct {
		values   []float64
		from, to float64
	}{{nil, 1, 10}, {[]float64{0}, 1, 10}, {[]float64{3, 0.02, 40}, 0.01, 100}, {[]float64{10}, 10, 100}} {
		from, to := plot.Decades(c.values...)
		if math.Abs(from-c.from) > 1e-9 || math.Abs(to-c.to) > 1e-9 {
			t.Errorf("%v: from %v to %v, want %v to %v", c.values, from, to, c.from, c.to)
		}
	}
}
