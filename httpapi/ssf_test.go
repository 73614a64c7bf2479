package httpapi_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/ssf"
	"github.com/authd-project/authd/ssf/boltstore"
	"github.com/authd-project/authd/token"
)

// late are the keys of an env, which has them later than its configuration.
type late struct{ *keys.View }

// newSignalling is newEnv with shared signals.
func newSignalling(t *testing.T) (*env, *ssf.Transmitter) {
	t.Helper()
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "streams.db"))
	must(t, err)
	t.Cleanup(func() { must(t, file.Close()) })
	store, err := boltstore.Open(file)
	must(t, err)
	signing := &late{}
	signals, err := ssf.New(t.Context(), ssf.Config{
		Issuer: issuerURL, PollURL: issuerURL + httpapi.PathPoll, Keys: signing, Store: store, PushHosts: []string{"receiver.example.com"},
	})
	must(t, err)
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.SSF = signals }})
	signing.View = e.ring
	return e, signals
}

type streamBody struct {
	ID        string   `json:"stream_id"`
	Audience  string   `json:"aud"`
	Delivered []string `json:"events_delivered"`
	Delivery  struct {
		Method string
		URL    string `json:"endpoint_url"`
	}
	Description string
}

func TestSharedSignals(t *testing.T) {
	e, signals := newSignalling(t)
	asked := func(method, path string, body any) answer {
		t.Helper()
		return e.do(request{method: method, path: path, basic: true, json: body})
	}
	wantStatus(t, e.do(request{method: "GET", path: "/.well-known/ssf-configuration"}), http.StatusOK)
	created := asked("POST", "/v1/ssf/streams", map[string]any{"events_requested": []string{ssf.SessionRevoked, "urn:unknown"}, "unknown": 1})
	s := decode[streamBody](t, created, http.StatusCreated)
	if s.Audience != clientID || len(s.Delivered) != 1 || s.Delivery.Method != ssf.Poll || s.Delivery.URL != issuerURL+httpapi.PathPoll+s.ID {
		t.Errorf("created %s", created.body)
	}
	if list := decode[[]streamBody](t, asked("GET", "/v1/ssf/streams", nil), http.StatusOK); len(list) != 1 {
		t.Errorf("%d streams", len(list))
	}
	changed := decode[streamBody](t, asked("PATCH", "/v1/ssf/streams", map[string]any{"stream_id": s.ID, "iss": issuerURL, "description": "mine"}), http.StatusOK)
	if changed.Description != "mine" || len(changed.Delivered) != 1 {
		t.Errorf("changed to %+v", changed)
	}
	replaced := decode[streamBody](t, asked("PUT", "/v1/ssf/streams", map[string]any{"stream_id": s.ID, "events_requested": ssf.Supported()}), http.StatusOK)
	if replaced.Description != "" || len(replaced.Delivered) != len(ssf.Supported()) {
		t.Errorf("replaced by %+v", replaced)
	}
	decode[streamBody](t, asked("GET", "/v1/ssf/streams?stream_id="+s.ID, nil), http.StatusOK)

	subject := map[string]any{"stream_id": s.ID, "subject": map[string]string{"format": "iss_sub", "iss": issuerURL, "sub": "left-out"}}
	wantStatus(t, asked("POST", "/v1/ssf/subjects/remove", subject), http.StatusNoContent)
	entry := func(id, sub string) audit.Entry {
		return audit.Entry{Event: audit.Event{ID: id, Type: audit.UserDisabled, Outcome: audit.Success, Subject: sub, Time: time.Now()}}
	}
	_, err := signals.Write(t.Context(), []audit.Entry{entry("one", "left-out"), entry("two", "told")})
	must(t, err)
	poll := func(body any) map[string]string {
		t.Helper()
		return decode[struct{ Sets map[string]string }](t, asked("POST", httpapi.PathPoll+s.ID, body), http.StatusOK).Sets
	}
	if sets := poll(nil); len(sets) != 1 || strings.Count(sets["two"], ".") != 2 {
		t.Errorf("polled %v", sets)
	}
	if sets := poll(map[string]any{"ack": []string{"two"}, "returnImmediately": true}); len(sets) != 0 {
		t.Errorf("after the acknowledgement %v", sets)
	}
	wantStatus(t, asked("POST", "/v1/ssf/subjects/add", subject), http.StatusOK)
	wantStatus(t, asked("POST", "/v1/ssf/verify", map[string]any{"stream_id": s.ID, "state": "x"}), http.StatusNoContent)
	if sets := poll(nil); len(sets) != 1 {
		t.Errorf("verified by %v", sets)
	}
	decode[map[string]string](t, asked("POST", "/v1/ssf/status", map[string]any{"stream_id": s.ID, "status": "paused", "reason": "tired"}), http.StatusOK)
	if got := decode[map[string]string](t, asked("GET", "/v1/ssf/status?stream_id="+s.ID, nil), http.StatusOK); got["status"] != "paused" || got["reason"] != "tired" {
		t.Errorf("status %v", got)
	}
	wantStatus(t, asked("DELETE", "/v1/ssf/streams?stream_id="+s.ID, nil), http.StatusNoContent)
	wantProblem(t, asked("DELETE", "/v1/ssf/streams?stream_id="+s.ID, nil), http.StatusNotFound, "not_found")
}

func TestSharedSignalsRefuse(t *testing.T) {
	e, _ := newSignalling(t)
	s := decode[streamBody](t, e.do(request{method: "POST", path: "/v1/ssf/streams", basic: true}), http.StatusCreated)
	push := func(url, header string) map[string]any {
		return map[string]any{"stream_id": s.ID, "delivery": map[string]string{"method": ssf.Push, "endpoint_url": url, "authorization_header": header}}
	}
	for name, r := range map[string]request{
		"another host":       {method: "PATCH", path: "/v1/ssf/streams", json: push("https://internal.example.com/", "")},
		"no https":           {method: "PATCH", path: "/v1/ssf/streams", json: push("http://receiver.example.com/", "")},
		"another issuer":     {method: "PATCH", path: "/v1/ssf/streams", json: map[string]any{"stream_id": s.ID, "iss": "https://other.example.com"}},
		"not JSON":           {method: "PATCH", path: "/v1/ssf/streams", json: "["},
		"an unknown status":  {method: "POST", path: "/v1/ssf/status", json: map[string]any{"stream_id": s.ID, "status": "happy"}},
		"an unknown subject": {method: "POST", path: "/v1/ssf/subjects/add", json: map[string]any{"stream_id": s.ID, "subject": map[string]string{"format": "email"}}},
		"a negative number":  {method: "POST", path: httpapi.PathPoll + s.ID, json: map[string]any{"maxEvents": -1}},
		"a long state":       {method: "POST", path: "/v1/ssf/verify", json: map[string]any{"stream_id": s.ID, "state": strings.Repeat("x", 2000)}},
	} {
		r.basic = true
		if a := e.do(r); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	a := e.do(request{method: "PATCH", path: "/v1/ssf/streams", basic: true, json: push("https://receiver.example.com/", "Bearer MARK")})
	if wantStatus(t, a, http.StatusOK); strings.Contains(a.body, "MARK") {
		t.Errorf("the receiver's secret is shown: %s", a.body)
	}
	g := e.loginAlice()
	raw, _, err := e.issuer.Issue(t.Context(), token.Claims{Subject: "svc", ClientID: "svc", Scope: "ssf.read other"})
	must(t, err)
	for name, c := range map[string]struct {
		r    request
		want int
	}{
		"nobody":               {request{method: "GET", path: "/v1/ssf/streams"}, http.StatusUnauthorized},
		"a user":               {request{method: "GET", path: "/v1/ssf/streams", bearer: g.AccessToken}, http.StatusForbidden},
		"nonsense":             {request{method: "GET", path: "/v1/ssf/streams", bearer: "nonsense"}, http.StatusUnauthorized},
		"a client that reads":  {request{method: "GET", path: "/v1/ssf/streams", bearer: raw}, http.StatusOK},
		"a client that writes": {request{method: "POST", path: "/v1/ssf/streams", bearer: raw}, http.StatusForbidden},
		"another's stream":     {request{method: "GET", path: "/v1/ssf/streams?stream_id=" + s.ID, bearer: raw}, http.StatusNotFound},
	} {
		if a := e.do(c.r); a.status != c.want {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for range 9 {
		wantStatus(t, e.do(request{method: "POST", path: "/v1/ssf/streams", basic: true}), http.StatusCreated)
	}
	wantProblem(t, e.do(request{method: "POST", path: "/v1/ssf/streams", basic: true}), http.StatusConflict, "conflict")
}

func TestNoSharedSignals(t *testing.T) {
	e := newEnv(t)
	for _, r := range []request{{method: "GET", path: "/.well-known/ssf-configuration"}, {method: "POST", path: "/v1/ssf/streams", basic: true}} {
		wantProblem(t, e.do(r), http.StatusNotFound, "not_found")
	}
}
