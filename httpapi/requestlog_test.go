package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// records reads the log, each line of which must be one JSON record.
func (e *env) records() []map[string]any {
	e.t.Helper()
	var records []map[string]any
	for line := range strings.Lines(e.log.String()) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			e.t.Errorf("not a JSON record: %q", line)
			continue
		}
		records = append(records, r)
	}
	return records
}

func TestOneRecordPerRequest(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	asked := e.do(request{method: "GET", path: "/v1/me?x=y", bearer: g.AccessToken})
	e.do(request{method: "DELETE", path: "/v1/sessions/AAAAAAAAAAAAAAAAAAAAAA", bearer: g.AccessToken})
	e.do(request{method: "FROBNICATE", path: "/v1/me"})
	e.do(request{method: "GET", path: "/no/such/path"})
	want := []struct {
		method, route string
		status        float64
		level         string
		subject       any
	}{
		{"POST", "/v1/login", 200, "INFO", e.alice.Subject},
		{"GET", "/v1/me", 200, "DEBUG", e.alice.Subject},
		{"DELETE", "/v1/sessions/:id", 404, "INFO", e.alice.Subject},
		{"other", "unmatched", 405, "INFO", nil},
		{"GET", "unmatched", 404, "INFO", nil},
	}
	// The answer may arrive before its record is written.
	await(t, "all records", func() bool { return len(e.records()) >= len(want) })
	records := e.records()
	if len(records) != len(want) {
		t.Fatalf("%d records for %d requests", len(records), len(want))
	}
	for i, w := range want {
		r := records[i]
		if r["msg"] != "request" || r["listener"] != "public" || r["method"] != w.method || r["route"] != w.route ||
			r["status"] != w.status || r["level"] != w.level || r["subject"] != w.subject || r["address"] != "127.0.0.1" {
			t.Errorf("record %v, want %+v", r, w)
		}
	}
	if records[1]["request_id"] != asked.header.Get("X-Request-Id") {
		t.Errorf("record %v of the request %s", records[1], asked.header.Get("X-Request-Id"))
	}
}

// T26, T27: whatever is sent, wherever: no secret and no forged line comes into the log.
func TestLogHoldsNoSecret(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	const mark = "MARK0123456789"
	secret := map[string]any{"username": aliceName, "password": mark}
	for _, r := range []request{
		{method: "POST", path: "/v1/login?password=" + mark, json: secret},
		{method: "POST", path: "/v1/login", json: map[string]any{"username": "x\r\n{\"level\":\"forged\"}\x1b[31m", "password": mark}},
		{method: "POST", path: "/v1/login", json: map[string]any{mark: mark, "password": []string{mark}}},
		{method: "POST", path: "/v1/login", json: mark},
		{method: "POST", path: "/v1/refresh", json: map[string]any{"refresh_token": "authd_rt_" + mark}},
		{method: "POST", path: "/v1/refresh", json: map[string]any{"refresh_token": g.RefreshToken}},
		{method: "GET", path: "/v1/me", bearer: mark + "." + mark + "." + mark},
		{method: "GET", path: "/" + mark},
		{method: "GET", path: "/v1/sessions/" + mark},
		{method: "DELETE", path: "/v1/sessions/" + mark, bearer: g.AccessToken},
		{method: "POST", path: "/oauth2/introspect?token=" + mark, basic: true, form: "token=" + mark},
		{method: "POST", path: "/oauth2/revoke", form: "token=" + mark, header: http.Header{"Authorization": {"Basic " + mark}}},
		{method: "GET", path: "/v1/me", header: http.Header{
			"User-Agent": {mark}, "Referer": {mark}, "X-Forwarded-For": {mark}, "X-Request-Id": {mark},
			"Cookie": {"__Host-authd_access=" + mark},
		}},
		{method: mark, path: "/v1/me"},
		{method: "POST", path: "/admin/users", bearer: adminToken, json: map[string]any{"username": "carol", "password": mark}},
		{method: "PUT", path: "/admin/users/bob/password", bearer: adminToken, json: map[string]any{"password": mark}},
		{method: "GET", path: "/admin/users", bearer: mark},
	} {
		e.do(r)
	}
	e.records() // each line is whole
	log := e.log.String()
	for name, secret := range map[string]string{
		"a marked secret": mark, "a password": alicePassword, "an access token": g.AccessToken,
		"a signature": g.AccessToken[strings.LastIndexByte(g.AccessToken, '.')+1:], "a JWT": "eyJ",
		"a refresh token": "authd_rt_", "the client's secret": clientSecret, "the admin token": adminToken,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s:\n%s", name, log)
		}
	}
}
