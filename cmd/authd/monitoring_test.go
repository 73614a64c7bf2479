package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.yaml.in/yaml/v3"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/prommw"
)

const monitoring = "../../deploy/monitoring"

// promtool finds nothing wrong with the alerts, and each fires when alerts_test.yaml says and not before.
func TestAlerts(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "config", "prometheus.yaml"}, {"check", "rules", "--lint-fatal", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"},
	} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := readText(t, filepath.Join(monitoring, "alerts_test.yaml"))
	for name := range alerts(t) {
		if !strings.Contains(tests, "alertname: "+name+"\n        exp_alerts:") {
			t.Errorf("%s: no test lets it fire", name)
		}
	}
}

// Each alert has a section in the runbooks, and each section an alert.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	const page = "https://github.com/authd-project/authd/blob/main/docs/runbooks.md#"
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (Authd\w+)\n\n\S`).FindAllStringSubmatch(readText(t, "../../docs/runbooks.md"), -1) {
		sections[m[1]] = true
	}
	for name, runbook := range alerts(t) {
		if runbook != page+strings.ToLower(name) {
			t.Errorf("%s: its runbook is said to be at %s", name, runbook)
		}
		if !sections[name] {
			t.Errorf("%s: docs/runbooks.md has no section for it", name)
		}
		delete(sections, name)
	}
	for name := range sections {
		t.Errorf("docs/runbooks.md has a section for %s, which is no alert", name)
	}
}

// alerts returns the alerts' runbooks by name.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(readText(t, filepath.Join(monitoring, "alerts.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			found[r.Alert] = r.Annotations["runbook_url"]
		}
	}
	if len(found) == 0 {
		t.Fatal("there are no alerts")
	}
	return found
}

// watched is a real Prometheus with the shipped configuration, beside an authd and a verifier that people use.
type watched struct {
	URL      string
	authd    *server
	verifier string // its URL
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{authd: serve(t, t.TempDir(), "--demo", "--oauth-clients", "../../deploy/oauth-clients.yaml")}
	registry := prometheus.NewRegistry()
	observer := prommw.NewObserver()
	registry.MustRegister(observer)
	guard, err := middleware.New(t.Context(), w.authd.URL, middleware.Options{Audience: "authd", Observer: observer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	observer.Watch(guard)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	verifier := httptest.NewServer(mux)
	t.Cleanup(verifier.Close)
	w.verifier = verifier.URL

	config := strings.NewReplacer(
		"127.0.0.1:8081", strings.TrimPrefix(w.authd.Admin, "http://"),
		"127.0.0.1:9090", strings.TrimPrefix(w.verifier, "http://"),
		"interval: 15s", "interval: 2s",
	).Replace(readText(t, filepath.Join(monitoring, "prometheus.yaml")))
	w.URL = "http://" + testenv.Prometheus(t, config, map[string]string{"alerts.yaml": readText(t, filepath.Join(monitoring, "alerts.yaml"))})
	return w
}

// use logs in, calls the verifier, refreshes and logs out. On a machine that is busy something may be told to try again.
func (w *watched) use(t *testing.T) {
	t.Helper()
	var g grant
	verifier := &server{URL: w.verifier}
	for _, step := range []func() int{
		func() int {
			return w.authd.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": demoUser, "password": demoPassword}, &g)
		},
		func() int { return verifier.call(t, http.MethodGet, "/", g.AccessToken, nil, nil) },
		func() int { return w.authd.verify(t, g.AccessToken) },
		func() int { _, status := w.authd.refresh(t, g.RefreshToken); return status },
		func() int {
			return w.authd.call(t, http.MethodPost, "/v1/logout", g.AccessToken, map[string]string{"scope": "session"}, nil)
		},
	} {
		switch status := step(); status {
		case http.StatusOK, http.StatusNoContent:
		case http.StatusServiceUnavailable:
			return
		default:
			t.Fatalf("answered %d", status)
		}
	}
}

// query returns how many series Prometheus answers with.
func (w *watched) query(t *testing.T, expr string) int {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	getJSON(t, w.URL+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	if answer.Status != "success" {
		t.Fatalf("%s: %s", expr, answer.Error)
	}
	return len(answer.Data.Result)
}

// quietPanels show nothing while authd is well.
var quietPanels = []string{"Failures"}

// Every panel of the dashboard shows something for an authd and a verifier that people use, and no alert is pending.
func TestDashboard(t *testing.T) {
	t.Parallel()
	w := watch(t)
	targets := dashboard(t)
	for deadline := time.Now().Add(4 * time.Minute); len(targets) > 0; {
		w.use(t)
		for title, exprs := range targets {
			exprs = slices.DeleteFunc(exprs, func(expr string) bool { return w.query(t, expr) > 0 })
			if targets[title] = exprs; len(exprs) == 0 || slices.Contains(quietPanels, title) {
				delete(targets, title)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("these show nothing: %q", targets)
		}
		wait(t, 200*time.Millisecond)
	}
	if *dashboardPlot {
		w.plot(t)
	}
	if n := w.query(t, `ALERTS{alertstate="firing"}`); n != 0 {
		t.Errorf("%d alerts fire while all is well", n)
	}
	if n, want := w.query(t, `up == 1`), 2; n != want {
		t.Errorf("Prometheus reaches %d, want %d", n, want)
	}
}

// dashboard returns what its panels ask for, by title, with the variables replaced.
func dashboard(t *testing.T) map[string][]string {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(monitoring, "dashboard.json"))), &d); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			found[p.Title] = append(found[p.Title], strings.ReplaceAll(target.Expr, "$job", "authd"))
		}
	}
	if len(found) == 0 {
		t.Fatal("the dashboard has no panels")
	}
	return found
}

var metricsPage = flag.Bool("metrics.page", false, "write the tables of docs/metrics.md")

// docs/metrics.md lists every metric of authd and of the middleware, with the words of the program.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.use(t)
	docs.Generated(t, "docs/metrics.md", map[string]string{
		"metrics of authd":  metricsTable(t, w.authd.Admin+"/metrics"),
		"metrics of prommw": metricsTable(t, w.verifier+"/metrics"),
	}, *metricsPage)
}

// metricsTable makes a table of the metrics that begin with authd_.
func metricsTable(t *testing.T, metrics string) string {
	t.Helper()
	body := getText(t, metrics)
	table := "| metric | type | labels | meaning |\n|---|---|---|---|\n"
	for _, m := range regexp.MustCompile(`(?m)^# HELP (authd_\w+) (.*)\n# TYPE \w+ (\w+)\n`).FindAllStringSubmatch(body, -1) {
		name, help, kind := m[1], m[2], m[3]
		labels := map[string]bool{}
		for _, series := range regexp.MustCompile(`(?m)^`+name+`(?:_bucket|_sum|_count)?\{([^}]*)\}`).FindAllStringSubmatch(body, -1) {
			for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(series[1], -1) {
				labels["`"+label[1]+"`"] = label[1] != "le"
			}
		}
		maps.DeleteFunc(labels, func(_ string, shown bool) bool { return !shown })
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, kind, strings.Join(slices.Sorted(maps.Keys(labels)), ", "), help)
	}
	return table
}

func getText(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return string(body)
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
