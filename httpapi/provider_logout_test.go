package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func endSession(changes ...string) string {
	return "/oauth2/logout?" + changed(url.Values{"post_logout_redirect_uri": {shopDone}, "state": {"xyz"}}, changes...).Encode()
}

// A client that shows the ID token of this very browser logs its user out at once, everywhere that began from there.
func TestLogoutByAClient(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	g := e.tokensOf(e.asClient("shop", exchange(u.code())))
	browser := u.cookies[ownCookie].Value
	a := u.get(endSession("id_token_hint=" + g.IDToken))
	if a.status != http.StatusSeeOther || a.header.Get("Location") != shopDone+"?state=xyz" || a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("status %d to %q", a.status, a.header.Get("Location"))
	}
	if len(u.cookies) > 0 {
		t.Errorf("the browser has cookies left: %v", u.cookies)
	}
	e.wantRefused(g.AccessToken)
	e.wantRefused(browser)
	// Once more, as browsers repeat things: nobody is logged in, and the way leads on.
	if a := u.get(endSession("id_token_hint=" + g.IDToken)); a.header.Get("Location") != shopDone+"?state=xyz" {
		t.Errorf("repeated: status %d to %q", a.status, a.header.Get("Location"))
	}
}

// T12: what comes without such a token only asks, whoever sent the browser, and however.
func TestLogoutIsNotForced(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	g := e.tokensOf(e.asClient("shop", exchange(u.code())))
	other := e.person()
	wantRedirect(t, other.post("/login", credentials(bobName, bobPassword)), "/account")
	foreign := e.tokensOf(e.asClient("shop", exchange(other.code()))).IDToken
	for name, hint := range map[string]string{
		"no hint": "", "somebody else's": foreign, "an access token": g.AccessToken, "rubbish": "eyJ.eyJ.x",
		"forged": g.IDToken[:len(g.IDToken)-8] + "AAAAAAAA", "unsigned": unsigned(g.IDToken),
	} {
		t.Run(name, func(t *testing.T) {
			wantPage(t, u.get(endSession("client_id=shop", "id_token_hint="+hint)), http.StatusOK, "Sign out?")
			e.wantGood(g.AccessToken)
		})
	}
	for name, header := range map[string]http.Header{
		"a form of another site":        {"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}},
		"a form of a neighbour":         {"Origin": {"https://shop.example"}, "Sec-Fetch-Site": {"same-site"}},
		"a form by an old browser":      {"Origin": {"https://evil.example"}},
		"a form that claims to be ours": {"Origin": {"null"}, "Sec-Fetch-Site": {"cross-site"}},
	} {
		t.Run(name, func(t *testing.T) {
			for cookie, values := range cookieHeader(u.jar()...) {
				header[cookie] = values
			}
			a := e.do(request{method: "POST", path: "/oauth2/logout", form: "authd_confirmed=1&client_id=shop", header: header})
			wantRedirect(t, a, "/oauth2/logout?client_id=shop")
			e.wantGood(g.AccessToken)
		})
	}
}

func unsigned(raw string) string {
	parts := strings.Split(raw, ".")
	return "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
}

// The page asks, and then does it.
func TestLogoutIsConfirmed(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	g := e.tokensOf(e.asClient("shop", exchange(u.code())))
	page := u.get(endSession("client_id=shop"))
	wantPage(t, page, http.StatusOK, "Sign out?")
	if !strings.Contains(page.body, "<strong>The shop</strong>") || !strings.Contains(page.body, `<form method="post" action="/oauth2/logout">`) {
		t.Errorf("the page does not say who asks: %s", page.body)
	}
	next := onward(t, u.post("/oauth2/logout", hidden(page.body)))
	e.wantRefused(g.AccessToken)
	if a := u.get(next); a.header.Get("Location") != shopDone+"?state=xyz" {
		t.Errorf("leads to %q by way of %q", a.header.Get("Location"), next)
	}
	u = e.loggedIn()
	wantRedirect(t, u.post("/oauth2/logout", hidden(u.get("/oauth2/logout").body)), "/login?done=logout")
	wantRedirect(t, u.get("/oauth2/logout"), "/login?done=logout")
}

// T13: a logout leads to no address that its client is not registered with.
func TestLogoutLeadsNowhereElse(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	hint := e.tokensOf(e.asClient("shop", exchange(u.code()))).IDToken
	for name, path := range map[string]string{
		"another URI":          endSession("client_id=shop", "post_logout_redirect_uri=https://evil.example/"),
		"a redirect URI":       endSession("client_id=shop", "post_logout_redirect_uri="+shopURI),
		"longer":               endSession("client_id=shop", "post_logout_redirect_uri="+shopDone+"/x"),
		"no client":            endSession(),
		"an unknown client":    endSession("client_id=nobody"),
		"another client's":     endSession("client_id=mail"),
		"the hint of another":  endSession("client_id=mail", "id_token_hint="+hint),
		"two of them":          endSession("client_id=shop") + "&post_logout_redirect_uri=https://evil.example/",
		"not encoded":          "/oauth2/logout?state=%zz",
		"a script":             endSession("client_id=shop", "post_logout_redirect_uri=javascript:alert(1)"),
		"the hint of who says": endSession("id_token_hint="+hint, "post_logout_redirect_uri=https://evil.example/"),
	} {
		a := u.get(path)
		wantPage(t, a, http.StatusBadRequest, "The request was not understood")
		if strings.Contains(a.body, "evil") {
			t.Errorf("%s: the page says it: %s", name, a.body)
		}
	}
	u.code() // still logged in
}

// A second factor, or the password once more, makes a new session of the browser. Its clients stay, and go with it.
func TestClientsOutliveAReplacedSession(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	g := e.tokensOf(e.asClient("shop", exchange(u.code())))
	u.signsIn(u.get(askFor("prompt=login")))
	e.wantGood(g.AccessToken)
	a := u.get(endSession("id_token_hint=" + g.IDToken))
	if a.header.Get("Location") != shopDone+"?state=xyz" {
		t.Errorf("status %d to %q", a.status, a.header.Get("Location"))
	}
	e.wantRefused(g.AccessToken)
}
