package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
)

// postForm sends a form as a browser does from a page of the same origin, with these cookies.
func (e *env) postForm(path string, form url.Values, cookies ...*http.Cookie) answer {
	e.t.Helper()
	header := http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {e.publicURL}}
	if len(cookies) > 0 {
		header["Cookie"] = cookieHeader(cookies...)["Cookie"]
	}
	return e.do(request{method: "POST", path: path, form: form.Encode(), header: header})
}

func (e *env) getPage(path string, cookies ...*http.Cookie) answer {
	e.t.Helper()
	r := request{method: "GET", path: path}
	if len(cookies) > 0 {
		r.header = cookieHeader(cookies...)
	}
	return e.do(r)
}

func credentials(username, password string, more ...string) url.Values {
	form := url.Values{"username": {username}, "password": {password}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// signIn signs alice in by the form and returns her cookies.
func (e *env) signIn() (access, refresh *http.Cookie) {
	e.t.Helper()
	a := e.postForm("/login", credentials(aliceName, alicePassword))
	wantRedirect(e.t, a, "/account")
	return cookies(e.t, a)
}

func wantRedirect(t testing.TB, a answer, to string) {
	t.Helper()
	if a.status != http.StatusSeeOther || a.header.Get("Location") != to {
		t.Errorf("status %d to %q, want 303 to %q: %s", a.status, a.header.Get("Location"), to, a.body)
	}
}

// wantPage checks that an answer is a page with this heading, and protected as every page is.
func wantPage(t testing.TB, a answer, status int, heading string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, "<h1>"+heading+"</h1>") {
		t.Errorf("status %d, want %d with the heading %q: %s", a.status, status, heading, a.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %q", csp)
	}
	if regexp.MustCompile(`eyJ[\w-]+\.eyJ|authd_rt_`).MatchString(a.body) {
		t.Error("a page shows a token")
	}
}

func TestLoginPage(t *testing.T) {
	e := newEnv(t)
	a := e.getPage("/login?return_to=%2Faccount%3Fend%3Dall")
	wantPage(t, a, http.StatusOK, "Sign in")
	for _, want := range []string{
		`<form method="post" action="/login">`, `name="return_to" value="/account?end=all"`, `autocomplete="username"`,
		`autocomplete="current-password"`, `<label for="username">`, `<label for="password">`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	a = e.postForm("/login", credentials(aliceName, alicePassword, "return_to", "/account?end=all"))
	wantRedirect(t, a, "/account?end=all")
	access, refresh := cookies(t, a)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusOK)
	wantPage(t, e.getPage("/account", access, refresh), http.StatusOK, "Your account")
	// Who is signed in goes on, except when the password is wanted again.
	wantRedirect(t, e.getPage("/login", access, refresh), "/account")
	a = e.getPage("/login?reauth=1", access, refresh)
	wantPage(t, a, http.StatusOK, "Confirm that it is you")
	if !strings.Contains(a.body, `value="alice"`) {
		t.Errorf("the name is not there:\n%s", a.body)
	}
	if a := e.do(request{method: "HEAD", path: "/login"}); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
}

// The page says the same as the API, counts in the same budget, and keeps what was typed but for the password.
func TestLoginPageRefuses(t *testing.T) {
	e := newEnv(t)
	a := e.postForm("/login", credentials("<ali&ce>", "not "+alicePassword, "return_to", "/account?end=others"))
	wantPage(t, a, http.StatusUnauthorized, "Error: Sign in")
	for _, want := range []string{
		`value="&lt;ali&amp;ce&gt;"`, "The username or the password is wrong.", `role="alert"`, `value="/account?end=others"`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "not "+alicePassword) || a.header.Get("WWW-Authenticate") == "" || len(a.header["Set-Cookie"]) > 0 {
		t.Errorf("%v\n%s", a.header, a.body)
	}
	wantPage(t, e.postForm("/login", credentials("", "x")), http.StatusBadRequest, "Error: Sign in")

	for range 20 {
		a = e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": bobName, "password": "wrong"}})
	}
	wantProblem(t, a, http.StatusTooManyRequests, "too_many_attempts")
	a = e.postForm("/login", credentials(bobName, bobPassword))
	wantPage(t, a, http.StatusTooManyRequests, "Error: Sign in")
	if a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "Try again in") {
		t.Errorf("Retry-After %q\n%s", a.header.Get("Retry-After"), a.body)
	}
}

// Of a page that is asked for what it cannot do, people see a page; the log has the reason.
func TestErrorPages(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Sessions = busy{c.Sessions} }})
	a := e.postForm("/login", credentials(aliceName, alicePassword))
	wantPage(t, a, http.StatusServiceUnavailable, "Error: Sign in")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	for name, c := range map[string]struct {
		request
		status  int
		heading string
	}{
		"another type":  {request{method: "POST", path: "/login", json: "{}"}, 415, "The request was not understood"},
		"not a form":    {request{method: "POST", path: "/login", form: "username=%zz"}, 400, "The request was not understood"},
		"a field twice": {request{method: "POST", path: "/login", form: "username=a&username=b&password=c"}, 400, "The request was not understood"},
		"too long":      {request{method: "POST", path: "/login", form: "username=a&password=" + strings.Repeat("x", 1025)}, 400, "The request was not understood"},
		"no UTF-8":      {request{method: "POST", path: "/login", form: "username=%ff&password=c"}, 400, "The request was not understood"},
		"too large":     {request{method: "POST", path: "/login", form: "username=" + strings.Repeat("x", 70<<10)}, 413, "The request was not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			a := e.do(c.request)
			wantPage(t, a, c.status, c.heading)
			if !strings.Contains(a.body, a.header.Get("X-Request-Id")) {
				t.Error("the page does not name the request")
			}
		})
	}
	if e.do(request{method: "GET", path: "/assets/x/nothing.css"}).status != http.StatusNotFound {
		t.Error("an asset that is not there")
	}
}

// T13: a login leads to a path that this server knows, whatever it was asked for, and never with 307 or 308.
func TestReturnTo(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.ReturnTo = []string{"/shop/"} }})
	signIn := func(to string) string {
		t.Helper()
		a := e.postForm("/login", credentials(aliceName, alicePassword, "return_to", to))
		switch a.status {
		case http.StatusSeeOther:
			return a.header.Get("Location")
		case http.StatusOK:
			return strings.ReplaceAll(regexp.MustCompile(`http-equiv="refresh" content="0; url=([^"]*)"`).FindStringSubmatch(a.body)[1], "&amp;", "&")
		}
		t.Errorf("%q: status %d", to, a.status)
		return ""
	}
	for _, to := range []string{
		"/account", "/account?end=all", "/oauth2/authorize?client_id=a&redirect_uri=https%3A%2F%2Fa.example%2F&state=x", "/shop/", "/shop/cart?item=1", "/shop/caf%C3%A9",
	} {
		if got := signIn(to); got != to {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	for _, to := range []string{
		"", "/", "//evil", "//evil/account", "/\\evil", "\\\\evil", "/%09/evil", "/\t/evil", "\t//evil", " //evil", "https:evil", "https://evil", "https://evil/account",
		"https:/account", "///evil", "/a/../..//evil", "/account/../..//evil", "/account/../evil", "/account/%2e%2e/evil", "javascript:alert(1)", "data:text/html,x",
		"/account\r\nLocation: https://evil", "/account%0d%0aLocation:%20https://evil", "/account\x00", "/account#x", "/account;x", "/account/", "/ACCOUNT",
		"account", "./account", "/.//evil", "/./account", "//auth.example.com@evil/account", "/account@evil", "/v1/logout", "/logout", "/login", "/login?return_to=/login",
		"/shop", "/shop/..", "/shop/../evil", "/shop//evil", "/shop/%2e%2e/evil", "/shop/%2f/evil", "/shop/..%2fevil", "/shop/%5c..", "/shop/\\..\\evil", "/shop/%", "/shop/%00", "/shop/%ff",
		"/shop/./x", "/shopping", "/account?" + strings.Repeat("x", 4096), "/account?x=\u2028", "/account?\"><script>", "/аccount",
	} {
		if got := signIn(to); got != "/account" {
			t.Errorf("%q leads to %q", to, got)
		}
		a := e.getPage("/login?" + url.Values{"return_to": {to}}.Encode())
		if then := e.do(request{method: "GET", path: "/login?then=" + strings.Map(printable, to)}); !strings.Contains(then.body, `name="return_to" value="/account"`) && !strings.ContainsFunc(to, unprintable) {
			t.Errorf("then=%q stays in the page:\n%s", to, then.body)
		}
		if !strings.Contains(a.body, `name="return_to" value="/account"`) {
			t.Errorf("%q stays in the page:\n%s", to, a.body)
		}
	}
	access, refresh := e.signIn()
	wantRedirect(t, e.getPage("/login?return_to=//evil", access, refresh), "/account")
	wantRedirect(t, e.getPage("/login?then=//evil", access, refresh), "/account")
	wantRedirect(t, e.getPage("/login?then=/shop/cart?item=1&size=2", access, refresh), "/shop/cart?item=1&size=2")
	for _, below := range []string{"shop/", "/shop", "//", "/shop//", "/../", "/a\\/", "https://evil/", "", "/a b/"} {
		c := e.publicConfig
		c.ReturnTo = []string{below}
		if _, err := httpapi.NewPublic(c); err == nil {
			t.Errorf("return to %q is accepted", below)
		}
	}
}

func unprintable(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' || r == '%' }

func printable(r rune) rune {
	if unprintable(r) {
		return 'x'
	}
	return r
}

// T6: the session that a browser brought along ends when another takes its place, whoever it belonged to.
func TestLoginReplacesTheSession(t *testing.T) {
	e := newEnv(t)
	elsewhere := e.loginAlice()
	access, refresh := e.signIn()
	alive := func(access *http.Cookie) bool {
		return e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}).status == http.StatusOK
	}
	for _, name := range []string{"both", "refresh", "access"} {
		sent := map[string][]*http.Cookie{"both": {access, refresh}, "refresh": {refresh}, "access": {access}}[name]
		a := e.postForm("/login", credentials(aliceName, "wrong"), sent...)
		wantStatus(t, a, http.StatusUnauthorized)
		if !alive(access) {
			t.Fatalf("%s: a failed login has ended the session", name)
		}
		a = e.postForm("/login", credentials(bobName, bobPassword), sent...)
		wantRedirect(t, a, "/account")
		if alive(access) {
			t.Errorf("%s: the old session lives", name)
		}
		wantStatus(t, e.do(request{method: "POST", path: "/v1/refresh", header: cookieHeader(refresh)}), http.StatusUnauthorized)
		access, refresh = cookies(t, a)
		if !alive(access) {
			t.Errorf("%s: the new session does not", name)
		}
		a = e.postForm("/login", credentials(aliceName, alicePassword), access, refresh)
		access, refresh = cookies(t, a)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", bearer: elsewhere.AccessToken}), http.StatusOK)
	// Made-up ones are no reason to refuse.
	wantRedirect(t, e.postForm("/login", credentials(aliceName, alicePassword),
		&http.Cookie{Name: "__Host-authd_access", Value: "x"}, &http.Cookie{Name: "__Host-authd_refresh", Value: "authd_rt_x"}), "/account")
}

// Where the old session cannot be ended, no new one is handed out, and none is left behind.
func TestLoginThatCannotReplace(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.signIn()
	e.revocations.failing.Store(true)
	a := e.postForm("/login", credentials(aliceName, alicePassword), access, refresh)
	wantPage(t, a, http.StatusServiceUnavailable, "Not possible at the moment")
	if len(a.header["Set-Cookie"]) > 0 {
		t.Errorf("cookies: %v", a.header["Set-Cookie"])
	}
	e.revocations.failing.Store(false)
	live, err := e.sessions.List(t.Context(), e.alice.Subject)
	must(t, err)
	if len(live) > 0 {
		t.Errorf("%d sessions live", len(live))
	}
}

// T7, T12: what comes from another origin changes nothing, nor does a GET.
func TestPagesRefuseOtherOrigins(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.signIn()
	for _, origin := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.example"}}, {"Origin": {"null"}},
	} {
		for path, form := range map[string]url.Values{
			"/login": credentials(bobName, bobPassword), "/logout": {}, "/account/sessions": {"end": {"all"}},
		} {
			header := cookieHeader(access, refresh)
			for k, v := range origin {
				header[k] = v
			}
			a := e.do(request{method: "POST", path: path, form: form.Encode() + "&x=", header: header})
			wantPage(t, a, http.StatusForbidden, "Not accepted")
			if len(a.header["Set-Cookie"]) > 0 {
				t.Errorf("%s: cookies %v", path, a.header["Set-Cookie"])
			}
		}
	}
	wantPage(t, e.getPage("/logout", access, refresh), http.StatusOK, "Sign out")
	wantPage(t, e.getPage("/account?end=all", access, refresh), http.StatusOK, "Your account")
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusOK)
}

func TestLogoutForm(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.signIn()
	a := e.postForm("/logout", nil, access, refresh)
	wantRedirect(t, a, "/login?done=logout")
	if gone, goneRefresh := cookies(t, a); gone.MaxAge != -1 || goneRefresh.MaxAge != -1 {
		t.Errorf("cookies stay: %v %v", gone, goneRefresh)
	}
	if a := e.getPage("/login?done=logout"); !strings.Contains(a.body, "You are signed out.") {
		t.Errorf("the page does not tell:\n%s", a.body)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusUnauthorized)
	wantRedirect(t, e.postForm("/logout", nil, access, refresh), "/login?done=logout") // again
	wantRedirect(t, e.postForm("/logout", nil), "/login?done=logout")                  // by nobody
	_, refresh = e.signIn()
	wantRedirect(t, e.postForm("/logout", nil, refresh), "/login?done=logout") // with an access cookie that has expired
	wantStatus(t, e.do(request{method: "POST", path: "/v1/refresh", header: cookieHeader(refresh)}), http.StatusUnauthorized)
}

// A browser whose access cookie has expired gets new ones with the page.
func TestPagesRenewTheSession(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.signIn()
	for _, path := range []string{"/account", "/login"} {
		a := e.getPage(path, refresh)
		renewed, _ := cookies(t, a)
		if renewed.Value == access.Value || renewed.Value == "" {
			t.Errorf("%s: no new token", path)
		}
		wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(renewed)}), http.StatusOK)
	}
	if a := e.getPage("/account", access, refresh); len(a.header["Set-Cookie"]) > 0 {
		t.Errorf("a session is renewed that need not be: %v", a.header["Set-Cookie"])
	}
	wantRedirect(t, e.postForm("/logout", nil, refresh), "/login?done=logout")
	a := e.getPage("/account", access, refresh)
	wantRedirect(t, a, "/login?return_to=%2Faccount")
	if gone, _ := cookies(t, a); gone.MaxAge != -1 {
		t.Error("cookies that can never work again stay")
	}
	wantRedirect(t, e.getPage("/account"), "/login?return_to=%2Faccount")
	wantRedirect(t, e.getPage("/account?end=all"), "/login?return_to=%2Faccount%3Fend%3Dall")
}

// later is an env whose public listener's clock is ahead, so that logins are not recent any more.
func later(d time.Duration) options {
	return options{public: func(c *httpapi.PublicConfig) { c.Now = func() time.Time { return time.Now().Add(d) } }}
}

func TestAccountPage(t *testing.T) {
	e := newEnv(t)
	phone := e.loginAlice()
	bob := e.login(bobName, bobPassword)
	access, refresh := e.signIn()
	a := e.getPage("/account", access, refresh)
	wantPage(t, a, http.StatusOK, "Your account")
	for _, want := range []string{"<strong>alice</strong>", "<dd>alice</dd>", "<dd>editor</dd>", "this one", "with a password", phone.SessionID, "127.0.0.1"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, bob.SessionID) || strings.Count(a.body, "this one") != 2 {
		t.Errorf("sessions:\n%s", a.body)
	}
	alive := func(g grant) bool {
		return e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}).status == http.StatusOK
	}
	end := func(which string) answer {
		return e.postForm("/account/sessions", url.Values{"end": {which}}, access, refresh)
	}

	wantRedirect(t, end(bob.SessionID), "/account?done=gone") // T40: somebody else's is as good as none
	wantPage(t, end("nonsense"), http.StatusNotFound, "Not found")
	wantRedirect(t, end(phone.SessionID), "/account?done=session")
	if alive(phone) || !alive(bob) {
		t.Errorf("after the end of one: phone %v, bob %v", alive(phone), alive(bob))
	}
	wantRedirect(t, end(phone.SessionID), "/account?done=gone")
	phone = e.loginAlice()
	wantRedirect(t, end("others"), "/account?done=others")
	if alive(phone) || !alive(bob) {
		t.Errorf("after the end of others: phone %v, bob %v", alive(phone), alive(bob))
	}
	if a := e.getPage("/account?done=others", access, refresh); !strings.Contains(a.body, "All your other sessions have ended.") {
		t.Errorf("the page does not tell:\n%s", a.body)
	}
	phone = e.loginAlice()
	a = end("all")
	wantRedirect(t, a, "/login?done=logout")
	if gone, _ := cookies(t, a); gone.MaxAge != -1 || alive(phone) || !alive(bob) {
		t.Errorf("after the end of all: phone %v, bob %v, cookie %v", alive(phone), alive(bob), gone)
	}
	wantRedirect(t, end("all"), "/login?return_to=%2Faccount%3Fend%3Dall")

	access, refresh = e.signIn()
	own := decode[map[string]any](t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusOK)
	wantRedirect(t, end(own["sid"].(string)), "/login?done=logout")
}

// Whoever finds a browser open must not end anything: five minutes after the login the password is asked for again, and then
// the page asks what was wanted.
func TestRecentAuthentication(t *testing.T) {
	e := newEnv(t, later(5*time.Minute+2*time.Second))
	phone := e.loginAlice()
	access, refresh := e.signIn()
	wantPage(t, e.getPage("/account", access, refresh), http.StatusOK, "Your account")
	for _, which := range []string{"others", "all", phone.SessionID} {
		a := e.postForm("/account/sessions", url.Values{"end": {which}}, access, refresh)
		back := "/account?end=" + which
		wantRedirect(t, a, "/login?"+url.Values{"reauth": {"1"}, "return_to": {back}}.Encode())
		wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusOK)
		a = e.getPage(back, access, refresh)
		if !strings.Contains(a.body, fmt.Sprintf(`name="end" value=%q>`+"\n"+`<button class="danger">End`, which)) {
			t.Errorf("%s: the page does not ask:\n%s", which, a.body)
		}
	}
	a := e.getPage("/account?end=AAAAAAAAAAAAAAAAAAAAAA", access, refresh)
	if strings.Contains(a.body, `id="ask"`) {
		t.Errorf("the page asks about a session that is not there:\n%s", a.body)
	}
	e = newEnv(t, later(4*time.Minute+50*time.Second))
	access, refresh = e.signIn()
	wantRedirect(t, e.postForm("/account/sessions", url.Values{"end": {"others"}}, access, refresh), "/account?done=others")
}

// The login page settles its attempts as the API does.
func TestPageAttempts(t *testing.T) {
	for password, want := range map[string]string{alicePassword: "succeeded", "wrong": "failed"} {
		l := &ledger{}
		e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { l.Logins, c.Logins = c.Logins, l }})
		e.postForm("/login", credentials(aliceName, password))
		l.wantSettled(t, want)
	}
}

// Without pages there are none.
func TestWithoutPages(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Pages = nil }})
	for _, path := range []string{"/login", "/account", "/logout", "/assets/x/authd.css"} {
		wantStatus(t, e.getPage(path), http.StatusNotFound)
	}
}
