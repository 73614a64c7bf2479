package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
)

func TestLoginRefreshLogout(t *testing.T) {
	e := newEnv(t)
	first := e.loginAlice()
	if first.TokenType != "Bearer" || first.ExpiresIn < 500 || first.ExpiresIn > 600 || first.SessionID == "" {
		t.Errorf("login: %+v", first)
	}
	a := e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": first.RefreshToken}})
	second := decode[grant](t, a, http.StatusOK)
	if second.SessionID != first.SessionID || second.AccessToken == first.AccessToken {
		t.Errorf("refresh: %+v after %+v", second, first)
	}
	for _, g := range []grant{first, second} {
		wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}), http.StatusOK)
	}
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: second.AccessToken}), http.StatusNoContent)
	for _, g := range []grant{first, second} {
		wantProblem(t, e.do(request{method: "GET", path: "/v1/me", bearer: g.AccessToken}), http.StatusUnauthorized, "invalid_token")
	}
	a = e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": second.RefreshToken}})
	wantProblem(t, a, http.StatusUnauthorized, "invalid_grant")
	// Who did not see the answer asks again, and must not be told that something is wrong.
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: second.AccessToken}), http.StatusNoContent)
	// But a dead token ends nothing else.
	wantProblem(t, e.do(request{method: "POST", path: "/v1/logout", bearer: second.AccessToken, json: `{"scope":"all"}`}),
		http.StatusUnauthorized, "invalid_token")
}

func TestLogoutScopes(t *testing.T) {
	e := newEnv(t)
	laptop, phone, tablet, other := e.loginAlice(), e.loginAlice(), e.loginAlice(), e.login(bobName, bobPassword)
	alive := func(g grant) bool {
		return e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}).status == http.StatusOK
	}
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: laptop.AccessToken, json: `{"scope":"others"}`}), 204)
	if !alive(laptop) || alive(phone) || alive(tablet) || !alive(other) {
		t.Errorf("others: laptop %v, phone %v, tablet %v, somebody else %v", alive(laptop), alive(phone), alive(tablet), alive(other))
	}
	phone = e.loginAlice()
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: laptop.AccessToken, json: `{"scope":"all"}`}), 204)
	if alive(laptop) || alive(phone) || !alive(other) {
		t.Errorf("all: laptop %v, phone %v, somebody else %v", alive(laptop), alive(phone), alive(other))
	}
	again := e.loginAlice() // at once: the cut-off of "all" must not hit it
	if !alive(again) {
		t.Error("a login after the logout of everything does not work")
	}
}

// A logout whose revocation is not durable is not acknowledged, and repeating it finishes the job.
func TestLogoutThatIsNotConfirmed(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	e.revocations.failing.Store(true)
	a := e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken})
	wantProblem(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
	e.revocations.failing.Store(false)
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}), http.StatusNoContent)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: g.AccessToken}), http.StatusUnauthorized)
}

func TestLoginOfNobody(t *testing.T) {
	e := newEnv(t)
	_, err := e.users.SetDisabled(t.Context(), bobName, true)
	must(t, err)
	var bodies []string
	for _, who := range [][2]string{{aliceName, "not " + alicePassword}, {"nobody", alicePassword}, {bobName, bobPassword}} {
		a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": who[0], "password": who[1]}})
		wantProblem(t, a, http.StatusUnauthorized, "invalid_credentials")
		body, _, _ := strings.Cut(a.body, `"request_id"`)
		bodies = append(bodies, body)
		if got := a.header.Get("WWW-Authenticate"); strings.Contains(got, "error=") {
			t.Errorf("challenge %q speaks of a token", got)
		}
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Errorf("the answers differ: %q", bodies)
	}
}

// busy is a service whose password hashing is at its limit.
type busy struct{ httpapi.Sessions }

func (busy) Login(context.Context, session.LoginRequest) (session.Grant, error) {
	return session.Grant{}, identity.ErrBusy
}

func TestLoginWhileBusy(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Sessions = busy{c.Sessions} }})
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": "x", "password": "y"}})
	wantProblem(t, a, http.StatusServiceUnavailable, "busy")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestScopes(t *testing.T) {
	e := newEnv(t)
	body := map[string]any{"username": aliceName, "password": alicePassword, "client_id": "shop", "scope": "orders:read orders:write"}
	g := decode[grant](t, e.do(request{method: "POST", path: "/v1/login", json: body}), http.StatusOK)
	me := decode[map[string]any](t, e.do(request{method: "GET", path: "/v1/me", bearer: g.AccessToken}), http.StatusOK)
	if me["scope"] != "orders:read orders:write" || me["client_id"] != "shop" {
		t.Errorf("me: %v", me)
	}
	for _, scope := range []string{"orders:delete", "orders:read  orders:write", "orders:read ", "orders:read\u00a0", `orders:read"`} {
		body["scope"] = scope
		p := wantProblem(t, e.do(request{method: "POST", path: "/v1/login", json: body}), http.StatusBadRequest, "bad_request")
		if len(p.Errors) != 1 || p.Errors[0].Field != "scope" {
			t.Errorf("scope %q: %+v", scope, p)
		}
	}
}

// browser logs alice in by cookies and returns them.
func (e *env) browser() (access, refresh *http.Cookie) {
	e.t.Helper()
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]any{
		"username": aliceName, "password": alicePassword, "cookie": true,
	}})
	wantStatus(e.t, a, http.StatusOK)
	if strings.Contains(a.body, "eyJ") || strings.Contains(a.body, "authd_rt_") {
		e.t.Error("the body of a login in cookie mode holds a token")
	}
	return cookies(e.t, a)
}

// cookies returns both cookies of an answer, checked for what browsers must be told of them.
func cookies(t testing.TB, a answer) (access, refresh *http.Cookie) {
	t.Helper()
	found := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		found[c.Name] = c
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite == 0 || len(c.String()) > 4096 {
			t.Errorf("cookie %s: %v", c.Name, c)
		}
	}
	access, refresh = found["__Host-authd_access"], found["__Host-authd_refresh"]
	if access == nil || refresh == nil || len(found) != 2 {
		t.Fatalf("cookies: %v", found)
	}
	if access.SameSite != http.SameSiteLaxMode || refresh.SameSite != http.SameSiteLaxMode {
		t.Errorf("SameSite: access %v, refresh %v", access.SameSite, refresh.SameSite)
	}
	return access, refresh
}

func cookieHeader(cookies ...*http.Cookie) http.Header {
	var parts []string
	for _, c := range cookies {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return http.Header{"Cookie": {strings.Join(parts, "; ")}}
}

func TestCookieMode(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.browser()
	if access.MaxAge < 500 || refresh.MaxAge != 7*24*3600 {
		t.Errorf("lives: access %d s, refresh %d s", access.MaxAge, refresh.MaxAge)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusOK)

	a := e.do(request{method: "POST", path: "/v1/refresh", header: cookieHeader(access, refresh)})
	wantStatus(t, a, http.StatusOK)
	newAccess, newRefresh := cookies(t, a)
	if newAccess.Value == access.Value || strings.Contains(a.body, "eyJ") {
		t.Errorf("refresh by cookie: %s", a.body)
	}

	a = e.do(request{method: "POST", path: "/v1/logout", header: cookieHeader(newAccess, newRefresh)})
	wantStatus(t, a, http.StatusNoContent)
	gone, goneRefresh := cookies(t, a)
	if gone.MaxAge != -1 || gone.Value != "" || goneRefresh.MaxAge != -1 || goneRefresh.Value != "" {
		t.Errorf("logout leaves cookies: %v %v", gone, goneRefresh)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(newAccess)}), http.StatusUnauthorized)
	a = e.do(request{method: "POST", path: "/v1/refresh", header: cookieHeader(newRefresh)})
	wantProblem(t, a, http.StatusUnauthorized, "invalid_grant")
	if gone, _ := cookies(t, a); gone.MaxAge != -1 {
		t.Error("a refresh cookie that can never work again is not removed")
	}
}

// A browser whose access cookie has expired still logs out, by its refresh cookie.
func TestLogoutByRefreshCookie(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.browser()
	elsewhere := e.loginAlice()
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", header: cookieHeader(refresh)}), http.StatusNoContent)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusUnauthorized)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", bearer: elsewhere.AccessToken}), http.StatusOK)

	_, refresh = e.browser()
	a := e.do(request{method: "POST", path: "/v1/logout", header: cookieHeader(refresh), json: `{"scope":"all"}`})
	wantStatus(t, a, http.StatusNoContent)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", bearer: elsewhere.AccessToken}), http.StatusUnauthorized)
}

// T7: what a browser sends from elsewhere changes nothing, with the cookies or without.
func TestCrossOriginIsRefused(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.browser()
	for _, origin := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		for _, target := range [][2]string{
			{"POST", "/v1/login"}, {"POST", "/v1/refresh"}, {"POST", "/v1/logout"}, {"DELETE", "/v1/sessions/Yz1d8iUOV8u6RtqRMPv5Kg"},
		} {
			header := cookieHeader(access, refresh)
			for k, v := range origin {
				header[k] = v
			}
			a := e.do(request{method: target[0], path: target[1], header: header, json: `{}`})
			wantProblem(t, a, http.StatusForbidden, "cross_origin")
		}
	}
	header := cookieHeader(access, refresh)
	header.Set("Content-Type", "text/plain") // what a form can send without asking first
	a := e.do(request{method: "POST", path: "/v1/logout", header: header, json: `{}`})
	wantProblem(t, a, http.StatusUnsupportedMediaType, "unsupported_media_type")
	header = cookieHeader(access)
	header.Set("Sec-Fetch-Site", "same-origin")
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: header}), http.StatusOK)
	for _, path := range []string{"/v1/login", "/v1/refresh", "/v1/logout"} {
		a := e.do(request{method: "GET", path: path, header: cookieHeader(access, refresh)})
		wantProblem(t, a, http.StatusMethodNotAllowed, "method_not_allowed")
		if !strings.Contains(a.header.Get("Allow"), "POST") {
			t.Errorf("GET %s: Allow is %q", path, a.header.Get("Allow"))
		}
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusOK)
}

// T6: nothing that a client brings along decides about the new session.
func TestLoginBeginsANewSession(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.browser()
	old := decode[map[string]any](t, e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}), http.StatusOK)
	a := e.do(request{method: "POST", path: "/v1/login", header: cookieHeader(access, refresh), json: map[string]any{
		"username": aliceName, "password": alicePassword,
	}})
	if g := decode[grant](t, a, http.StatusOK); g.SessionID == old["sid"] || g.RefreshToken == refresh.Value {
		t.Errorf("login took over the session %v", old["sid"])
	}
}
