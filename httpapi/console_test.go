package httpapi_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi"
)

const (
	rootName     = "root"
	rootPassword = "a kettle full of tundra"
	consoleRole  = "authd-admin"
)

// consoleEnv is an env whose console listens, with the user root, who may use it.
type consoleEnv struct {
	*env
	url   string
	clock *consoleClock // of the console alone
	trail *trail
}

// consoleClock runs ahead as a test wishes.
type consoleClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *consoleClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *consoleClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newConsole(t *testing.T) *consoleEnv {
	t.Helper()
	inner, trail, log := newAudited(t, options{})
	e := &consoleEnv{env: inner, clock: &consoleClock{}, trail: trail}
	_, err := e.users.Add(t.Context(), rootName, rootPassword, consoleRole)
	must(t, err)
	c := e.adminConfig
	c.Metrics, c.Now, c.Audit = nil, e.clock.Now, log
	c.Console = &httpapi.ConsoleConfig{SignIn: e.publicConfig, Role: consoleRole, Revoked: e.mirror}
	s, err := httpapi.NewAdmin(c)
	must(t, err)
	e.url = listen(t, runner(t), s)
	return e
}

// logged returns the events of a type since the last time that any were asked for.
func (e *consoleEnv) logged(kind audit.Type) []audit.Event {
	var found []audit.Event
	for _, entry := range e.trail.take() {
		if entry.Event.Type == kind {
			found = append(found, entry.Event)
		}
	}
	return found
}

// visit sends a request as a browser does, with cookies that it changes as the answer says, and follows no redirect.
func (e *consoleEnv) visit(method, target string, form url.Values, jar map[string]string) answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+target, strings.NewReader(form.Encode()))
	must(e.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", e.url)
		req.Header.Set("Referer", e.url+"/console/users/alice")
	}
	for name, value := range jar {
		req.AddCookie(&http.Cookie{Name: name, Value: value, Quoted: false})
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	must(e.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(e.t, err)
	for _, c := range resp.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-authd_console") {
			e.t.Errorf("cookie %v", c)
		}
		if jar != nil {
			jar[c.Name] = c.Value
			if c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

func (e *consoleEnv) signIn(username, password string) (map[string]string, answer) {
	e.t.Helper()
	jar := map[string]string{}
	return jar, e.visit("POST", "/console/login", credentials(username, password, "return_to", "/console/users"), jar)
}

// asRoot returns the cookies of root, who has just signed in.
func (e *consoleEnv) asRoot() map[string]string {
	e.t.Helper()
	jar, a := e.signIn(rootName, rootPassword)
	wantRedirect(e.t, a, "/console/users")
	return jar
}

// consolePaths are those of all pages that operators see, and of all forms that they send.
func consolePaths(sid string) (pages, forms []string) {
	const alice = "/console/users/alice"
	return []string{"/console", "/console/users", alice, "/console/revoke", "/console/revoke?kind=all", "/console/keys"},
		[]string{
			"/console/users", alice + "/password", alice + "/roles", alice + "/disable", alice + "/enable", alice + "/forgive", alice + "/factors",
			alice + "/remove", alice + "/sessions", alice + "/sessions/" + sid, "/console/revoke", "/console/keys/rotate",
		}
}

// Nobody sees or does anything in the console without the role, whatever else they have.
func TestConsoleWantsTheRole(t *testing.T) {
	e := newConsole(t)
	g := e.loginAlice()
	if jar, a := e.signIn(aliceName, alicePassword); a.status != http.StatusForbidden || len(jar) > 0 {
		t.Errorf("alice, who lacks the role, signs in with %d and cookies %v", a.status, jar)
	}
	live, err := e.sessions.List(t.Context(), e.alice.Subject)
	must(t, err)
	if len(live) != 1 {
		t.Errorf("alice has %d sessions, want the one that she had", len(live))
	}
	root := e.login(rootName, rootPassword) // of the public API
	refused := e.asRoot()
	_, err = e.users.SetRoles(t.Context(), rootName)
	must(t, err)
	pages, forms := consolePaths(g.SessionID)
	for name, jar := range map[string]map[string]string{
		"nobody":               {},
		"made up":              {"__Host-authd_console": "x", "__Host-authd_console_refresh": "authd_rt_x"},
		"another client's":     {"__Host-authd_console": root.AccessToken, "__Host-authd_console_refresh": root.RefreshToken},
		"a user's":             {"__Host-authd_console": g.AccessToken, "__Host-authd_console_refresh": g.RefreshToken},
		"public cookies":       {"__Host-authd_access": root.AccessToken, "__Host-authd_refresh": root.RefreshToken},
		"without the role now": refused,
	} {
		for method, paths := range map[string][]string{"GET": pages, "POST": forms} {
			for _, p := range paths {
				a := e.visit(method, p, url.Values{"kind": {"all"}, "password": {"another long password"}}, maps.Clone(jar))
				led := a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), "/console/login?")
				if !led && a.status != http.StatusForbidden {
					t.Errorf("%s: %s %s is answered %d to %q", name, method, p, a.status, a.header.Get("Location"))
				}
			}
		}
	}
	if !e.alive(g) {
		t.Error("alice's session has ended")
	}
	if len(e.logged(audit.EverythingRevoked)) > 0 {
		t.Error("the log says that it was done")
	}
}

// Every action wants who acts to have signed in within five minutes; looking does not.
func TestConsoleWantsRecentAuthentication(t *testing.T) {
	e := newConsole(t)
	g := e.loginAlice()
	jar := e.asRoot()
	e.clock.Advance(6 * time.Minute)
	pages, forms := consolePaths(g.SessionID)
	for _, p := range pages {
		wantStatus(t, e.visit("GET", p, nil, jar), http.StatusOK)
	}
	for _, p := range forms {
		a := e.visit("POST", p, url.Values{"kind": {"all"}, "password": {"another long password"}}, jar)
		wantRedirect(t, a, "/console/login?again=1&return_to=%2Fconsole%2Fusers%2Falice")
	}
	if !e.alive(g) {
		t.Error("something was done all the same")
	}
	if user, err := e.users.Get(t.Context(), aliceName); err != nil || user.Disabled {
		t.Errorf("alice is %+v, %v", user, err)
	}
}

// What an operator does to users is done, and the audit log says who did it.
func TestConsoleUsers(t *testing.T) {
	e := newConsole(t)
	jar := e.asRoot()
	root, err := e.users.Get(t.Context(), rootName)
	must(t, err)
	do := func(target string, form url.Values, to string, event audit.Type, about string) {
		t.Helper()
		wantRedirect(t, e.visit("POST", target, form, jar), to)
		if event == "" {
			return
		}
		logged := e.logged(event)
		if len(logged) == 0 {
			t.Fatalf("%s: nothing is logged", target)
		}
		last := logged[len(logged)-1]
		if last.Actor != (audit.Actor{Type: audit.Admin, ID: root.Subject}) || last.Outcome == audit.Failure || last.Username != about && last.Subject == "" {
			t.Errorf("%s: logged is %+v", target, last)
		}
	}
	do("/console/users", url.Values{"username": {"Carol"}, "password": {"a long enough password"}, "roles": {"editor  viewer"}},
		"/console/users/carol?done=added", audit.UserAdded, "carol")
	const carol = "/console/users/carol"
	g := e.login("carol", "a long enough password")
	do(carol+"/password", url.Values{"password": {"another long password"}}, carol+"?done=password", audit.PasswordChanged, "carol")
	if e.alive(g) {
		t.Error("a session outlived the password")
	}
	g, other := e.login("carol", "another long password"), e.login("carol", "another long password")
	do(carol+"/sessions/"+g.SessionID, nil, carol+"?done=session", "", "carol")
	if e.alive(g) || !e.alive(other) {
		t.Error("the wrong session ended")
	}
	do(carol+"/sessions", nil, carol+"?done=sessions", audit.SubjectRevoked, "carol")
	if e.alive(other) {
		t.Error("a session is left")
	}
	do(carol+"/roles", url.Values{"roles": {"viewer"}}, carol+"?done=roles", audit.RolesChanged, "carol")
	do(carol+"/forgive", nil, carol+"?done=forgiven", audit.UserForgiven, "carol")
	do(carol+"/disable", nil, carol+"?done=disabled", audit.UserDisabled, "carol")
	user, err := e.users.Get(t.Context(), "carol")
	must(t, err)
	if !user.Disabled || !slices.Equal(user.Roles, []string{"viewer"}) {
		t.Errorf("carol is %+v", user)
	}
	do(carol+"/enable", nil, carol+"?done=enabled", audit.UserEnabled, "carol")
	g = e.login("carol", "another long password")
	do(carol+"/remove", nil, "/console/users?done=removed", audit.UserRemoved, "carol")
	if e.alive(g) {
		t.Error("a session outlived its user")
	}
	wantPageText(t, e.visit("GET", "/console/users/carol", nil, jar), http.StatusNotFound, "No such user")
	wantPageText(t, e.visit("POST", "/console/users", url.Values{"username": {"dan"}, "password": {"password"}}, jar), http.StatusBadRequest, "most common")
	wantPageText(t, e.visit("GET", "/console/users?q=AL", nil, jar), http.StatusOK, `<a href="/console/users/alice">`)
	if a := e.visit("GET", "/console/users?q=al", nil, jar); strings.Contains(a.body, "/console/users/bob") {
		t.Error("the search for al finds bob")
	}
}

func wantPageText(t *testing.T, a answer, status int, text string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		t.Errorf("status %d, want %d and %q in %s", a.status, status, text, a.body)
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "script") {
		t.Errorf("Content-Security-Policy: %q", csp)
	}
}

// On each axis the page says first what is hit, changes nothing by that, and then does it.
func TestConsoleRevokes(t *testing.T) {
	e := newConsole(t)
	kid := func() string {
		ring, _, err := e.ring.Ring()
		must(t, err)
		return ring.Keys[0].ID
	}
	for _, c := range []struct {
		kind string
		id   func(g grant) string
		says string
	}{
		{"jti", func(g grant) string { return claimsOf(t, g.AccessToken)["jti"].(string) }, "Its session goes on"},
		{"sid", func(g grant) string { return g.SessionID }, "The session ends"},
		{"username", func(grant) string { return aliceName }, "2 sessions of alice end"},
		{"sub", func(grant) string { return e.alice.Subject }, "One session of the subject"},
		{"client_id", func(grant) string { return "authd" }, "Every access token that was issued to the client authd"},
		{"kid", func(grant) string { return kid() }, "The key is active"},
		{"all", func(grant) string { return "" }, "yours too"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			g := e.loginAlice()
			jar := e.asRoot()
			id := c.id(g)
			query := url.Values{"kind": {c.kind}, "id": {id}}
			wantPageText(t, e.visit("GET", "/console/revoke?"+query.Encode(), nil, jar), http.StatusOK, c.says)
			if !e.alive(g) {
				t.Fatal("to look has revoked")
			}
			wantRedirect(t, e.visit("POST", "/console/revoke", query, jar), "/console/revoke?done=revoked")
			if e.alive(g) {
				t.Error("the token is accepted")
			}
			await(t, "way for others to log in", func() bool {
				return e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
					"username": bobName, "password": bobPassword,
				}}).status == http.StatusOK
			})
		})
	}
	jar := e.asRoot()
	for _, query := range []string{"kind=sid", "kind=what&id=x", "kind=all&id=x", "kind=sid&id=x", "kind=username&id=nobody"} {
		if a := e.visit("GET", "/console/revoke?"+query, nil, jar); a.status != http.StatusBadRequest {
			t.Errorf("%s is answered %d", query, a.status)
		}
	}
}

// The overview and the keys say what there is.
func TestConsoleShows(t *testing.T) {
	e := newConsole(t)
	must(t, e.sessions.EndSubject(t.Context(), e.alice.Subject))
	jar := e.asRoot()
	ring, _, err := e.ring.Ring()
	must(t, err)
	for target, texts := range map[string][]string{
		"/console":             {"<strong>test</strong>", "this authd", ">fresh<", "Verifiers are not asked"},
		"/console/keys":        {ring.Keys[0].ID, `class="bar active"`, `class="now"`, "The next rotation is due"},
		"/console/users":       {"alice", "bob", "root"},
		"/console/users/root":  {"authd-console", "authd-admin"},
		"/console/users/alice": {"None."},
	} {
		for _, text := range texts {
			wantPageText(t, e.visit("GET", target, nil, jar), http.StatusOK, text)
		}
	}
}

// The login of the console has the limits of any login, leads only into the console, and leaves nothing behind.
func TestConsoleSignIn(t *testing.T) {
	e := newConsole(t)
	for target, to := range map[string]string{
		"/console/keys": "/console/keys", "": "/console", "/account": "/console", "//evil.example": "/console", "/console/../account": "/console",
		"/\\evil.example": "/console", "https://evil.example": "/console", "/console/login": "/console", "/consolex": "/console",
	} {
		a := e.visit("POST", "/console/login", credentials(rootName, rootPassword, "return_to", target), map[string]string{})
		wantRedirect(t, a, to)
	}
	jar := e.asRoot()
	before := maps.Clone(jar)
	wantRedirect(t, e.visit("POST", "/console/login", credentials(rootName, rootPassword), jar), "/console")
	wantRedirect(t, e.visit("GET", "/console", nil, before), "/console/login?return_to=%2Fconsole") // it was replaced
	wantStatus(t, e.visit("GET", "/console", nil, jar), http.StatusOK)
	after := maps.Clone(jar)
	wantRedirect(t, e.visit("POST", "/console/logout", nil, jar), "/console/login?done=logout")
	if len(jar) > 0 {
		t.Errorf("cookies are left: %v", jar)
	}
	wantRedirect(t, e.visit("GET", "/console", nil, after), "/console/login?return_to=%2Fconsole")

	statuses := map[int]int{}
	for range 16 { // the address is known by now
		_, a := e.signIn(rootName, "wrong")
		statuses[a.status]++
	}
	if statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusUnauthorized]+statuses[http.StatusTooManyRequests] != 16 {
		t.Errorf("wrong passwords are answered %v", statuses)
	}
}

// A session of the console goes on when its access token has expired, and ends with the user's others.
func TestConsoleSessionIsRenewed(t *testing.T) {
	e := newConsole(t)
	jar := e.asRoot()
	delete(jar, "__Host-authd_console")
	wantStatus(t, e.visit("GET", "/console", nil, jar), http.StatusOK)
	if jar["__Host-authd_console"] == "" {
		t.Error("no new access token came")
	}
	root, err := e.users.Get(t.Context(), rootName)
	must(t, err)
	must(t, e.sessions.EndSubject(t.Context(), root.Subject))
	wantRedirect(t, e.visit("GET", "/console", nil, jar), "/console/login?return_to=%2Fconsole")
}

// Who has a second factor needs it for the console, too.
func TestConsoleSecondFactor(t *testing.T) {
	e := newConsole(t)
	_, codes := e.withApp(e.login(rootName, rootPassword))
	jar, a := e.signIn(rootName, rootPassword)
	if a.status != http.StatusOK || len(jar) > 0 || !strings.Contains(a.body, "Second factor") {
		t.Fatalf("after the password: %d, cookies %v, %s", a.status, jar, a.body)
	}
	state := strings.SplitN(strings.SplitN(a.body, `name="state" value="`, 2)[1], `"`, 2)[0]
	form := func(code string) url.Values {
		return url.Values{"state": {state}, "code": {code}, "return_to": {"/console/keys"}}
	}
	if a := e.visit("POST", "/console/login/factor", form("000000"), jar); a.status != http.StatusUnauthorized || len(jar) > 0 {
		t.Errorf("a wrong code: %d, cookies %v", a.status, jar)
	}
	wantRedirect(t, e.visit("POST", "/console/login/factor", form(codes[0]), jar), "/console/keys")
	wantStatus(t, e.visit("GET", "/console", nil, jar), http.StatusOK)

	// An operator helps somebody who has lost the factors, and with them the sessions that they vouched for.
	g := e.loginAlice()
	e.withApp(g)
	wantPageText(t, e.visit("GET", "/console/users/alice", nil, jar), http.StatusOK, "Remove the second factors")
	wantRedirect(t, e.visit("POST", "/console/users/alice/factors", nil, jar), "/console/users/alice?done=factors")
	if e.alive(g) {
		t.Error("a session outlived the factors")
	}
	if again := e.loginAlice(); !e.alive(again) {
		t.Error("a factor is wanted still")
	}
	if logged := e.logged(audit.FactorsReset); len(logged) != 1 || logged[0].Username != aliceName {
		t.Errorf("logged is %+v", logged)
	}
}

// What other sites make a browser send is refused.
func TestConsoleRefusesOtherOrigins(t *testing.T) {
	e := newConsole(t)
	jar := e.asRoot()
	_, forms := consolePaths("x")
	for _, p := range append(forms, "/console/login", "/console/logout") {
		req, err := http.NewRequestWithContext(t.Context(), "POST", e.url+p, strings.NewReader("kind=all"))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "https://evil.example")
		for name, value := range jar {
			req.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another origin is answered %d", path.Base(p), resp.StatusCode)
		}
	}
}
