package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// series returns the lines of /metrics by name and labels.
func (e *env) series() map[string]string {
	e.t.Helper()
	a := e.do(request{method: "GET", path: "/metrics"})
	wantStatus(e.t, a, http.StatusOK)
	series := make(map[string]string)
	for line := range strings.Lines(a.body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			series[name] = value
		}
	}
	return series
}

func TestMetrics(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": "x", "password": "y"}})
	e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken})
	e.do(request{method: "GET", path: "/v1/verify"})
	e.do(request{method: "GET", path: "/v1/verify", bearer: "x"})
	e.do(request{method: "GET", path: "/v1/verify", bearer: e.issueAt(time.Now().Add(-time.Hour))})
	e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": g.RefreshToken}})
	e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": "x"}})
	e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken})
	e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken})
	series := e.series()
	for name, want := range map[string]string{
		`authd_leader`: "1", `authd_leader_changes_total`: "1", `authd_key_ring_term`: "1",
		`authd_logins_total{outcome="ok"}`:                                                                        "1",
		`authd_logins_total{outcome="invalid_credentials"}`:                                                       "1",
		`authd_refreshes_total{outcome="ok"}`:                                                                     "1",
		`authd_refreshes_total{outcome="invalid_grant"}`:                                                          "1",
		`authd_refreshes_total{outcome="reuse"}`:                                                                  "0",
		`authd_token_verifications_total{outcome="ok"}`:                                                           "2", // forward-auth and logout
		`authd_token_verifications_total{outcome="absent"}`:                                                       "1",
		`authd_token_verifications_total{outcome="malformed"}`:                                                    "1",
		`authd_token_verifications_total{outcome="expired"}`:                                                      "1",
		`authd_token_verifications_total{outcome="revoked"}`:                                                      "1",
		`authd_token_verifications_total{outcome="unavailable"}`:                                                  "0",
		`authd_revocation_mirror_fresh`:                                                                           "1",
		`authd_revocation_entries{kind="sid"}`:                                                                    "1",
		`authd_signing_keys{state="active"}`:                                                                      "1",
		`authd_signing_keys{state="revoked"}`:                                                                     "0",
		`authd_http_request_duration_seconds_count{code="2xx",listener="public",method="GET",route="/v1/verify"}`: "1",
		`authd_http_request_duration_seconds_count{code="4xx",listener="public",method="GET",route="/v1/verify"}`: "4",
	} {
		if got := series[name]; got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
	for _, name := range []string{"authd_revocation_mirror_staleness_seconds", "authd_key_ring_age_seconds", "authd_leader_sight_age_seconds"} {
		if _, ok := series[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

// T28: nothing that a client sends becomes a label.
func TestMetricsDoNotGrow(t *testing.T) {
	e := newEnv(t)
	e.do(request{method: "GET", path: "/nowhere"})
	e.do(request{method: "FROB", path: "/nowhere"})
	before := len(e.series())
	for i := range 30 {
		e.do(request{method: "GET", path: fmt.Sprintf("/random/%d", i)})
		e.do(request{method: fmt.Sprintf("M%d", i), path: "/v1/me"})
		e.do(request{method: "GET", path: "/v1/verify", bearer: fmt.Sprintf("%d.%d.%d", i, i, i)})
		e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
			"username": fmt.Sprintf("user%d", i), "password": "x", "client_id": fmt.Sprintf("client%d", i),
		}})
	}
	if grown := len(e.series()) - before; grown > 0 {
		t.Errorf("%d new series", grown)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	e := newEnv(t)
	problems, err := promlint.New(strings.NewReader(e.do(request{method: "GET", path: "/metrics"}).body)).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
