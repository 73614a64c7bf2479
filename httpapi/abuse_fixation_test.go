package httpapi_test

import (
	"net/http"
	"testing"
)

// T6: who logs in in cookie mode gets a session of which nothing was known before, and the one that the browser had brought
// along, planted by somebody or not, ends.
func TestLoginInCookieModeReplacesTheSession(t *testing.T) {
	e := newEnv(t)
	logIn := func(username, password string, sent ...*http.Cookie) answer {
		header := http.Header{}
		if len(sent) > 0 {
			header = cookieHeader(sent...)
		}
		return e.do(request{method: "POST", path: "/v1/login", header: header, json: map[string]any{
			"username": username, "password": password, "cookie": true,
		}})
	}
	alive := func(access *http.Cookie) bool {
		return e.do(request{method: "GET", path: "/v1/me", header: cookieHeader(access)}).status == http.StatusOK
	}
	planted, plantedRefresh := cookies(t, logIn(bobName, bobPassword))
	wantStatus(t, logIn(aliceName, "wrong", planted, plantedRefresh), http.StatusUnauthorized)
	if !alive(planted) {
		t.Error("a login that failed has ended the session")
	}
	a := logIn(aliceName, alicePassword, planted, plantedRefresh)
	access, refresh := cookies(t, a)
	if access.Value == planted.Value || refresh.Value == plantedRefresh.Value || !alive(access) {
		t.Error("the session is not a new one")
	}
	if alive(planted) {
		t.Error("the planted session lives")
	}
	wantStatus(t, e.do(request{method: "POST", path: "/v1/refresh", header: cookieHeader(plantedRefresh)}), http.StatusUnauthorized)

	// Made-up ones choose nothing, and keep nobody out.
	again, _ := cookies(t, logIn(aliceName, alicePassword,
		&http.Cookie{Name: "__Host-authd_access", Value: "x"}, &http.Cookie{Name: "__Host-authd_refresh", Value: "authd_rt_x"}))
	if !alive(again) || !alive(access) {
		t.Error("cookies that nobody gave out changed something")
	}

	e.revocations.failing.Store(true)
	b := logIn(aliceName, alicePassword, access, refresh)
	if b.status != http.StatusServiceUnavailable || len(b.header["Set-Cookie"]) > 0 {
		t.Errorf("where the old session cannot be ended: %d, cookies %v", b.status, b.header["Set-Cookie"])
	}
	e.revocations.failing.Store(false)
}
