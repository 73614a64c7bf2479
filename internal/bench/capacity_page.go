package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/authd-project/authd/internal/plot"
)

// capacityTemplate is docs/capacity.md without its numbers.
//
//go:embed capacity.md.tmpl
var capacityTemplate string

// The files of docs that the points make.
const (
	capacityPoints = "capacity.json"
	capacityPage   = "capacity.md"
	capacityPlot   = "capacity.svg"
)

// writeCapacity writes the points, and the page and the picture that follow from them.
func (p *Points) writeCapacity(folder string) error {
	points, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the points: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, capacityPoints), append(points, '\n'), 0o644); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("writing the points: %w", err)
	}
	return renderCapacity(folder)
}

// renderCapacity makes the page and the picture anew from the points of a folder.
func renderCapacity(folder string) error {
	p, err := readPoints(folder)
	if err != nil {
		return err
	}
	page, err := p.page()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{capacityPage: page, capacityPlot: p.plot()} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil { //nolint:gosec // for everybody
			return fmt.Errorf("writing the page: %w", err)
		}
	}
	return nil
}

func readPoints(folder string) (p *Points, err error) {
	text, err := os.ReadFile(filepath.Join(folder, capacityPoints))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the points: %w", err)
	}
	return p, nil
}

// page is docs/capacity.md.
func (p *Points) page() (string, error) {
	c := p.costs()
	largest := demands()[len(demands())-1]
	first := c.need(largest).resources(largest)[0]
	t, err := template.New("capacity").Funcs(template.FuncMap{
		"short": func() bool { return p.Short }, "began": func() string { return p.Began }, "machine": func() string { return p.Machine },
		"operations": p.operationTable, "verifiers": p.verifierTable, "sessions": p.sessionTable, "feeds": p.feedTable, "users": p.userTable,
		"scales": func() string { return scaleTable(c) }, "loads": func() string { return loadTable(c) },
		"steps": func() string { return "1. " + strings.Join(c.steps(largest), "\n1. ") },
		"first": func() string { return first.name }, "firstLoad": func() string { return significant(first.load) },
		"peak": func() string { return significant(peak) },
	}).Parse(capacityTemplate)
	if err != nil {
		return "", fmt.Errorf("reading the page's template: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", fmt.Errorf("writing the page: %w", err)
	}
	return b.String(), nil
}

func (p *Points) operationTable() string {
	t := table{columns: []string{"operation", "measured at, /s", "authd's CPU, µs", "one core bears, /s"}}
	for _, o := range p.Operations {
		t.add(o.Name, significant(o.Rate), significant(o.CPU), amount(1e6/o.CPU))
	}
	return t.markdown()
}

func (p *Points) verifierTable() string {
	t := table{columns: []string{"revocations in the mirror", "bytes each", "together", "the check, ns"}}
	for _, m := range p.Mirrors {
		t.add(amount(float64(m.Entries)), significant(m.Bytes), bytesOf(m.Bytes*float64(m.Entries)), significant(m.Check))
	}
	return t.markdown()
}

func (p *Points) sessionTable() string {
	t := table{columns: []string{"sessions", "Redis: bytes each", "embedded: bytes each on disk", "Redis: bytes left by each after its logout"}}
	for _, s := range p.Sessions {
		t.add(amount(float64(s.Sessions)), significant(s.Redis), significant(s.File), significant(s.Revocation))
	}
	return t.markdown()
}

func (p *Points) feedTable() string {
	t := table{columns: []string{"verifiers", "logouts/s", "bytes/s to each", "authd's cores", "refused everywhere, p99 ms"}}
	for _, f := range p.Feeds {
		refused := significant(f.Refused)
		if f.Logouts == 0 {
			refused = ""
		}
		t.add(fmt.Sprint(f.Verifiers), significant(f.Logouts), significant(f.Bytes), ratio(f.CPU), refused)
	}
	return t.markdown()
}

func (p *Points) userTable() string {
	t := table{columns: []string{"accounts in SQLite", "bytes each", "finding one, µs"}}
	for _, u := range p.Users {
		t.add(amount(float64(u.Users)), significant(u.Bytes), significant(u.Find))
	}
	return t.markdown()
}

func scaleTable(c costs) string {
	t := table{columns: []string{"at the peak"}}
	rows := []struct {
		name string
		of   func(Demand, need) string
	}{
		{"accounts", func(d Demand, _ need) string { return amount(d.Users) }},
		{"logins a day", func(d Demand, _ need) string { return amount(d.DailyLogins) }},
		{"verifiers", func(d Demand, _ need) string { return amount(d.Verifiers) }},
		{"logins/s", func(_ Demand, n need) string { return amount(n.logins) }},
		{"refreshes/s", func(_ Demand, n need) string { return amount(n.refreshes) }},
		{"logouts/s", func(_ Demand, n need) string { return amount(n.logouts) }},
		{"verified requests/s", func(_ Demand, n need) string { return amount(n.verified) }},
		{"cores that hash", func(_ Demand, n need) string { return amount(n.hashCores) }},
		{"cores that refresh", func(_ Demand, n need) string { return amount(n.refreshCores) }},
		{"cores that serve the feed", func(_ Demand, n need) string { return amount(n.feedCores) }},
		{"the feed, to each verifier", func(_ Demand, n need) string { return bytesOf(n.feedEach) + "/s" }},
		{"the feed, to all", func(_ Demand, n need) string { return bytesOf(n.feedNetwork) + "/s" }},
		{"Redis: scripts/s", func(_ Demand, n need) string { return amount(n.redisScripts) }},
		{"Redis: memory", func(_ Demand, n need) string { return bytesOf(n.redisMemory) }},
		{"mirror of each verifier", func(_ Demand, n need) string { return bytesOf(n.mirrorMemory) }},
		{"users' database", func(_ Demand, n need) string { return bytesOf(n.usersDisk) }},
	}
	for _, d := range demands() {
		t.columns = append(t.columns, d.Name)
	}
	for _, r := range rows {
		cells := []string{r.name}
		for _, d := range demands() {
			cells = append(cells, r.of(d, c.need(d)))
		}
		t.add(cells...)
	}
	return t.markdown()
}

// loadTable says for the largest demand what breaks, in this order.
func loadTable(c costs) string {
	d := demands()[len(demands())-1]
	t := table{columns: []string{"part", "of what one has", "what to do"}}
	for _, r := range c.need(d).resources(d) {
		t.add(r.name, significant(r.load)+" ×", r.remedy)
	}
	return t.markdown()
}

// plot draws how loaded each part is, by the number of users.
func (p *Points) plot() string {
	c := p.costs()
	chart := plot.Chart{
		Title: "Load of each part, in units of what one machine has, by the number of accounts",
		X:     plot.Axis{From: 1e4, To: 1e9, Log: true, Name: amount},
		Y:     plot.Axis{Log: true, Name: significant},
	}
	series := map[string]*plot.Series{}
	var names []string
	var loads []float64
	for _, d := range demands() {
		for _, r := range c.need(d).resources(d) {
			if series[r.name] == nil {
				series[r.name] = &plot.Series{Name: r.name, Dots: true}
				names = append(names, r.name)
			}
			series[r.name].Points = append(series[r.name].Points, plot.Point{X: d.Users, Y: r.load})
			loads = append(loads, r.load)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		chart.Series = append(chart.Series, *series[name])
	}
	_, to := plot.Decades(loads...)
	chart.Y.From, chart.Y.To = 1e-5, to
	return chart.SVG()
}
