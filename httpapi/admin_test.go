package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
)

// client returns a client of the admin API whose answers are held against the document.
func (e *env) client() *adminclient.Client {
	e.t.Helper()
	c, err := adminclient.New(adminclient.Config{URL: e.adminURL, Token: adminToken, Transport: e.http.Transport})
	must(e.t, err)
	return c
}

// wantRefusal checks that err is the server's refusal with this status and code.
func wantRefusal(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refusal *adminclient.Error
	if !errors.As(err, &refusal) || refusal.Status != status || refusal.Code != code {
		t.Errorf("error %v, want %d %s", err, status, code)
	}
}

func (e *env) alive(g grant) bool {
	e.t.Helper()
	return e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}).status == http.StatusOK
}

// T30, T31: without the admin token nothing is to be had; with another one neither, and a user's is another one.
func TestAdminWantsItsToken(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	for _, route := range e.admin.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if !strings.HasPrefix(path, "/admin/") || method == "HEAD" {
			continue
		}
		path = strings.NewReplacer("{username}", "alice", "{id}", g.SessionID, "{kid}", "x").Replace(path)
		a := e.do(request{method: method, path: path})
		wantProblem(t, a, http.StatusUnauthorized, "invalid_token")
		for _, wrong := range []string{g.AccessToken, adminToken[:len(adminToken)-1], adminToken + "x", "x"} {
			wantProblem(t, e.do(request{method: method, path: path, bearer: wrong}), http.StatusForbidden, "forbidden")
		}
		for _, header := range []http.Header{
			{"Authorization": {"Bearer " + adminToken, "Bearer " + adminToken}},
			{"Authorization": {"Basic " + adminToken}}, {"Cookie": {"__Host-authd_access=" + adminToken}},
		} {
			if a := e.do(request{method: method, path: path, header: header}); a.status != 400 && a.status != 401 {
				t.Errorf("%s with %v: %d", route, header, a.status)
			}
		}
	}
	if !e.alive(g) {
		t.Error("something was done all the same")
	}
}

func TestUserLife(t *testing.T) {
	e := newEnv(t)
	c, ctx := e.client(), t.Context()
	const password, changed = "a long enough password", "another long password"
	added, err := c.AddUser(ctx, adminapi.NewUser{Username: "Carol", Password: password, Roles: []string{"viewer"}})
	must(t, err)
	if added.Subject == "" || added.Disabled || !added.HasPassword || !slices.Equal(added.Roles, []string{"viewer"}) {
		t.Errorf("added %+v", added)
	}
	_, err = c.AddUser(ctx, adminapi.NewUser{Username: "carol", Password: password})
	wantRefusal(t, err, http.StatusConflict, "conflict")

	g := e.login("carol", password)
	must(t, c.SetRoles(ctx, "carol", "editor", "viewer"))
	if !e.alive(g) {
		t.Error("new roles ended a session")
	}
	must(t, c.SetPassword(ctx, "carol", changed))
	if e.alive(g) {
		t.Error("a session outlived the password it began with")
	}
	g = e.login("carol", changed)
	must(t, c.DisableUser(ctx, "carol"))
	if e.alive(g) {
		t.Error("a session outlived its account")
	}
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": "carol", "password": changed}})
	wantProblem(t, a, http.StatusUnauthorized, "invalid_credentials")
	must(t, c.EnableUser(ctx, "carol"))
	g = e.login("carol", changed)
	must(t, c.RemoveUser(ctx, "carol"))
	if e.alive(g) {
		t.Error("a session outlived its user")
	}
	_, err = c.User(ctx, "carol")
	wantRefusal(t, err, http.StatusNotFound, "not_found")
	wantRefusal(t, c.RemoveUser(ctx, "carol"), http.StatusNotFound, "not_found")
}

func TestBadUsers(t *testing.T) {
	e := newEnv(t)
	c, ctx := e.client(), t.Context()
	for name, u := range map[string]adminapi.NewUser{
		"username": {Username: "a b", Password: "a long enough password"},
		"password": {Username: "carol", Password: "short"},
		"roles":    {Username: "carol", Password: "a long enough password", Roles: []string{"two words"}},
	} {
		_, err := c.AddUser(ctx, u)
		var refusal *adminclient.Error
		if !errors.As(err, &refusal) || refusal.Status != http.StatusBadRequest || len(refusal.Errors) != 1 ||
			refusal.Errors[0].Field != name || strings.Contains(err.Error(), u.Password) {
			t.Errorf("%s: %v", name, err)
		}
		if refusal != nil && strings.Contains(refusal.Detail, "not accepted") {
			t.Errorf("%s: the answer repeats what kind of error it is: %s", name, refusal.Detail)
		}
	}
	wantRefusal(t, c.SetPassword(ctx, aliceName, "password"), http.StatusBadRequest, "bad_request")
}

func TestUsersArePaged(t *testing.T) {
	e := newEnv(t)
	c, ctx := e.client(), t.Context()
	_, err := e.users.Add(ctx, "carol", "a long enough password")
	must(t, err)
	var names []string
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		page, err := c.Users(ctx, after, 2)
		must(t, err)
		for _, u := range page.Users {
			names = append(names, u.Username)
		}
		if after = page.Next; pages > 3 {
			t.Fatal("the pages do not end")
		}
	}
	if !slices.Equal(names, []string{"alice", "bob", "carol"}) {
		t.Errorf("names %v", names)
	}
	for _, limit := range []string{"0", "-1", "1001", "x", "9999999999999999999"} {
		a := e.do(request{method: "GET", path: "/admin/users?limit=" + limit, bearer: adminToken})
		if p := wantProblem(t, a, http.StatusBadRequest, "bad_request"); len(p.Errors) != 1 || p.Errors[0].Field != "limit" {
			t.Errorf("limit %s: %+v", limit, p)
		}
	}
}

// A change that is made while sessions cannot be ended says so, and authd ends them by itself as soon as it can.
func TestChangesThatAreNotConfirmed(t *testing.T) {
	for name, change := range map[string]func(*adminclient.Client, context.Context) error{
		"password": func(c *adminclient.Client, ctx context.Context) error {
			return c.SetPassword(ctx, aliceName, "a quite different password")
		},
		"disabled": func(c *adminclient.Client, ctx context.Context) error { return c.DisableUser(ctx, aliceName) },
		"removed":  func(c *adminclient.Client, ctx context.Context) error { return c.RemoveUser(ctx, aliceName) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			g, other := e.loginAlice(), e.login(bobName, bobPassword)
			e.revocations.failing.Store(true)
			wantRefusal(t, change(e.client(), t.Context()), http.StatusServiceUnavailable, "temporarily_unavailable")
			if a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
				"username": aliceName, "password": alicePassword,
			}}); a.status != http.StatusUnauthorized {
				t.Errorf("after the change alice logs in as before with %d", a.status)
			}
			e.revocations.failing.Store(false)
			await(t, "end of the session", func() bool { return !e.alive(g) })
			if !e.alive(other) {
				t.Error("the session of another user ended")
			}
			await(t, "end of the note", func() bool {
				left, err := e.users.PendingEnds(t.Context(), "", 10)
				return err == nil && len(left) == 0
			})
		})
	}
}

func TestAdminSessions(t *testing.T) {
	e := newEnv(t)
	c, ctx := e.client(), t.Context()
	first, second, other := e.loginAlice(), e.loginAlice(), e.login(bobName, bobPassword)
	list, err := c.Sessions(ctx, aliceName)
	must(t, err)
	bySubject, err := c.SessionsOfSubject(ctx, e.alice.Subject)
	must(t, err)
	if len(list) != 2 || !slices.Equal(list, bySubject) || list[0].Username != aliceName || list[0].Subject != e.alice.Subject {
		t.Errorf("by name %+v, by subject %+v", list, bySubject)
	}
	must(t, c.EndSession(ctx, first.SessionID))
	must(t, c.EndSession(ctx, first.SessionID)) // as good as the first time
	if e.alive(first) || !e.alive(second) {
		t.Error("one session: ended the wrong one")
	}
	must(t, c.EndUserSessions(ctx, aliceName))
	if e.alive(second) || !e.alive(other) {
		t.Error("all sessions of a user: ended the wrong ones")
	}
	wantRefusal(t, c.EndSession(ctx, "nonsense"), http.StatusNotFound, "not_found")
	_, err = c.Sessions(ctx, "nobody")
	wantRefusal(t, err, http.StatusNotFound, "not_found")
	for _, query := range []string{"", "?username=alice&sub=x", "?username="} {
		wantStatus(t, e.do(request{method: "GET", path: "/admin/sessions" + query, bearer: adminToken}), http.StatusBadRequest)
	}
}

func TestRevokeOnEveryAxis(t *testing.T) {
	for kind, axis := range map[string]struct {
		id        func(e *env, g grant) string
		refreshes int // status of a refresh afterwards
	}{
		"jti": {func(e *env, g grant) string {
			a := e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: "token=" + g.AccessToken})
			return decode[struct{ JTI string }](t, a, http.StatusOK).JTI
		}, http.StatusOK},
		"sid":       {func(_ *env, g grant) string { return g.SessionID }, http.StatusUnauthorized},
		"sub":       {func(e *env, _ grant) string { return e.alice.Subject }, http.StatusUnauthorized},
		"username":  {func(*env, grant) string { return aliceName }, http.StatusUnauthorized},
		"client_id": {func(*env, grant) string { return "shop" }, http.StatusUnauthorized},
		"all":       {func(*env, grant) string { return "" }, http.StatusUnauthorized},
	} {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t)
			g := decode[grant](t, e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
				"username": aliceName, "password": alicePassword, "client_id": "shop",
			}}), http.StatusOK)
			must(t, e.client().Revoke(t.Context(), kind, axis.id(e, g)))
			if e.alive(g) {
				t.Error("the token lives")
			}
			a := e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": g.RefreshToken}})
			wantStatus(t, a, axis.refreshes)
		})
	}
}

func TestRevocationRequests(t *testing.T) {
	e := newEnv(t)
	c, ctx := e.client(), t.Context()
	for _, r := range []adminapi.Revocation{{Kind: "jti", ID: "x"}, {Kind: "client_id", ID: "shop"}, {Kind: "all"}} {
		must(t, c.Revoke(ctx, r.Kind, r.ID))
	}
	status, err := c.Revocations(ctx)
	must(t, err)
	if !status.Fresh || status.AsOf == nil || status.Entries["jti"] != 1 || status.Entries["client_id"] != 1 || status.Entries["all"] != 1 {
		t.Errorf("status %+v", status)
	}
	for _, bad := range []adminapi.Revocation{
		{Kind: "nonsense", ID: "x"}, {Kind: "jti"}, {Kind: "all", ID: "x"}, {Kind: "sid", ID: "x"}, {Kind: "username"},
		{Kind: "jti", ID: strings.Repeat("A", 22)}, {Kind: "sid", ID: strings.Repeat("A", 22)},
	} {
		wantRefusal(t, c.Revoke(ctx, bad.Kind, bad.ID), http.StatusBadRequest, "bad_request")
	}
	wantRefusal(t, c.Revoke(ctx, "username", "nobody"), http.StatusNotFound, "not_found")
	wantRefusal(t, c.Revoke(ctx, "kid", "nokey"), http.StatusNotFound, "not_found")
	e.revocations.failing.Store(true)
	wantRefusal(t, c.Revoke(ctx, "jti", "x"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestKeys(t *testing.T) {
	e := newEnv(t)
	c, ctx := e.client(), t.Context()
	active := func() (kid string, list adminapi.KeyList) {
		list, err := c.Keys(ctx)
		must(t, err)
		for _, k := range list.Keys {
			if k.State == "active" {
				kid = k.ID
			}
		}
		return kid, list
	}
	kid, list := active()
	if kid == "" || list.Holder != "test" || list.Term == 0 || list.Epoch == "" {
		t.Errorf("keys %+v", list)
	}
	_, err := c.RotateKeys(ctx) // the standby was published a moment ago
	var early *adminclient.Error
	if !errors.As(err, &early) || early.Status != http.StatusConflict || early.RetryAfter < time.Minute {
		t.Errorf("rotation: %v", err)
	}
	radius, err := c.KeyBlastRadius(ctx, kid)
	must(t, err)
	if radius.State != "active" || !radius.DryRun || radius.UnknownFor == 0 || radius.RevokedUntil == nil {
		t.Errorf("blast radius %+v", radius)
	}
	g := e.loginAlice()
	if now, _ := active(); now != kid || !e.alive(g) {
		t.Error("the dry run was none")
	}
	done, err := c.RevokeKey(ctx, kid)
	must(t, err)
	if done.DryRun || done.Successor == "" || done.Successor == kid {
		t.Errorf("revoked %+v", done)
	}
	if e.alive(g) {
		t.Error("a token of the revoked key lives")
	}
	await(t, "successor", func() bool { now, _ := active(); return now == done.Successor })
	if !e.alive(e.loginAlice()) {
		t.Error("the successor does not sign")
	}
	_, err = c.RevokeKey(ctx, "no such/key")
	wantRefusal(t, err, http.StatusNotFound, "not_found")
}

func TestOperations(t *testing.T) {
	broken := errors.New("SECRET cause")
	failing := false
	e := newEnv(t, options{admin: func(c *httpapi.AdminConfig) {
		c.Checks = append(c.Checks, httpapi.Check{Name: "store", Probe: func(context.Context) error {
			if failing {
				return broken
			}
			return nil
		}})
	}})
	wantStatus(t, e.do(request{method: "GET", path: "/livez"}), http.StatusOK)
	wantStatus(t, e.do(request{method: "GET", path: "/readyz"}), http.StatusOK)
	name, err := e.client().Leader(t.Context())
	if err != nil || name != "test" {
		t.Errorf("leader %q, %v", name, err)
	}
	failing = true
	a := e.do(request{method: "GET", path: "/readyz"})
	p := wantProblem(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
	if len(p.Errors) != 1 || p.Errors[0].Field != "store" || strings.Contains(a.body, "SECRET") {
		t.Errorf("readiness: %s", a.body)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/livez"}), http.StatusOK)
	await(t, "cause in the log", func() bool { return strings.Contains(e.log.String(), "store: SECRET cause") })
}

// The same calls work without a network, for commands that run while no server does.
func TestAdminInProcess(t *testing.T) {
	e := newEnv(t)
	c, err := adminclient.New(adminclient.Config{
		URL: "http://in.process", Token: adminToken,
		Transport: newContract(t, adminclient.InProcess(e.admin), "", "http://in.process"),
	})
	must(t, err)
	_, err = c.AddUser(t.Context(), adminapi.NewUser{Username: "carol", Password: "a long enough password"})
	must(t, err)
	must(t, c.SetPassword(t.Context(), "carol", "another long password"))
	_, err = c.User(t.Context(), "nobody")
	wantRefusal(t, err, http.StatusNotFound, "not_found")
	wrong, err := adminclient.New(adminclient.Config{URL: "http://x", Token: "x", Transport: adminclient.InProcess(e.admin)})
	must(t, err)
	_, err = wrong.Keys(t.Context())
	wantRefusal(t, err, http.StatusForbidden, "forbidden")
}
