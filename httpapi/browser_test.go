package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp/kb"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/testenv"
)

// fillLogin fills in the form that a tab shows, and sends it.
func fillLogin(tab *testenv.Tab, username, password string) {
	tab.Fill("#username", username)
	tab.Fill("#password", password)
	tab.Click("main button")
}

// browserSignsIn opens a tab in which alice is signed in.
func browserSignsIn(t *testing.T, at string) *testenv.Tab {
	t.Helper()
	tab := chromium.Tab(t)
	tab.Open(at + "/login")
	fillLogin(tab, aliceName, alicePassword)
	tab.AwaitTitle("Your account")
	return tab
}

// noComplaints checks that nothing of what a tab has shown was against the policy.
func noComplaints(t *testing.T, tab *testenv.Tab) {
	t.Helper()
	if c := tab.Complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}

// A person signs in after a mistake, sees the account, and signs out. The browser takes the cookies, over TLS and on loopback.
func TestBrowserLogin(t *testing.T) {
	e := newEnv(t)
	withTLS := httptest.NewTLSServer(e.public)
	t.Cleanup(withTLS.Close)
	for _, at := range []string{e.publicURL, withTLS.URL} {
		tab := chromium.Tab(t)
		tab.Open(at + "/account")
		tab.AwaitTitle("Sign in")
		if focus := testenv.Eval[string](tab, "document.activeElement.id"); focus != "username" {
			t.Errorf("the focus is on %q", focus)
		}
		fillLogin(tab, aliceName, "wrong")
		tab.AwaitTitle("Error: Sign in")
		if focus := testenv.Eval[string](tab, "document.activeElement.innerText"); focus != "The username or the password is wrong." {
			t.Errorf("the focus is on %q", focus)
		}
		if typed := testenv.Eval[[]string](tab, "[username.value, password.value]"); typed[0] != aliceName || typed[1] != "" {
			t.Errorf("the form holds %q", typed)
		}
		tab.Fill("#password", alicePassword)
		tab.Click("main button")
		tab.AwaitTitle("Your account")
		if tab.URL() != at+"/account" {
			t.Errorf("the way led to %s", tab.URL())
		}
		wantCookies(t, tab, at)
		tab.Click("header button")
		tab.AwaitTitle("Sign in")
		if !strings.Contains(tab.Text("main"), "You are signed out.") {
			t.Errorf("the page shows %q", tab.Text("main"))
		}
		if left := testenv.Call(tab, network.GetCookies, network.GetCookiesParams{URLs: []string{at}}).Cookies; len(left) > 0 {
			t.Errorf("%d cookies are left", len(left))
		}
		tab.Open(at + "/account")
		tab.AwaitTitle("Sign in")
		noComplaints(t, tab)
	}
}

// T8: what the browser itself says of the cookies.
func wantCookies(t *testing.T, tab *testenv.Tab, at string) {
	t.Helper()
	got := testenv.Call(tab, network.GetCookies, network.GetCookiesParams{URLs: []string{at}}).Cookies
	names := ""
	for _, c := range got {
		names += c.Name + " "
		if !c.HTTPOnly || !c.Secure || c.SameSite != network.CookieSameSiteLax || c.Path != "/" || strings.HasPrefix(c.Domain, ".") || c.Session {
			t.Errorf("cookie %+v", c)
		}
	}
	if len(got) != 2 || !strings.Contains(names, "__Host-authd_access ") || !strings.Contains(names, "__Host-authd_refresh ") {
		t.Errorf("cookies %q", names)
	}
	if visible := testenv.Eval[string](tab, "document.cookie"); visible != "" {
		t.Errorf("scripts see %q", visible)
	}
}

// Everything can be done with a keyboard, and one sees where one is.
func TestBrowserKeyboard(t *testing.T) {
	e := newEnv(t)
	phone := e.loginAlice()
	tab := chromium.Tab(t)
	tab.Open(e.publicURL + "/login")
	tab.Press(aliceName + kb.Tab + alicePassword + kb.Enter)
	tab.AwaitTitle("Your account")

	tab.Press(kb.Tab)
	if at := testenv.Eval[string](tab, "document.activeElement.innerText"); at != "Skip to content" {
		t.Errorf("the first stop is %q", at)
	}
	tab.Press(kb.Enter)
	var stops []string
	for range 20 {
		tab.Press(kb.Tab)
		stop := testenv.Eval[string](tab, "document.activeElement.ariaLabel || document.activeElement.innerText")
		if outline := testenv.Eval[string](tab, "getComputedStyle(document.activeElement).outlineStyle"); outline == "none" {
			t.Errorf("one does not see that the focus is on %q", stop)
		}
		stops = append(stops, stop)
		if strings.HasPrefix(stop, "End the session on") {
			break
		}
	}
	if last := stops[len(stops)-1]; last != "End the session on Go-http-client, 127.0.0.1" {
		t.Fatalf("no way to the other session: %q", stops)
	}
	tab.Press(kb.Enter)
	tab.Await("document.body.innerText.includes('The session has ended.')")
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusUnauthorized)
	noComplaints(t, tab)
}

// All of it works without scripts.
func TestBrowserWithoutScripts(t *testing.T) {
	e := newEnv(t)
	phone := e.loginAlice()
	tab := chromium.Tab(t)
	tab.NoScripts()
	tab.Open(e.publicURL + "/login")
	fillLogin(tab, aliceName, alicePassword)
	tab.AwaitTitle("Your account")
	tab.Click(`button[aria-label^="End the session on Go-http-client"]`)
	tab.Await("document.body.innerText.includes('The session has ended.')")
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusUnauthorized)
	tab.Click("header button")
	tab.AwaitTitle("Sign in")
	noComplaints(t, tab)
}

// A person changes the password, and goes on in the same browser; elsewhere the session is over.
func TestBrowserChangesPassword(t *testing.T) {
	e := newEnv(t)
	phone := e.loginAlice()
	tab := browserSignsIn(t, e.publicURL)
	tab.Click("a[href='/account/password']")
	tab.AwaitTitle("Change your password")
	tab.Fill("#current", alicePassword)
	tab.Fill("#new", newPassword)
	tab.Fill("#again", newPassword)
	tab.Click("main button")
	tab.AwaitTitle("Your account")
	if !strings.Contains(tab.Text("main"), "Your password is changed") {
		t.Errorf("the page shows %q", tab.Text("main"))
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusUnauthorized)
	tab.Click("header button")
	tab.AwaitTitle("Sign in")
	fillLogin(tab, aliceName, newPassword)
	tab.AwaitTitle("Your account")
	noComplaints(t, tab)
}

// After five minutes the password is wanted before anything ends, and then the page asks again.
func TestBrowserReauthenticates(t *testing.T) {
	ahead := 6 * time.Minute
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Now = func() time.Time { return time.Now().Add(ahead) } }})
	phone := e.loginAlice()
	tab := browserSignsIn(t, e.publicURL)
	tab.Click(`button[aria-label^="End the session on Go-http-client"]`)
	tab.AwaitTitle("Confirm that it is you")
	if focus := testenv.Eval[string](tab, "document.activeElement.id + username.value"); focus != "password"+aliceName {
		t.Errorf("focus and name: %q", focus)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusOK)
	ahead = 0
	tab.Fill("#password", alicePassword)
	tab.Click("main button")
	tab.AwaitTitle("Your account")
	if question := tab.Text("#ask"); question != "End the session on Go-http-client, 127.0.0.1?" {
		t.Errorf("the page asks %q", question)
	}
	tab.Click("section[aria-labelledby=ask] button")
	tab.Await("document.body.innerText.includes('The session has ended.')")
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusUnauthorized)
	noComplaints(t, tab)
}

// A page that finds the access cookie gone renews the session by the other one, also when a link from elsewhere leads to it.
func TestBrowserRenews(t *testing.T) {
	e := newEnv(t)
	tab := browserSignsIn(t, e.publicURL)
	testenv.Call(tab, network.DeleteCookies, network.DeleteCookiesParams{Name: ownCookie, URL: e.publicURL})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>x</title><h1>Elsewhere</h1><a href="%s/account">To the account</a>`, e.publicURL)
	}))
	t.Cleanup(elsewhere.Close)
	tab.Open(strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)) // another site, for the browser
	tab.AwaitTitle("Elsewhere")
	tab.Click("a")
	tab.AwaitTitle("Your account")
	wantCookies(t, tab, e.publicURL)
}

// The form's answer leads through a path of this origin to another one, which "form-action 'self'" would stop in Chromium if
// it were a redirect of the form.
func TestBrowserGoesOnToAnotherOrigin(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.ReturnTo = []string{"/shop/"} }})
	client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>x</title><h1>Back with %s</h1>`, r.URL.RawQuery)
	}))
	t.Cleanup(client.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/shop/") {
			http.Redirect(w, r, client.URL+"/callback?code=1", http.StatusFound)
			return
		}
		e.public.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	for _, scripts := range []bool{true, false} {
		tab := chromium.Tab(t)
		if !scripts {
			tab.NoScripts()
		}
		tab.Open(front.URL + "/login?return_to=%2Fshop%2Fcart")
		fillLogin(tab, aliceName, alicePassword)
		tab.AwaitTitle("Back with code=1")
		// Who is signed in already goes there at once.
		tab.Open(front.URL + "/login?return_to=%2Fshop%2Fcart")
		tab.AwaitTitle("Back with code=1")
		noComplaints(t, tab)
	}
}

// T7: a page of another site can neither sign anybody in or out, nor end sessions, nor show authd in a frame.
func TestBrowserRefusesOtherSites(t *testing.T) {
	e := newEnv(t)
	tab := browserSignsIn(t, e.publicURL)
	attacker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>x</title><h1>Win</h1><iframe src="%s/login"></iframe>`, e.publicURL)
		for i, form := range []string{
			`action="/login"><input name="username" value="bob"><input name="password" value="` + bobPassword + `">`,
			`action="/logout">`, `action="/account/sessions"><input name="end" value="all">`,
		} {
			fmt.Fprintf(w, `<form method="post" %s<button id="b%d">Win</button></form>`, strings.Replace(form, `action="`, `action="`+e.publicURL, 1), i)
		}
	}))
	t.Cleanup(attacker.Close)
	for _, host := range []string{"localhost", "127.0.0.1"} { // another site, and another origin of the same site
		at := strings.Replace(attacker.URL, "127.0.0.1", host, 1)
		for i := range 3 {
			tab.Open(at)
			tab.AwaitTitle("Win")
			if framed := strings.Join(tab.Complaints(), "\n"); !strings.Contains(framed, "frame-ancestors") {
				t.Errorf("the frame is shown: %q", framed)
			}
			tab.Click(fmt.Sprintf("#b%d", i))
			tab.AwaitTitle("Not accepted")
		}
	}
	tab.Open(e.publicURL + "/account")
	tab.AwaitTitle("Your account")
	if who := tab.Text("header strong"); who != aliceName {
		t.Errorf("signed in as %q", who)
	}
}

// A script that somebody manages to write into a page does not run, nor does a style apply.
func TestBrowserStopsInjectedScripts(t *testing.T) {
	e := newEnv(t)
	tab := browserSignsIn(t, e.publicURL)
	noComplaints(t, tab)
	testenv.Eval[int](tab, `(() => {
		const script = document.createElement("script")
		script.textContent = "window.ran = true"
		document.body.append(script)
		const style = document.createElement("style")
		style.textContent = "body { color: rgb(1, 2, 3) }"
		document.body.append(style)
		document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = true'><form id=f action='https://evil.example'></form>")
		f.submit()
		return 0
	})()`)
	tab.Await("document.images[document.images.length-1].complete")
	if testenv.Eval[bool](tab, "window.ran === true || getComputedStyle(document.body).color === 'rgb(1, 2, 3)'") {
		t.Error("what was injected has an effect")
	}
	got := strings.Join(tab.Complaints(), "\n")
	for _, directive := range []string{"script-src", "style-src", "form-action"} {
		if !strings.Contains(got, directive) {
			t.Errorf("%s has stopped nothing: %s", directive, got)
		}
	}
	if !strings.HasPrefix(tab.URL(), e.publicURL) {
		t.Errorf("the form led to %s", tab.URL())
	}
}

// The assets of a page are fetched once, however many pages are shown.
func TestBrowserKeepsAssets(t *testing.T) {
	e := newEnv(t)
	asked := make(chan string, 100)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			asked <- r.URL.Path
		}
		e.public.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	tab := browserSignsIn(t, front.URL)
	tab.Open(front.URL + "/logout")
	tab.AwaitTitle("Sign out")
	close(asked)
	seen := map[string]bool{}
	for path := range asked {
		if seen[path] {
			t.Errorf("%s was fetched twice", path)
		}
		seen[path] = true
		answer, err := http.Get(e.publicURL + path)
		must(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", path, answer.StatusCode, answer.Header)
		}
	}
	if len(seen) != 3 { // style, icon, and the script of passkeys
		t.Errorf("assets: %v", seen)
	}
}
