package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
)

const newPassword = "eleven paper lanterns"

func passwordForm(current, chosen, again string) url.Values {
	return url.Values{"current": {current}, "new": {chosen}, "again": {again}}
}

func TestPasswordPage(t *testing.T) {
	e := newEnv(t)
	phone, bob := e.loginAlice(), e.login(bobName, bobPassword)
	access, refresh := e.signIn()
	change := func(current, chosen, again string) answer {
		return e.postForm("/account/password", passwordForm(current, chosen, again), access, refresh)
	}
	wantRedirect(t, e.getPage("/account/password"), "/login?return_to=%2Faccount%2Fpassword")
	wantPage(t, e.getPage("/account/password", access, refresh), http.StatusOK, "Change your password")
	if a := e.getPage("/account", access, refresh); !strings.Contains(a.body, `href="/account/password"`) {
		t.Errorf("no way to it:\n%s", a.body)
	}
	for _, c := range []struct {
		current, chosen, again string
		status                 int
		says                   string
	}{
		{"wrong", newPassword, newPassword, http.StatusForbidden, "This is not your password."},
		{alicePassword, newPassword, newPassword + "x", http.StatusBadRequest, "The two new passwords differ."},
		{alicePassword, "password", "password", http.StatusBadRequest, "Choose another one: it is among the most common passwords"},
		{alicePassword, "short", "short", http.StatusBadRequest, "it has 5 characters"},
		{"", newPassword, newPassword, http.StatusBadRequest, "Enter the password that you have used until now."},
		{alicePassword, "", "", http.StatusBadRequest, "Enter a new password."},
	} {
		a := change(c.current, c.chosen, c.again)
		wantPage(t, a, c.status, "Error: Change your password")
		if !strings.Contains(a.body, c.says) || !strings.Contains(a.body, `aria-invalid="true"`) {
			t.Errorf("no %q in\n%s", c.says, a.body)
		}
		for _, secret := range []string{c.current, c.chosen} {
			if len(secret) > 8 && strings.Contains(a.body, secret) {
				t.Errorf("the page shows %q", secret)
			}
		}
	}
	alive := func(token string) bool {
		return e.do(request{method: "GET", path: "/v1/verify", bearer: token}).status == http.StatusOK
	}
	if !alive(phone.AccessToken) || !alive(access.Value) {
		t.Fatal("sessions have ended though nothing was changed")
	}
	a := change(alicePassword, newPassword, newPassword)
	wantRedirect(t, a, "/account?done=password")
	newAccess, newRefresh := cookies(t, a)
	if alive(phone.AccessToken) || alive(access.Value) || !alive(newAccess.Value) || !alive(bob.AccessToken) {
		t.Errorf("after the change: phone %v, the old session %v, the new one %v, bob %v",
			alive(phone.AccessToken), alive(access.Value), alive(newAccess.Value), alive(bob.AccessToken))
	}
	if a := e.getPage("/account?done=password", newAccess, newRefresh); !strings.Contains(a.body, "Your password is changed") {
		t.Errorf("the page does not tell:\n%s", a.body)
	}
	wantStatus(t, e.do(request{method: "POST", path: "/v1/refresh", header: cookieHeader(newRefresh)}), http.StatusOK)
	wantStatus(t, e.postForm("/login", credentials(aliceName, alicePassword)), http.StatusUnauthorized)
	wantRedirect(t, e.postForm("/login", credentials(aliceName, newPassword)), "/account")
}

// Guesses at the old password count as failed logins.
func TestPasswordPageIsLimited(t *testing.T) {
	e := newEnv(t)
	access, refresh := e.signIn()
	var a answer
	for range 20 {
		a = e.postForm("/account/password", passwordForm("wrong", newPassword, newPassword), access, refresh)
	}
	wantPage(t, a, http.StatusTooManyRequests, "Error: Change your password")
	a = e.postForm("/account/password", passwordForm(alicePassword, newPassword, newPassword), access, refresh)
	wantPage(t, a, http.StatusTooManyRequests, "Error: Change your password")
}

// After five minutes the page wants a login first, and a form that comes later too.
func TestPasswordPageWantsARecentLogin(t *testing.T) {
	e := newEnv(t, later(6*time.Minute))
	access, refresh := e.signIn()
	const again = "/login?reauth=1&return_to=%2Faccount%2Fpassword"
	wantRedirect(t, e.getPage("/account/password", access, refresh), again)
	wantRedirect(t, e.postForm("/account/password", passwordForm(alicePassword, newPassword, newPassword), access, refresh), again)
	wantStatus(t, e.postForm("/login", credentials(aliceName, newPassword)), http.StatusUnauthorized)
}

// elsewhere are users whose passwords authd cannot change.
type elsewhere struct{}

func (elsewhere) SetPassword(context.Context, string, string) (identity.Account, error) {
	return identity.Account{}, identity.ErrReadOnly
}

// lateEnds are ends that do not get done now.
type lateEnds struct{}

func (lateEnds) Finish(context.Context, string) error { return session.ErrUnavailable }

func TestPasswordsThatCannotBeChanged(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Passwords.Users = elsewhere{} }})
	access, refresh := e.signIn()
	a := e.postForm("/account/password", passwordForm(alicePassword, newPassword, newPassword), access, refresh)
	wantPage(t, a, http.StatusForbidden, "Error: Change your password")
	if !strings.Contains(a.body, "kept by another service") {
		t.Errorf("the page does not tell:\n%s", a.body)
	}
	e = newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Passwords = nil }})
	access, refresh = e.signIn()
	wantPage(t, e.getPage("/account/password", access, refresh), http.StatusNotFound, "Not found")
	if a := e.getPage("/account", access, refresh); strings.Contains(a.body, "/account/password") {
		t.Errorf("a link to what is not there:\n%s", a.body)
	}
	e = newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Passwords.Ends = lateEnds{} }})
	access, refresh = e.signIn()
	a = e.postForm("/account/password", passwordForm(alicePassword, newPassword, newPassword), access, refresh)
	wantPage(t, a, http.StatusServiceUnavailable, "Not possible at the moment")
	if len(a.header["Set-Cookie"]) > 0 {
		t.Errorf("cookies of a session that will be ended: %v", a.header["Set-Cookie"])
	}
}

// recorder keeps what the audit log is told.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) Record(_ context.Context, e audit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Type != audit.LoginNewAddress {
		r.events = append(r.events, fmt.Sprintf("%s %s %s", e.Type, e.Outcome, e.Reason))
	}
	return nil
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.events
	r.events = nil
	return taken
}

// What people do on pages is in the audit log as what programs do is, and nothing else.
func TestPagesAreAudited(t *testing.T) {
	r := &recorder{}
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Audit = r }})
	var access, refresh *http.Cookie
	changed := func(current, chosen, again string) answer {
		return e.postForm("/account/password", passwordForm(current, chosen, again), access, refresh)
	}
	for _, c := range []struct {
		name string
		do   func() answer
		want string
	}{
		{"a look", func() answer { return e.getPage("/login") }, ""},
		{"nothing typed", func() answer { return e.postForm("/login", credentials("", "")) }, ""},
		{"a wrong password", func() answer { return e.postForm("/login", credentials(aliceName, "x")) }, "login failure invalid_credentials"},
		{"a login", func() answer { return e.postForm("/login", credentials(aliceName, alicePassword)) }, "login  "},
		{"the account", func() answer { return e.getPage("/account", access, refresh) }, ""},
		{"two new ones", func() answer { return changed(alicePassword, "a", "b") }, ""},
		{"a wrong old one", func() answer { return changed("x", newPassword, newPassword) }, "password_changed failure invalid_credentials"},
		{"a weak one", func() answer { return changed(alicePassword, "x", "x") }, ""},
		{"a new password", func() answer { return changed(alicePassword, newPassword, newPassword) }, "password_changed  "},
		{"others", func() answer { return e.postForm("/account/sessions", url.Values{"end": {"others"}}, access, refresh) }, "logout  "},
		{"a logout", func() answer { return e.postForm("/logout", nil, access, refresh) }, "logout  "},
		{"nobody's logout", func() answer { return e.postForm("/logout", nil) }, ""},
	} {
		a := c.do()
		if len(a.header["Set-Cookie"]) > 0 {
			access, refresh = cookies(t, a)
		}
		got := r.take()
		if !slices.Equal(got, slices.DeleteFunc([]string{c.want}, func(s string) bool { return s == "" })) {
			t.Errorf("%s: events %q, want %q", c.name, got, c.want)
		}
	}
}
