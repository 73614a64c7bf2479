package httpapi_test

import (
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/mfatest"
	"github.com/authd-project/authd/mfa/sqlstore"
)

// hiddenField returns the value of a hidden field of a page.
func hiddenField(t testing.TB, a answer, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("the page has no field %s: %s", name, a.body)
	}
	return html.UnescapeString(m[1])
}

// key returns the secret that a page shows for an authenticator app.
func key(t testing.TB, a answer) string {
	t.Helper()
	m := regexp.MustCompile(`<code>([A-Z2-7 ]+)</code>`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("the page shows no key: %s", a.body)
	}
	return strings.ReplaceAll(m[1], " ", "")
}

// A person adds an app on the account page, signs in with it, after a mistake, and removes it.
func TestFactorPages(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.signIn()
	wantPage(t, e.getPage("/account/factors", access, refresh), 200, "Second factors and passkeys")
	form := e.getPage("/account/factors/app", access, refresh)
	wantPage(t, form, 200, "Add an authenticator app")
	secret := key(t, form)
	again := e.postForm("/account/factors/app", url.Values{"enrolment": {hiddenField(t, form, "enrolment")}, "code": {"000000"}}, access, refresh)
	wantPage(t, again, 401, "Error: Add an authenticator app")
	if key(t, again) != secret {
		t.Error("after a mistake the key is another")
	}
	added := e.postForm("/account/factors/app", url.Values{"enrolment": {hiddenField(t, again, "enrolment")}, "code": {e.nextCode(secret)}, "name": {"<phone>"}}, access, refresh)
	wantPage(t, added, 200, "Your recovery codes")
	codes := regexp.MustCompile(`<li><code>([a-z2-7-]{19})</code>`).FindAllStringSubmatch(added.body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d codes: %s", len(codes), added.body)
	}
	if page := e.getPage("/account/factors", access, refresh); !strings.Contains(page.body, "&lt;phone&gt;") || strings.Contains(page.body, codes[0][1]) {
		t.Errorf("%s", page.body)
	}

	asked := e.postForm("/login", credentials(aliceName, alicePassword, "return_to", "/account/factors"))
	wantPage(t, asked, 200, "One more step")
	if len(asked.header.Values("Set-Cookie")) != 0 {
		t.Error("there are cookies before the second factor")
	}
	asked = e.postForm("/login/factor", url.Values{"login_state": {hiddenField(t, asked, "login_state")}, "code": {"000000"}, "return_to": {"/account/factors"}})
	wantPage(t, asked, 401, "Error: One more step")
	state := hiddenField(t, asked, "login_state")
	done := e.postForm("/login/factor", url.Values{"login_state": {state}, "code": {e.nextCode(secret)}, "return_to": {"/account/factors"}})
	wantRedirect(t, done, "/account/factors")
	wantPage(t, e.postForm("/login/factor", url.Values{"login_state": {state}, "code": {e.nextCode(secret)}}), 401, "Error: Sign in")
	strongAccess, strongRefresh := cookies(t, done)

	// The first session is not good enough any more to change anything; the new one is.
	id := decode[factorList](t, e.do(request{method: "GET", path: "/v1/factors", header: cookieHeader(access)}), 200).Factors[0].ID
	wantRedirect(t, e.postForm("/account/factors/remove", url.Values{"id": {id}}, access, refresh), "/login?acr=aal2&reauth=1&return_to=%2Faccount%2Ffactors")
	wantRedirect(t, e.getPage("/account/factors/app", access, refresh), "/login?acr=aal2&reauth=1&return_to=%2Faccount%2Ffactors%2Fapp")
	wantPage(t, e.postForm("/account/factors/codes", url.Values{}, strongAccess, strongRefresh), 200, "Your recovery codes")
	wantPage(t, e.postForm("/account/factors/remove", url.Values{"id": {"x"}}, strongAccess, strongRefresh), 404, "Second factors and passkeys")
	wantRedirect(t, e.postForm("/account/factors/remove", url.Values{"id": {id}}, strongAccess, strongRefresh), "/account/factors?done=removed")
	e.signIn() // with the password alone

	// Nothing of this can be sent from a page of another origin.
	for _, path := range []string{"/login/factor", "/login/passkey", "/login/enrol", "/account/factors/app", "/account/factors/passkey", "/account/factors/remove", "/account/factors/codes"} {
		a := e.do(request{method: "POST", path: path, form: "x=y", header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Cookie": cookieHeader(strongAccess)["Cookie"]}})
		if a.status != 403 {
			t.Errorf("%s from another site: %d", path, a.status)
		}
	}
}

// A person who must have a factor enrols one on the way in.
func TestEnrolmentOnTheWayIn(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Factors.Required = func(a identity.Account) bool { return slices.Contains(a.Roles, "editor") }
	}})
	form := e.postForm("/login", credentials(aliceName, alicePassword))
	wantPage(t, form, 200, "Add an authenticator app")
	secret := key(t, form)
	fields := func(a answer, code string) url.Values {
		return url.Values{"login_state": {hiddenField(t, a, "login_state")}, "enrolment": {hiddenField(t, a, "enrolment")}, "return_to": {"/account"}, "code": {code}}
	}
	form = e.postForm("/login/enrol", fields(form, "000000"))
	wantPage(t, form, 401, "Error: Add an authenticator app")
	done := e.postForm("/login/enrol", fields(form, e.nextCode(secret)))
	wantPage(t, done, 200, "Your recovery codes")
	access, refresh := cookies(t, done)
	wantPage(t, e.getPage("/account", access, refresh), 200, "Your account")
	wantPage(t, e.postForm("/login/enrol", fields(form, e.nextCode(secret))), 409, "Error: Sign in")
}

// passkeyEnv is an env whose issuer is where a browser finds it, so that passkeys work in it.
func passkeyEnv(t *testing.T) (e *env, at string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	at = "http://localhost:" + port
	e = newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "factors.db"), sqlstore.Config{})
		must(t, err)
		t.Cleanup(func() { must(t, store.Close()) })
		factors, err := mfa.Open(t.Context(), mfa.Config{
			Store: store, Masters: []mfa.MasterKey{mfa.NewMasterKey("a", [32]byte{1})}, Seals: c.Factors.Seals, Issuer: at,
		})
		must(t, err)
		c.Factors.Factors = factors
	}})
	server := httptest.NewUnstartedServer(e.public)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return e, at
}

// virtualAuthenticator gives a tab an authenticator that is there and verifies its user at once.
func virtualAuthenticator(tab *testenv.Tab) webauthn.AuthenticatorID {
	testenv.Call(tab, webauthn.Enable, webauthn.EnableParams{})
	return testenv.Call(tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		},
	}).AuthenticatorID
}

// In a real browser: a passkey is made, is the second factor of a password, and then a login of its own.
func TestBrowserPasskey(t *testing.T) {
	e, at := passkeyEnv(t)
	tab := chromium.Tab(t)
	virtualAuthenticator(tab)
	tab.Open(at + "/login?return_to=/account/factors")
	fillLogin(tab, aliceName, alicePassword)
	tab.AwaitTitle("Second factors and passkeys")
	tab.Axe()
	tab.Open(at + "/account/factors/passkey")
	tab.AwaitTitle("Add a passkey")
	tab.Axe()
	tab.Fill("#name", "virtual")
	tab.Click("form[data-passkey] button")
	tab.AwaitTitle("Your recovery codes")
	tab.Axe()
	noComplaints(t, tab)

	// As a second factor, after the browser has forgotten who it was.
	signOut(tab)
	fillLogin(tab, aliceName, alicePassword)
	tab.AwaitTitle("One more step")
	tab.Axe()
	tab.Click("form[data-passkey] button")
	tab.AwaitTitle("Your account")
	if how := tab.Text("main"); !strings.Contains(how, "with a passkey") {
		t.Errorf("the account says %s", how)
	}

	// Alone, without a name or a password.
	signOut(tab)
	tab.Click("form[data-passkey] button")
	tab.AwaitTitle("Your account")
	noComplaints(t, tab)
	sessions, err := e.sessions.List(t.Context(), e.alice.Subject)
	must(t, err)
	if len(sessions) == 0 || sessions[0].ACR != "aal2" || !slices.Equal(sessions[0].AMR, []string{"swk", "user", "mfa"}) {
		t.Errorf("sessions %+v", sessions)
	}
	tab.Open(at + "/account/factors")
	tab.Click("button.danger")
	tab.Await("document.body.innerText.includes('It is removed.')")
	signOut(tab)
	tab.Click("form[data-passkey] button") // the authenticator still has it, the server does not
	tab.AwaitTitle("Error: Sign in")
}

func signOut(tab *testenv.Tab) {
	tab.Click("form.user button")
	tab.AwaitTitle("Sign in")
}

// A browser without passkeys, or a person who declines, gets on with the password; the page of an app is accessible.
func TestBrowserFactorPages(t *testing.T) {
	_, at := passkeyEnv(t)
	tab := chromium.Tab(t)
	id := virtualAuthenticator(tab)
	testenv.Call(tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: false})
	tab.Open(at + "/login")
	tab.Click("form[data-passkey] button")
	tab.Await("document.querySelector('[data-error]').innerText.startsWith('No passkey was used')")
	tab.Axe()
	fillLogin(tab, aliceName, alicePassword)
	tab.AwaitTitle("Your account")
	tab.Open(at + "/account/factors/app")
	tab.AwaitTitle("Add an authenticator app")
	tab.Axe()
	secret := strings.ReplaceAll(tab.Text("main code"), " ", "")
	code, err := mfatest.Code(secret, time.Now())
	must(t, err)
	tab.Fill("#code", code)
	tab.Click("main form button")
	tab.AwaitTitle("Your recovery codes")
	noComplaints(t, tab)
}
