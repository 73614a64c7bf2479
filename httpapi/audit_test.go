package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/ratelimit"
)

// trail is an audit sink that remembers, and can fail.
type trail struct {
	mu      sync.Mutex
	entries []audit.Entry
	failing bool
}

func (r *trail) Write(_ context.Context, entries []audit.Entry) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing {
		return 0, errors.New("disk full")
	}
	r.entries = append(r.entries, entries...)
	return len(entries), nil
}

func (r *trail) fail(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = yes
}

// take returns what was recorded since the last time.
func (r *trail) take() []audit.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := r.entries
	r.entries = nil
	return entries
}

// newAudited is newEnv with an audit log.
func newAudited(t *testing.T, change options) (*env, *trail, *audit.Log) {
	t.Helper()
	r := &trail{}
	l, err := audit.New(audit.Config{Wait: 10 * time.Second, Targets: []audit.Target{{Name: "trail", Sink: r}}})
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = l.Close(ctx) // a test may leave the trail failing
	})
	e := newEnv(t, change, options{
		public: func(c *httpapi.PublicConfig) { c.Audit, c.Names = l, c.Accounts.(httpapi.UserNames) },
		admin:  func(c *httpapi.AdminConfig) { c.Audit = l },
	})
	return e, r, l
}

// auditSchema is the published schema of an event.
func auditSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../docs/audit-event.schema.json")
	must(t, err)
	return schema
}

// wantEvent checks that exactly one event was recorded, and most of what it says. A zero member of want is not looked at.
func wantEvents(t *testing.T, what string, r *trail, want ...audit.Event) {
	t.Helper()
	entries, schema := r.take(), auditSchema(t)
	if len(entries) != len(want) {
		t.Errorf("%s: %d events, want %d: %s", what, len(entries), len(want), lines(entries))
		return
	}
	for i, e := range entries {
		text, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Line))
		must(t, err)
		if err := schema.Validate(text); err != nil {
			t.Errorf("%s: %s breaks the schema: %v", what, e.Line, err)
		}
		got, w := e.Event, want[i]
		if w.Outcome == "" {
			w.Outcome = audit.Success
		}
		same := got.Type == w.Type && got.Outcome == w.Outcome && got.Reason == w.Reason && got.Actor.Type == w.Actor.Type &&
			(w.Actor.ID == "" || got.Actor.ID == w.Actor.ID) && (w.Subject == "" || got.Subject == w.Subject) && got.Username == w.Username &&
			(w.SessionID == "" || got.SessionID == w.SessionID) && got.Address == "127.0.0.1" && got.RequestID != "" && got.UserAgent == "Go-http-client/1.1"
		for name, value := range w.Details {
			same = same && (got.Details[name] == value || value == "*" && got.Details[name] != "")
		}
		if !same {
			t.Errorf("%s: recorded %s\nwant %+v", what, e.Line, w)
		}
	}
}

func lines(entries []audit.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.Write(append(e.Line, '\n'))
	}
	return b.String()
}

func TestAuditOfPeople(t *testing.T) {
	e, r, _ := newAudited(t, options{})
	anonymous, alice := audit.Actor{Type: audit.Anonymous}, audit.Actor{Type: audit.User, ID: e.alice.Subject}
	login := func(username, password string) answer {
		return e.do(request{method: "POST", path: "/v1/login", json: map[string]any{"username": username, "password": password, "client_id": "shop"}})
	}
	g := decode[grant](t, login(aliceName, alicePassword), http.StatusOK)
	wantEvents(t, "first login", r,
		audit.Event{Type: audit.LoginNewAddress, Actor: alice, Subject: e.alice.Subject, Username: aliceName, SessionID: g.SessionID, ClientID: "shop"},
		audit.Event{Type: audit.Login, Actor: alice, Subject: e.alice.Subject, Username: aliceName, SessionID: g.SessionID, ClientID: "shop"})
	other := decode[grant](t, login(aliceName, alicePassword), http.StatusOK)
	wantEvents(t, "second login", r, audit.Event{Type: audit.Login, Actor: alice, Username: aliceName, SessionID: other.SessionID})

	login(aliceName, "a wrong one")
	wantEvents(t, "wrong password", r, audit.Event{
		Type: audit.Login, Outcome: audit.Failure, Reason: "invalid_credentials", Actor: anonymous, Subject: e.alice.Subject, Username: aliceName,
	})
	login("hunter2, typed into the wrong field", "x")
	wantEvents(t, "unknown user", r, audit.Event{
		Type: audit.Login, Outcome: audit.Failure, Reason: "invalid_credentials", Actor: anonymous, Details: map[string]string{"username_digest": "*"},
	})
	e.do(request{method: "POST", path: "/v1/login", json: map[string]any{"username": aliceName}})
	wantEvents(t, "malformed login", r)

	e.do(request{method: "GET", path: "/v1/me", bearer: g.AccessToken})
	e.do(request{method: "GET", path: "/v1/me", bearer: "nonsense"})
	e.do(request{method: "POST", path: "/v1/refresh", json: map[string]any{"refresh_token": g.RefreshToken}})
	wantEvents(t, "everyday requests", r)

	for _, scope := range []string{"others", "session"} {
		wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken, json: map[string]any{"scope": scope}}), http.StatusNoContent)
		wantEvents(t, "logout "+scope, r, audit.Event{
			Type: audit.Logout, Actor: alice, Subject: e.alice.Subject, SessionID: g.SessionID, Details: map[string]string{"scope": scope},
		})
	}
	e.do(request{method: "POST", path: "/v1/logout", bearer: "nonsense"})
	wantEvents(t, "logout without a session", r)
	e.revocations.failing.Store(true)
	g = e.loginAlice()
	r.take()
	e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken})
	wantEvents(t, "logout that is not confirmed", r, audit.Event{
		Type: audit.Logout, Outcome: audit.Failure, Reason: "temporarily_unavailable", Actor: alice, SessionID: g.SessionID,
	})
}

func TestAuditOfClients(t *testing.T) {
	limiter, err := ratelimit.NewMemory(ratelimit.MemoryConfig{Policy: ratelimit.Policy{Algorithm: ratelimit.FixedWindow, Limit: 2, Window: time.Hour}})
	must(t, err)
	e, r, _ := newAudited(t, options{public: func(c *httpapi.PublicConfig) { c.RateLimits = map[string]httpapi.RateLimiter{"me": limiter} }})
	g := e.loginAlice()
	r.take()
	e.do(request{method: "POST", path: "/oauth2/introspect", form: "token=x", header: http.Header{"Authorization": {"Basic bm9ib2R5Ong="}}})
	wantEvents(t, "wrong client", r, audit.Event{Type: audit.ClientRefused, Outcome: audit.Failure, Reason: "invalid_credentials", Actor: audit.Actor{Type: audit.Anonymous}})
	e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + g.AccessToken})
	wantEvents(t, "revoked token", r, audit.Event{
		Type: audit.TokenRevoked, Actor: audit.Actor{Type: audit.Client, ID: clientID}, SessionID: g.SessionID, Details: map[string]string{"jti": "*"},
	})
	e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=nonsense"})
	wantEvents(t, "revoked nonsense", r)
	for range 3 {
		e.do(request{method: "GET", path: "/v1/me"})
	}
	wantEvents(t, "beyond a limit", r, audit.Event{
		Type: audit.RateLimited, Outcome: audit.Failure, Reason: "rate_limited", Actor: audit.Actor{Type: audit.Anonymous}, Details: map[string]string{"limit": "me"},
	})
}

func TestAuditOfAdministrators(t *testing.T) {
	e, r, _ := newAudited(t, options{})
	admin := audit.Actor{Type: audit.Admin}
	kid := decode[struct {
		Keys []struct {
			ID string `json:"kid"`
		}
	}](t, e.do(request{method: "GET", path: "/admin/keys", bearer: adminToken}), http.StatusOK).Keys[0].ID
	bob := "/admin/users/" + bobName
	for _, c := range []struct {
		method, path string
		body         any
		want         audit.Event
	}{
		{"POST", "/admin/users", map[string]any{"username": "carol", "password": "a password that carol has", "roles": []string{"x", "y"}},
			audit.Event{Type: audit.UserAdded, Details: map[string]string{"username": "carol", "roles": "x y"}}},
		{"PUT", bob + "/password", map[string]any{"password": "another that bob has now"}, audit.Event{Type: audit.PasswordChanged, Username: bobName}},
		{"PUT", bob + "/roles", map[string]any{"roles": []string{"a"}}, audit.Event{Type: audit.RolesChanged, Username: bobName, Details: map[string]string{"roles": "a"}}},
		{"POST", bob + "/disable", nil, audit.Event{Type: audit.UserDisabled, Username: bobName}},
		{"POST", bob + "/enable", nil, audit.Event{Type: audit.UserEnabled, Username: bobName}},
		{"POST", bob + "/forgive", nil, audit.Event{Type: audit.UserForgiven, Username: bobName}},
		{"DELETE", bob + "/sessions", nil, audit.Event{Type: audit.SubjectRevoked, Username: bobName}},
		{"DELETE", bob, nil, audit.Event{Type: audit.UserRemoved, Username: bobName}},
		{"POST", "/admin/revocations", map[string]any{"kind": "jti", "id": "AAAAAAAAAAAAAAAAAAAAAQ"}, audit.Event{Type: audit.TokenRevoked, Details: map[string]string{"jti": "*"}}},
		{"POST", "/admin/revocations", map[string]any{"kind": "sub", "id": "s"}, audit.Event{Type: audit.SubjectRevoked, Subject: "s"}},
		{"POST", "/admin/revocations", map[string]any{"kind": "username", "id": aliceName}, audit.Event{Type: audit.SubjectRevoked, Subject: e.alice.Subject}},
		{"POST", "/admin/revocations", map[string]any{"kind": "client_id", "id": "shop"}, audit.Event{Type: audit.ClientRevoked, Details: map[string]string{"client_id": "shop"}}},
		{"POST", "/admin/revocations", map[string]any{"kind": "all"}, audit.Event{Type: audit.EverythingRevoked}},
		{"POST", "/admin/keys/" + kid + "/revoke", nil, audit.Event{Type: audit.KeyRevoked, Details: map[string]string{"kid": kid}}},
		{"POST", "/admin/keys/rotate", nil, audit.Event{Type: audit.KeyRotated, Outcome: audit.Failure, Reason: "conflict"}}, // the standby is too young
	} {
		a := e.do(request{method: c.method, path: c.path, bearer: adminToken, json: c.body})
		if (a.status >= 300) != (c.want.Outcome == audit.Failure) {
			t.Fatalf("%s %s %v: %d %s\n%s", c.method, c.path, c.body, a.status, a.body, e.log)
		}
		c.want.Actor = admin
		wantEvents(t, c.method+" "+c.path, r, c.want)
	}
	for name, change := range map[string]request{
		"a dry run":       {method: "POST", path: "/admin/keys/" + kid + "/revoke", bearer: adminToken, json: map[string]any{"dry_run": true}},
		"an unknown user": {method: "POST", path: "/admin/users/nobody/disable", bearer: adminToken},
		"a look":          {method: "GET", path: "/admin/users", bearer: adminToken},
	} {
		e.do(change)
		wantEvents(t, name, r)
	}
	e.do(request{method: "GET", path: "/admin/users"})
	e.do(request{method: "POST", path: "/admin/users", bearer: "wrong"})
	wantEvents(t, "no admin", r,
		audit.Event{Type: audit.AdminRefused, Outcome: audit.Failure, Reason: "invalid_token", Actor: audit.Actor{Type: audit.Anonymous}},
		audit.Event{Type: audit.AdminRefused, Outcome: audit.Failure, Reason: "forbidden", Actor: audit.Actor{Type: audit.Anonymous}})
	text := e.do(request{method: "GET", path: "/metrics"}).body
	if strings.Contains(text, "authd_audit") {
		t.Error("metrics that nobody registered") // RegisterAudit is tested with the process
	}
}

// While the log is strict and does not confirm, nobody logs in or out, and nobody is left with a session that was not
// recorded. Without strictness both go on.
func TestStrictAudit(t *testing.T) {
	for _, strict := range []bool{true, false} {
		e, r, l := newAudited(t, options{public: func(c *httpapi.PublicConfig) { c.AuditStrict = strict }})
		login := request{method: "POST", path: "/v1/login", json: map[string]any{"username": aliceName, "password": alicePassword}}
		g := e.loginAlice()
		r.fail(true)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_ = l.Record(gone, audit.Event{Type: audit.Started})
		await(t, "a log that is known to fail", func() bool { return l.Stats().Sinks[0].Stuck })
		want, wantOut := http.StatusOK, http.StatusNoContent
		if strict {
			want, wantOut = http.StatusServiceUnavailable, http.StatusServiceUnavailable
		}
		wantStatus(t, e.do(login), want)
		live, err := e.sessions.List(t.Context(), e.alice.Subject)
		must(t, err)
		if strict && len(live) != 1 {
			t.Errorf("%d sessions, want the one that was recorded", len(live))
		}
		wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}), wantOut)
		r.fail(false)
		await(t, "a log that confirms", func() bool { return l.Record(t.Context(), audit.Event{Type: audit.Started}) == nil })
		wantStatus(t, e.do(login), http.StatusOK)
		wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}), http.StatusNoContent)
	}
}

// T26, T27: no secret reaches the audit log, whatever is sent, wherever; nor a line that was forged.
func TestAuditHoldsNoSecret(t *testing.T) {
	e, r, _ := newAudited(t, options{})
	g := e.loginAlice()
	const mark = "MARK0123456789"
	secret := map[string]any{"username": aliceName, "password": mark}
	for _, q := range []request{
		{method: "POST", path: "/v1/login?password=" + mark, json: secret},
		{method: "POST", path: "/v1/login", json: map[string]any{"username": mark, "password": mark}},
		{method: "POST", path: "/v1/login", json: map[string]any{"username": "x\r\n{\"v\":1}\x1b[31m", "password": mark}},
		{method: "POST", path: "/v1/refresh", json: map[string]any{"refresh_token": "authd_rt_" + mark}},
		{method: "POST", path: "/v1/refresh", json: map[string]any{"refresh_token": g.RefreshToken}},
		{method: "POST", path: "/v1/logout", bearer: mark + "." + mark + "." + mark},
		{method: "DELETE", path: "/v1/sessions/" + mark, bearer: g.AccessToken},
		{method: "POST", path: "/oauth2/introspect?token=" + mark, form: "token=" + mark},
		{method: "POST", path: "/oauth2/revoke", form: "token=" + mark, header: http.Header{"Authorization": {"Basic " + mark}}},
		{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + g.RefreshToken},
		{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + g.AccessToken},
		{method: "POST", path: "/v1/logout", bearer: g.AccessToken, header: http.Header{
			"Referer": {mark}, "X-Forwarded-For": {mark}, "X-Request-Id": {mark}, "Cookie": {"__Host-authd_access=" + mark},
		}},
		{method: "POST", path: "/admin/users", bearer: adminToken, json: map[string]any{"username": "carol", "password": mark + " is long enough"}},
		{method: "PUT", path: "/admin/users/bob/password", bearer: adminToken, json: map[string]any{"password": mark + " is long enough"}},
		{method: "POST", path: "/admin/users", bearer: mark},
	} {
		e.do(q)
	}
	entries := r.take()
	if len(entries) < 8 {
		t.Errorf("only %d events", len(entries))
	}
	text := lines(entries)
	for name, secret := range map[string]string{
		"a marked secret": mark, "a password": alicePassword, "an access token": g.AccessToken, "a JWT": "eyJ",
		"a refresh token": "authd_rt_", "the client's secret": clientSecret, "the admin token": adminToken,
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the audit log holds %s:\n%s", name, text)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Count(text, "\n") != len(entries) {
		t.Errorf("a line was forged:\n%s", text)
	}
}

// The example of docs/audit.md is an event.
func TestAuditGuideShowsAnEvent(t *testing.T) {
	event, err := jsonschema.UnmarshalJSON(strings.NewReader(docs.Text(t, "docs/audit.md", "json", 0)))
	must(t, err)
	must(t, auditSchema(t).Validate(event))
}
