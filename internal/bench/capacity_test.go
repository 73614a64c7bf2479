package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs/capacity.md and its picture are what follows from docs/capacity.json, to the letter.
func TestCapacityPageFollowsFromItsPoints(t *testing.T) {
	p, err := readPoints(docs)
	if err != nil {
		t.Fatal(err)
	}
	page, err := p.page()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{capacityPage: page, capacityPlot: p.plot()} {
		if read(t, docs, name) != want {
			t.Errorf("docs/%s is not what follows from its points; run: cd internal/bench && go run . -render-capacity ../../docs", name)
		}
	}
}

// The measurement for the page works, and a page follows from it.
func TestCapacityRun(t *testing.T) {
	folder := t.TempDir()
	if err := runCapacity(t.Context(), true, folder); err != nil {
		t.Fatal(err)
	}
	p, err := readPoints(folder)
	if err != nil {
		t.Fatal(err)
	}
	c := p.costs()
	for name, v := range map[string]float64{
		"a login": c.login, "a refresh": c.refresh, "a pair": c.pair, "a session": c.session, "a revocation": c.revoked, "an entry": c.mirror,
		"the feed": c.feedIdle, "an account": c.user, "a check": c.verify,
	} {
		if v <= 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%s costs %v", name, v)
		}
	}
	page := read(t, folder, capacityPage)
	if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || !strings.Contains(page, "mean nothing") {
		t.Errorf("%s", page)
	}
	if _, err := os.Stat(filepath.Join(folder, capacityPlot)); err != nil {
		t.Error(err)
	}
}

// The arithmetic, on numbers that can be followed in the head.
func TestCapacityArithmetic(t *testing.T) {
	c := costs{
		login: 0.03, refresh: 100e-6, pair: 200e-6, session: 500, revoked: 1000, mirror: 50,
		feedIdle: 70, feedEntry: 100, feedIdleCPU: 10e-6, feedEntryCPU: 5e-6, user: 300, verify: 250e-9,
	}
	d := Demand{Users: 1e6, DailyLogins: 288_000, Verifiers: 1000} // 10 logins a second at the peak
	n := c.need(d)
	for name, v := range map[string][2]float64{
		"logins/s": {n.logins, 10}, "logouts/s": {n.logouts, 1}, "sessions in use": {n.active, 36_000}, "refreshes/s": {n.refreshes, 60},
		"verified/s": {n.verified, 3600}, "revocations": {n.revocations, 630}, "sessions": {n.sessions, 2_016_000},
		"hashing": {n.hashCores, 0.3}, "refreshing": {n.refreshCores, 0.006}, "ending": {n.pairCores, 0.0002},
		"feed to each": {n.feedEach, 170}, "feed to all": {n.feedNetwork, 170_000}, "feed cores": {n.feedCores, 0.015},
		"scripts": {n.redisScripts, 72}, "Redis": {n.redisMemory, 2_016_000*500 + 630*1000}, "mirror": {n.mirrorMemory, 31_500},
		"services": {n.verifyCores, 0.0009}, "accounts": {n.usersDisk, 3e8},
	} {
		if math.Abs(v[0]-v[1]) > 1e-9*v[1] {
			t.Errorf("%s: %v, want %v", name, v[0], v[1])
		}
	}
	all := n.resources(d)
	for i := 1; i < len(all); i++ {
		if all[i].load > all[i-1].load {
			t.Errorf("%s stands before %s", all[i-1].name, all[i].name)
		}
	}
	if first := all[0]; first.name != "Redis: memory" {
		t.Errorf("%s breaks first, at %v", first.name, first.load)
	}
}

// What verifiers cost is told apart from what there is without them.
func TestCostsOfTheFeed(t *testing.T) {
	p := &Points{
		Operations: []OperationCost{{Name: "login, argon2id"}, {Name: "refresh, Redis"}, {Name: namePair}},
		Sessions:   []SessionPoint{{}}, Mirrors: []MirrorPoint{{}}, Users: []UserPoint{{}},
		Feeds: []FeedPoint{
			{Verifiers: 1, Bytes: 70, CPU: 0.1}, {Verifiers: 1, Bytes: 1070, Logouts: 10, CPU: 0.2},
			{Verifiers: 101, Bytes: 70, CPU: 0.15}, {Verifiers: 101, Bytes: 1070, Logouts: 10, CPU: 0.35},
		},
	}
	c := p.costs()
	for name, v := range map[string][2]float64{
		"idle bytes": {c.feedIdle, 70}, "bytes of an entry": {c.feedEntry, 100}, "idle CPU": {c.feedIdleCPU, 0.0005}, "CPU of an entry": {c.feedEntryCPU, 0.0001},
	} {
		if math.Abs(v[0]-v[1]) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, v[0], v[1])
		}
	}
}

func TestAmounts(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12.34: "12.3", 1234: "1.23 k", 2e6: "2 M", 7.5e9: "7.5 G"} {
		if got := amount(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{12: "12 B", 1536: "1.5 KiB", 3 << 30: "3 GiB"} {
		if got := bytesOf(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
