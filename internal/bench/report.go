package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that one run has found.
type report struct {
	short   bool
	began   time.Time
	machine machine
	tables  map[string]table
	order   []string // of the tables, as measured
	budgets []budget
	plots   map[string]string // name of the file and what is in it
}

// table is what one subject gave. The first column names the rows.
type table struct {
	columns []string
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (r *report) add(name string, t table, budgets ...budget) {
	r.tables[name] = t
	r.order = append(r.order, name)
	r.budgets = append(r.budgets, budgets...)
}

// print writes everything for a terminal.
func (r *report) print(w io.Writer) {
	for _, name := range r.order {
		r.tables[name].print(w)
	}
	budgetTable(r.budgets).print(w)
}

func (t table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{t.columns}, t.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t")+"\t")
	}
	_ = tw.Flush() // a terminal that does not take it has nothing to tell either
	fmt.Fprintln(w)
}

// budget is one promise of the design (section 9) and what was measured.
type budget struct {
	what    string
	have    float64
	limit   float64
	unit    string
	atLeast bool // limit is the least that holds; otherwise the most
}

func (b budget) holds() bool {
	if b.atLeast {
		return b.have >= b.limit
	}
	return b.have <= b.limit
}

func (b budget) promise() string {
	sign := "≤ "
	if b.atLeast {
		sign = "≥ "
	}
	return sign + b.number(b.limit)
}

func (b budget) number(v float64) string {
	return strings.TrimSpace(significant(v) + " " + b.unit)
}

func budgetTable(budgets []budget) table {
	t := table{columns: []string{"budget", "promised", "measured", "verdict"}}
	for _, b := range budgets {
		verdict := "ok"
		if !b.holds() {
			verdict = "MISSED"
		}
		t.add(b.what, b.promise(), b.number(b.have), verdict)
	}
	return t
}

// missed returns how many budgets do not hold.
func missed(budgets []budget) (n int) {
	for _, b := range budgets {
		if !b.holds() {
			n++
		}
	}
	return n
}

// significant writes a number with three digits that count.
func significant(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func ratio(v float64) string { return fmt.Sprintf("%.2f", v) }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000) }
