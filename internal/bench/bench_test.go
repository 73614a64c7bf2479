package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's program play the parts that need a process of their own, as the bench's does.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == childWord {
		if err := child(context.Background(), os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	os.Exit(m.Run())
}

// TestShortRun measures everything, with real servers, and writes the page. How fast anything is is not judged: that
// needs more turns and a quiet machine. The page in docs must have the same rows, so that neither goes stale.
func TestShortRun(t *testing.T) {
	var out bytes.Buffer
	folder := t.TempDir()
	if _, err := run(t.Context(), []string{"-short", "-page", folder}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ES256", "EdDSA", "RS256", nameBare, nameNew, nameSeen(quick.few), nameSeen(quick.many), namePeer,
		"golang-jwt + keyfunc", "go-jose", "jwx", "go-oidc", nameMiss, nameHit, nameEcho, nameJWKS, nameVerify, nameIntrospect,
		nameRefresh, nameRefreshOn, nameLogin, nameLoginOn, nameOnRedis, nameOverHTTP, "budget",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
	for _, name := range []string{"performance-verify.svg", "performance-logout.svg", "performance-load.svg"} {
		for _, dir := range []string{folder, docs} {
			if text := read(t, dir, name); !strings.HasSuffix(text, "</svg>\n") {
				t.Errorf("%s in %s is no whole picture", name, dir)
			}
		}
	}
	want, got := rows(read(t, folder, "performance.md")), rows(read(t, docs, "performance.md"))
	if !slices.Equal(want, got) {
		t.Errorf("docs/performance.md was written by another bench; write it again on a quiet machine: make bench PAGE=1\n%s", difference(want, got))
	}
}

const docs = "../../docs"

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows returns everything of a page but what is measured: its text, and of each table the head and the names of the rows.
// How many of something there are differs between a short run and a full one, so numbers are left out.
func rows(page string) []string {
	number := regexp.MustCompile(`[0-9]+`)
	var kept []string
	for line := range strings.Lines(page) {
		if first, _, cell := strings.Cut(strings.TrimPrefix(line, "| "), " | "); cell && strings.HasPrefix(line, "| ") {
			kept = append(kept, number.ReplaceAllString(first, "N"))
		} else if !strings.HasPrefix(line, "Measured on ") && !strings.HasPrefix(line, "> ") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	return slices.DeleteFunc(kept, func(s string) bool { return s == "" })
}

// difference lists the lines that one page has more often than the other.
func difference(want, got []string) string {
	count := map[string]int{}
	for _, line := range want {
		count[line]++
	}
	for _, line := range got {
		count[line]--
	}
	var b strings.Builder
	for line, n := range count {
		switch {
		case n > 0:
			fmt.Fprintln(&b, "missing:", line)
		case n < 0:
			fmt.Fprintln(&b, "left over:", line)
		}
	}
	return b.String()
}

func TestRowsLeaveOutWhatIsMeasured(t *testing.T) {
	page := func(measured string) string {
		return "Measured on " + measured + "\ntext 1\n\n| route | clients |\n| --- | ---: |\n| seen, 10 live | " + measured + " |\n"
	}
	if !slices.Equal(rows(page("1")), rows(page("2"))) {
		t.Error("a page with other numbers counts as another page")
	}
	for _, other := range []string{"text 2", "| not seen, 10 live | 1 |"} {
		if slices.Equal(rows(page("1")), rows(page("1")+other+"\n")) {
			t.Errorf("%q makes no difference", other)
		}
	}
}

func TestMissedBudgetIsReported(t *testing.T) {
	held := []budget{{what: "a", have: 1, limit: 1, unit: "ns"}, {what: "b"}, {what: "c", have: 2, limit: 1, atLeast: true}}
	broken := []budget{{what: "a", have: 2, limit: 1, unit: "ns"}, {what: "c", have: 1, limit: 2, atLeast: true}}
	if n := missed(held); n != 0 || strings.Contains(budgetTable(held).markdown(), "MISSED") {
		t.Errorf("all hold, but %d are missed", n)
	}
	if n := missed(broken); n != 2 || strings.Count(budgetTable(broken).markdown(), "MISSED") != 2 {
		t.Errorf("all are missed, but the report says %d:\n%s", n, budgetTable(broken).markdown())
	}
}

func TestMemberReadsAnAnswer(t *testing.T) {
	body := []byte(`{"access_token":"a","refresh_token":"r-1","session_id":"s"}`)
	if got, err := member(body, "refresh_token"); got != "r-1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `{"refresh_token":"r`} {
		if _, err := member([]byte(bad), "refresh_token"); err == nil {
			t.Errorf("%q has a refresh token", bad)
		}
	}
}

func TestQuantile(t *testing.T) {
	values := []time.Duration{1, 2, 3, 4}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := quantile(values, q); got != want {
			t.Errorf("%v: got %v, want %v", q, got, want)
		}
	}
	if got := quantile([]time.Duration(nil), 0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
