package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func printVerify(w io.Writer, all []verification) {
	t := newTable(w)
	fmt.Fprintf(t, "alg\tverifying\t%s/token\t÷ bare\tallocs\t\n", clockName)
	for _, v := range all {
		floor := v.find(nameBare)
		for _, r := range v.results {
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.3f\t%.0f\t\n", v.alg, r.name, r.ns, r.ns/floor.ns, r.allocs)
		}
	}
	t.Flush()
}

func (m mirrorResult) print(w io.Writer) {
	t := newTable(w)
	fmt.Fprintf(t, "\nmirror of %d entries\t%s/check\tallocs\tbytes/entry\t\n", m.entries, clockName)
	for _, r := range []result{m.miss, m.hit} {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.1f\t\n", r.name, r.ns, r.allocs, m.bytesPerEntry)
	}
	t.Flush()
}

// budget is one promise of the design (section 9) and what was measured.
type budget struct {
	what       string
	have, most float64
	unit       string
}

func (b budget) holds() bool { return b.have <= b.most }

// find returns the result of that name; every run has those that budgets ask for.
func (v verification) find(name string) result {
	for _, r := range v.results {
		if r.name == name {
			return r
		}
	}
	return result{}
}

func (v verification) budgets() []budget {
	most := map[string]float64{"ES256": 1.06, "EdDSA": 1.10, "RS256": 1.15}
	floor, ours, peer := v.find(nameBare), v.find(nameNew), v.find(namePeer)
	budgets := []budget{
		{v.alg + ": new token ÷ bare check", ours.ns / floor.ns, most[v.alg], "x"},
		{v.alg + ": beyond the check ÷ golang-jwt's", (ours.ns - floor.ns) / (peer.ns - floor.ns), 1.0 / 3, "x"},
		{v.alg + ": allocations beyond the check", ours.allocs - floor.allocs, 15, ""},
		seenBudget(v.alg, v.find(nameSeen(v.few)), 300),
		{v.alg + ": allocations, seen token", v.find(nameSeen(v.few)).allocs, 0, ""},
	}
	if v.many != 0 {
		budgets = append(budgets, seenBudget(v.alg, v.find(nameSeen(v.many)), 1000))
	}
	return budgets
}

func seenBudget(alg string, r result, most float64) budget {
	return budget{alg + ": " + r.name, r.ns, most, "ns"}
}

func (m mirrorResult) budgets() []budget {
	return []budget{
		{m.miss.name, m.miss.ns, 150, "ns"},
		{m.hit.name, m.hit.ns, 150, "ns"},
		{"mirror check: allocations", max(m.miss.allocs, m.hit.allocs), 0, ""},
		{"mirror: memory of an entry", m.bytesPerEntry, 64, "bytes"},
	}
}

// printBudgets reports whether all hold.
func printBudgets(w io.Writer, budgets []budget) bool {
	t := newTable(w)
	fmt.Fprintln(t, "\nbudget\tat most\tmeasured\t\t")
	all := true
	for _, b := range budgets {
		verdict := "ok"
		if !b.holds() {
			verdict, all = "MISSED", false
		}
		fmt.Fprintf(t, "%s\t%.4g %s\t%.4g %s\t%s\t\n", b.what, b.most, b.unit, b.have, b.unit, verdict)
	}
	t.Flush()
	return all
}
