package main_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/mfa/mfatest"
	"github.com/authd-project/authd/middleware"
)

// A service asks for two factors (RFC 9470); the client presents one to authd, comes back with the new session, and the old
// one is refused.
func TestStepUpEndToEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	guard, err := middleware.New(t.Context(), s.URL, middleware.Options{Audience: "authd"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	service := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		_, _ = w.Write([]byte(strings.Join(claims.AMR, " ")))
	}), middleware.ACR("aal2"), middleware.MaxAge(5*time.Minute))
	ask := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/transfer", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		return w
	}
	call := func(path, token string, body, into any) {
		t.Helper()
		if status := s.call(t, "POST", path, token, body, into); status/100 != 2 {
			t.Fatalf("%s: %d", path, status)
		}
	}

	weak := s.login(t, "demo", "correct horse battery staple")
	refused := ask(weak.AccessToken)
	challenge := refused.Header().Get("WWW-Authenticate")
	if refused.Code != http.StatusUnauthorized || !strings.Contains(challenge, `error="insufficient_user_authentication"`) ||
		!strings.Contains(challenge, `acr_values="aal2", max_age="300"`) {
		t.Fatalf("%d %s", refused.Code, challenge)
	}
	var app struct{ Enrolment, Secret string }
	call("/v1/factors/totp", weak.AccessToken, map[string]string{}, &app)
	code := func(ahead time.Duration) string {
		t.Helper()
		code, err := mfatest.Code(app.Secret, time.Now().Add(ahead))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	call("/v1/factors/totp/confirm", weak.AccessToken, map[string]string{"enrolment": app.Enrolment, "code": code(0)}, nil)
	if w := ask(weak.AccessToken); w.Code != http.StatusUnauthorized {
		t.Errorf("the session that enrolled a factor has its level raised: %d", w.Code)
	}
	var strong grant
	call("/v1/login/factor", weak.AccessToken, map[string]string{"code": code(30 * time.Second)}, &strong) // each works once: the next
	if w := ask(strong.AccessToken); w.Code != http.StatusOK || w.Body.String() != "pwd otp mfa" {
		t.Errorf("after the step up: %d %s", w.Code, w.Body)
	}
	until(t, "the end of the old session at the service", func() bool {
		return strings.Contains(ask(weak.AccessToken).Body.String(), "was revoked")
	})
}
