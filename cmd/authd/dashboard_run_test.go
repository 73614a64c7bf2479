package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var dashboardPlot = flag.Bool("dashboard.plot", false, "draw docs/dashboard.svg")

const (
	plotRun  = 100 * time.Second
	plotRate = "30s" // instead of the 5 minutes over which the dashboard takes rates, as the run is short
)

// plot lets people use authd, more and then fewer, some of them with a wrong password, and draws what the dashboard shows of it.
func (w *watched) plot(t *testing.T) {
	t.Helper()
	begun := time.Now()
	for n := 1; time.Since(begun) < plotRun; n++ {
		w.use(t)
		if n%5 == 0 {
			w.authd.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": demoUser + "-unknown", "password": "wrong"}, nil)
		}
		if n%7 == 0 {
			w.authd.call(t, http.MethodGet, "/v1/verify", "no-token", nil, nil)
		}
		wave := 0.5 + 0.5*math.Cos(2*math.Pi*time.Since(begun).Seconds()/plotRun.Seconds()*1.5) // busy, calm, busy again
		wait(t, time.Duration(50+wave*700)*time.Millisecond)
	}
	ended := time.Now()
	d := readDashboard(t)
	shown := map[int][]series{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$job", "authd", "[5m]", "["+plotRate+"]").Replace(target.Expr)
			shown[p.ID] = append(shown[p.ID], w.queryRange(t, expr, target.LegendFormat, begun, ended)...)
		}
		shown[p.ID] = byName(shown[p.ID])
	}
	caption := fmt.Sprintf("authd, %.0f s of a small load on one machine; rates over %s", plotRun.Seconds(), plotRate)
	if err := os.WriteFile("../../docs/dashboard.svg", []byte(drawDashboard(d, caption, shown)), 0o644); err != nil {
		t.Fatal(err)
	}
}

var legendLabel = regexp.MustCompile(`{{ *(\w+) *}}`)

// queryRange returns what an expression was over the run, each series under the name that the legend gives it.
func (w *watched) queryRange(t *testing.T, expr, legend string, begun, ended time.Time) []series {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]json.RawMessage // a time, and a number as a string
			}
		}
	}
	getJSON(t, fmt.Sprintf("%s/api/v1/query_range?query=%s&start=%d&end=%d&step=2", w.URL, url.QueryEscape(expr), begun.Unix(), ended.Unix()), &answer)
	if answer.Status != "success" {
		t.Fatalf("%s: %s", expr, answer.Error)
	}
	var shown []series
	for _, r := range answer.Data.Result {
		s := series{name: legendLabel.ReplaceAllStringFunc(legend, func(label string) string {
			return r.Metric[legendLabel.FindStringSubmatch(label)[1]]
		})}
		for _, v := range r.Values {
			at, err := strconv.ParseFloat(string(v[0]), 64)
			if err != nil {
				t.Fatal(err)
			}
			value, err := strconv.ParseFloat(strings.Trim(string(v[1]), `"`), 64)
			if err != nil {
				t.Fatal(err)
			}
			if !math.IsNaN(value) {
				s.points = append(s.points, point{time.UnixMilli(int64(at * 1000)), value})
			}
		}
		if len(s.points) > 0 {
			s.name = portless.ReplaceAllString(s.name, "")
			shown = append(shown, s)
		}
	}
	return shown
}

var portless = regexp.MustCompile(`:\d+$`) // ports are drawn by lot
