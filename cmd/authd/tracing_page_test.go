package main_test

import (
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/internal/tracing"
)

var tracesPage = flag.Bool("traces.page", false, "write the table and the traces of docs/traces.md")

// spanTree is a trace: a span and what is below it, in the order in which it began.
type spanTree struct {
	testenv.Span
	below []spanTree
}

// treeOf returns a trace of the client's. It must hang together, with one span below the client's.
func treeOf(t *testing.T, spans []testenv.Span, traceID string) spanTree {
	t.Helper()
	var all []testenv.Span
	known := map[string]bool{remoteSpan: true}
	for _, s := range spans {
		if s.TraceID == traceID {
			all, known[s.ID] = append(all, s), true
		}
	}
	for _, s := range all {
		if !known[s.Parent] {
			t.Errorf("%s is below a span that was not exported", s.Name)
		}
	}
	roots := branches(all, remoteSpan)
	if len(roots) != 1 {
		t.Fatalf("%d spans below that of the client", len(roots))
	}
	return roots[0]
}

func branches(spans []testenv.Span, parent string) []spanTree {
	var found []spanTree
	for _, s := range spans {
		if s.Parent == parent {
			found = append(found, spanTree{s, branches(spans, s.ID)})
		}
	}
	slices.SortStableFunc(found, func(a, b spanTree) int { return a.Begun.Compare(b.Begun.Time) })
	return found
}

// rotations returns the trace of the pass that began the ring.
func rotations(t *testing.T, spans []testenv.Span) spanTree {
	t.Helper()
	claims := map[string]bool{}
	for _, s := range spans {
		if s.Name == "ring claim" {
			claims[s.TraceID] = true
		}
	}
	for _, s := range spans {
		if s.Name != "ring rotation" || claims[s.TraceID] {
			continue
		}
		if len(s.Links) != 1 || !claims[s.Links[0].TraceID] || s.Attributes[tracing.Term] == "" {
			t.Errorf("the rotation links to %v, term %q", s.Links, s.Attributes[tracing.Term])
		}
		return spanTree{s, branches(slices.DeleteFunc(slices.Clone(spans), func(o testenv.Span) bool { return o.TraceID != s.TraceID }), s.ID)}
	}
	t.Fatal("no rotation was exported")
	return spanTree{}
}

// wants looks for spans by their way from the root.
func (s spanTree) wants(t *testing.T, root string, ways ...string) {
	t.Helper()
	if s.Name != root {
		t.Errorf("the trace begins with %s, want %s", s.Name, root)
	}
	for _, way := range ways {
		if !s.has(strings.Split(way, "/")) && !s.has(routeWay(way)) {
			t.Errorf("%s: no %s in\n%s", root, way, s.waterfall())
		}
	}
}

// routeWay splits a way whose first span is named by a route.
func routeWay(way string) []string {
	if i := strings.LastIndex(way, "/"); strings.Contains(way, " /") && i > 0 {
		return []string{way[:i], way[i+1:]}
	}
	return nil
}

func (s spanTree) has(way []string) bool {
	if len(way) == 0 {
		return false
	}
	for _, b := range s.below {
		if strings.HasPrefix(b.Name, way[0]) && (len(way) == 1 || b.has(way[1:])) {
			return true
		}
	}
	return false
}

const (
	nameColumn = 36
	barColumn  = 44
)

// waterfall draws the trace: each span with the time that it took of the first one. What came after that stands at the end.
func (s spanTree) waterfall() string {
	var b strings.Builder
	s.draw(&b, 0, s.Begun.Time, s.Ended.Time)
	return b.String()
}

func (s spanTree) draw(w *strings.Builder, depth int, begun, ended time.Time) {
	at := func(x time.Time) int { return int(x.Sub(begun) * barColumn / max(ended.Sub(begun), 1)) }
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	from, to := at(s.Begun.Time), max(at(s.Ended.Time), at(s.Begun.Time)+1)
	bar, later := strings.Repeat(" ", min(from, barColumn))+strings.Repeat("█", max(min(to, barColumn+1)-from, 1)), ""
	if s.Begun.After(ended) {
		bar, later = strings.Repeat(" ", barColumn)+"▸", fmt.Sprintf(", begun %.2f ms later", ms(s.Begun.Sub(ended)))
	}
	fmt.Fprintf(w, "%-*s|%-*s| %8.2f ms%s\n", nameColumn, strings.Repeat("  ", depth)+s.Name, barColumn+1, bar, ms(s.Ended.Sub(s.Begun.Time)), later)
	for _, b := range s.below {
		if b.Name != "redis connect" { // one of many requests opens one
			b.draw(w, depth+1, begun, ended)
		}
	}
}

// documented holds every span against the lists of package tracing and of the page.
func documented(t *testing.T, spans []testenv.Span) {
	t.Helper()
	requests := []string{"http.request.method", "http.route", "http.response.status_code", "url.scheme", "authd.listener"}
	seen := map[string]bool{"redis connect": true} // its moment is the library's to choose
	for _, s := range spans {
		if s.Service["service.name"] != "authd" {
			continue
		}
		name, allowed := s.Name, requests
		_, command := s.Attributes["db.operation.name"]
		_, session := strings.CutPrefix(name, "sessions ")
		switch {
		case command:
			name = "COMMAND"
		case session:
			name = "sessions CALL"
		case s.Kind == 3:
			name = "METHOD"
		}
		if s.Kind != 2 {
			i := slices.IndexFunc(tracing.Spans(), func(d tracing.Span) bool { return d.Name == name })
			if i < 0 {
				t.Errorf("the span %s is not documented", s.Name)
				continue
			}
			allowed = tracing.Spans()[i].Attributes
		}
		seen[name] = true
		for key := range s.Attributes {
			if !slices.Contains(allowed, key) && key != "error.type" && key != tracing.Outcome {
				t.Errorf("the attribute %s of %s is not documented", key, s.Name)
			}
		}
	}
	for _, d := range tracing.Spans() {
		if !seen[d.Name] {
			t.Errorf("there was no span %s", d.Name)
		}
	}
}

// writeTraces holds docs/traces.md against the run, or writes it. Times differ from run to run, and so does how often something
// is done.
func writeTraces(t *testing.T, login, service, rotation spanTree) {
	t.Helper()
	table := "| span | what takes the time | attributes |\n|---|---|---|\n"
	for _, s := range tracing.Spans() {
		var attributes []string
		for _, a := range s.Attributes {
			attributes = append(attributes, "`"+a+"`")
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", s.Name, s.What, strings.Join(attributes, ", "))
	}
	parts := map[string]string{"spans": table}
	page := readText(t, "../../docs/traces.md")
	for name, shown := range map[string]spanTree{"trace of a login": login, "trace through a service": service, "trace of a rotation": rotation} {
		parts[name] = "```text\n" + shown.waterfall() + "```\n"
		_, rest, _ := strings.Cut(page, "<!-- "+name+" -->\n")
		had, _, _ := strings.Cut(rest, "<!-- end -->")
		if !*tracesPage && shape(had) == shape(parts[name]) {
			parts[name] = had
		}
	}
	docs.Generated(t, "docs/traces.md", parts, *tracesPage)
}

var barAndTime = regexp.MustCompile(` *\|[ █▸]*\| *[0-9.]+ ms.*`)

// shape says which spans there are at which depth.
func shape(waterfall string) string {
	lines := strings.Split(barAndTime.ReplaceAllString(waterfall, ""), "\n")
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}
