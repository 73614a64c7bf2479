package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/mfa/mfatest"
)

func TestLoginWithApp(t *testing.T) {
	e := newEnv(t)
	secret, codes := e.withApp(e.loginAlice())
	if len(codes) != 10 {
		t.Errorf("%d recovery codes", len(codes))
	}
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]any{
		"username": aliceName, "password": alicePassword, "client_id": "shop", "scope": "orders:read",
	}})
	wanted := decode[moreWanted](t, a, http.StatusUnauthorized)
	if wanted.Code != "second_factor_required" || !slices.Equal(wanted.Factors, []string{"totp", "recovery_code"}) || wanted.Passkey != nil {
		t.Errorf("%+v", wanted)
	}
	if strings.Contains(a.body, "token") {
		t.Errorf("there are tokens before the second factor: %s", a.body)
	}
	wantProblem(t, e.factor(map[string]any{"login_state": wanted.LoginState, "code": "000000"}), 401, "invalid_factor")
	code := e.nextCode(secret)
	before := time.Now().Unix()
	g := decode[grant](t, e.factor(map[string]any{"login_state": wanted.LoginState, "code": code}), 200)
	l := levelsOf(t, e, g.AccessToken)
	if l.ACR != "aal2" || !slices.Equal(l.AMR, []string{"pwd", "otp", "mfa"}) || l.Subject != e.alice.Subject || l.ClientID != "shop" ||
		l.Scope != "orders:read" || l.AuthTime > before {
		t.Errorf("%+v", l)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", bearer: g.AccessToken}), 200)

	// A refresh keeps the level, and what has been used works no more.
	r := decode[grant](t, e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": g.RefreshToken}}), 200)
	if l := levelsOf(t, e, r.AccessToken); l.ACR != "aal2" {
		t.Errorf("after a refresh: %+v", l)
	}
	wantProblem(t, e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "code": code}), 401, "invalid_factor")
	wantProblem(t, e.factor(map[string]any{"login_state": wanted.LoginState, "code": e.nextCode(secret)}), 401, "invalid_state")

	// Whoever has no factors is asked for none.
	bob := e.login(bobName, bobPassword)
	if l := levelsOf(t, e, bob.AccessToken); l.ACR != "aal1" || !slices.Equal(l.AMR, []string{"pwd"}) {
		t.Errorf("bob: %+v", l)
	}
	for _, secret := range append(codes, secret, code, wanted.LoginState) {
		if strings.Contains(e.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestLoginWithRecoveryCode(t *testing.T) {
	e := newEnv(t)
	_, codes := e.withApp(e.loginAlice())
	g := decode[grant](t, e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "recovery_code": strings.ToUpper(codes[0])}), 200)
	if l := levelsOf(t, e, g.AccessToken); l.ACR != "aal2" {
		t.Errorf("%+v", l)
	}
	wantProblem(t, e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "recovery_code": codes[0]}), 401, "invalid_factor")
	list := decode[factorList](t, e.do(request{method: "GET", path: "/v1/factors", bearer: g.AccessToken}), 200)
	if list.RecoveryCodes != 9 {
		t.Errorf("%+v", list)
	}
	renewed := decode[struct {
		Codes []string `json:"recovery_codes"`
	}](t, e.do(request{method: "POST", path: "/v1/factors/recovery-codes", bearer: g.AccessToken, json: "{}"}), 201)
	wantProblem(t, e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "recovery_code": codes[1]}), 401, "invalid_factor")
	wantStatus(t, e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "recovery_code": renewed.Codes[0]}), 200)
}

type factorList struct {
	Factors []struct {
		ID, Kind, Name string
		UsedAt         *time.Time `json:"last_used_at"`
	}
	RecoveryCodes int `json:"recovery_codes"`
	Passkeys      bool
}

func TestLoginWithPasskey(t *testing.T) {
	e := newEnv(t)
	authenticator, added := e.withPasskey(e.loginAlice())
	if added.Factor.Kind != "passkey" || added.Factor.Name != "laptop" || len(added.RecoveryCodes) != 10 {
		t.Errorf("%+v", added)
	}
	g := decode[grant](t, e.passkeyLogin(authenticator), 200)
	if l := levelsOf(t, e, g.AccessToken); l.ACR != "aal2" || !slices.Equal(l.AMR, []string{"swk", "user", "mfa"}) || l.Subject != e.alice.Subject {
		t.Errorf("alone: %+v", l)
	}
	wanted := e.password(aliceName, alicePassword)
	if !slices.Equal(wanted.Factors, []string{"passkey", "recovery_code"}) {
		t.Errorf("%+v", wanted)
	}
	answer, err := authenticator.Get(wanted.Passkey)
	must(t, err)
	g = decode[grant](t, e.factor(map[string]any{"login_state": wanted.LoginState, "passkey": json.RawMessage(answer)}), 200)
	if l := levelsOf(t, e, g.AccessToken); l.ACR != "aal2" || !slices.Equal(l.AMR, []string{"pwd", "swk", "user", "mfa"}) {
		t.Errorf("as a second factor: %+v", l)
	}
	wantProblem(t, e.factor(map[string]any{"login_state": wanted.LoginState, "passkey": json.RawMessage(answer)}), 401, "invalid_factor")
	wantProblem(t, e.passkeyLogin(e.anyPasskey()), 401, "invalid_factor")
}

// What is not right about a login by a passkey.
func TestPasskeyLoginRefused(t *testing.T) {
	e := newEnv(t)
	authenticator, _ := e.withPasskey(e.loginAlice())
	for name, change := range map[string]func(*mfatest.Authenticator){
		"another origin":   func(a *mfatest.Authenticator) { a.Origin = "https://evil.example" },
		"another host":     func(a *mfatest.Authenticator) { a.RPID = "evil.example" },
		"not verified":     func(a *mfatest.Authenticator) { a.Unverified = true },
		"a cloned counter": func(a *mfatest.Authenticator) { a.Counter, a.Step = 0, 1 },
	} {
		bad := authenticator.Clone()
		bad.Counter += 10
		change(bad)
		if p := wantProblem(t, e.passkeyLogin(bad), 401, "invalid_factor"); strings.Contains(p.Detail, "evil") {
			t.Errorf("%s: %s", name, p.Detail)
		}
	}
	state, answer := e.passkeyChallenge(authenticator)
	finish := func(state string) answerOf {
		return answerOf{e.do(request{
			method: "POST", path: "/v1/login/passkey/finish", json: map[string]any{"passkey_state": state, "passkey": answer},
		})}
	}
	wantProblem(t, finish("made-up").answer, 401, "invalid_state")
	other, _ := e.passkeyChallenge(authenticator.Clone())
	wantProblem(t, finish(other).answer, 401, "invalid_factor")
	wantStatus(t, finish(state).answer, 200)
	// Once more with a counter that goes on, so that only the challenge is old.
	again := authenticator.Clone()
	again.Step = 0
	wantProblem(t, finish(state).answer, 401, "invalid_factor")

	_, err := e.users.SetDisabled(t.Context(), aliceName, true)
	must(t, err)
	wantProblem(t, e.passkeyLogin(authenticator), 401, "invalid_credentials")
}

type answerOf struct{ answer }

// The state of a login is bound to whom and what it was made for.
func TestLoginState(t *testing.T) {
	clock := &movableClock{}
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Now = clock.now }})
	alices, _ := e.withApp(e.loginAlice())
	bobs, _ := e.withApp(e.login(bobName, bobPassword))
	alice, bob := e.password(aliceName, alicePassword).LoginState, e.password(bobName, bobPassword).LoginState

	wantProblem(t, e.factor(map[string]any{"login_state": alice, "code": e.nextCode(bobs)}), 401, "invalid_factor")
	wantProblem(t, e.factor(map[string]any{"login_state": bob, "code": e.nextCode(alices)}), 401, "invalid_factor")
	wantProblem(t, e.factor(map[string]any{"login_state": "nonsense", "code": e.nextCode(alices)}), 401, "invalid_state")
	wantProblem(t, e.factor(map[string]any{"login_state": alice[:len(alice)-4] + "AAAA", "code": e.nextCode(alices)}), 401, "invalid_state")
	state, _ := e.passkeyChallenge(e.anyPasskey())
	wantProblem(t, e.factor(map[string]any{"login_state": state, "code": e.nextCode(alices)}), 401, "invalid_state")
	for _, members := range []map[string]any{
		{"login_state": alice}, {"login_state": alice, "code": "123456", "recovery_code": "x"}, {"login_state": alice, "passkey": "x"},
		{"login_state": alice, "code": ""}, {"login_state": alice, "code": 123456}, {"login_state": alice, "code": "1", "passkey_state": "x"},
	} {
		wantProblem(t, e.factor(members), 400, "bad_request")
	}
	wantProblem(t, e.do(request{method: "POST", path: "/v1/factors/totp", json: map[string]string{"login_state": alice}}), 401, "invalid_state")

	clock.forward(4 * time.Minute)
	wantStatus(t, e.factor(map[string]any{"login_state": alice, "code": e.nextCode(alices)}), 200)
	clock.forward(2 * time.Minute)
	wantProblem(t, e.factor(map[string]any{"login_state": bob, "code": e.nextCode(bobs)}), 401, "invalid_state")
}

// anyPasskey is one that nobody has registered.
func (e *env) anyPasskey() *mfatest.Authenticator {
	e.t.Helper()
	a := mfatest.NewAuthenticator(issuerURL)
	_, err := a.Create([]byte(`{"publicKey":{"challenge":"AAAA","rp":{"id":"auth.example.com"},"user":{"id":"AAAA"}}}`))
	must(e.t, err)
	return a
}

// What happens to the account between the two halves of a login counts.
func TestAccountChangesBetweenFactors(t *testing.T) {
	e := newEnv(t)
	secret, _ := e.withApp(e.loginAlice())
	wanted := e.password(aliceName, alicePassword)
	_, err := e.users.SetDisabled(t.Context(), aliceName, true)
	must(t, err)
	wantProblem(t, e.factor(map[string]any{"login_state": wanted.LoginState, "code": e.nextCode(secret)}), 401, "invalid_credentials")
	_, err = e.users.SetDisabled(t.Context(), aliceName, false)
	must(t, err)

	wanted = e.password(aliceName, alicePassword)
	must(t, e.sessions.EndSubject(t.Context(), e.alice.Subject)) // as a new password does; the cut-off is at the end of this second
	a := e.factor(map[string]any{"login_state": wanted.LoginState, "code": e.nextCode(secret)})
	wantProblem(t, a, 503, "temporarily_unavailable")
	if list, err := e.sessions.List(t.Context(), e.alice.Subject); err != nil || len(list) != 0 {
		t.Errorf("sessions of before the cut-off: %v, %v", list, err)
	}
}

// Guesses at codes are counted with those at passwords, and end soon.
func TestFactorGuessesAreBounded(t *testing.T) {
	e := newEnv(t)
	secret, _ := e.withApp(e.loginAlice())
	state := e.password(aliceName, alicePassword).LoginState
	guesses := 0
	for ; guesses < 100; guesses++ {
		a := e.factor(map[string]any{"login_state": state, "code": "000000"})
		if a.status == http.StatusTooManyRequests {
			wantProblem(t, a, 429, "too_many_attempts")
			break
		}
		wantProblem(t, a, 401, "invalid_factor")
	}
	if guesses == 0 || guesses > 20 {
		t.Errorf("%d guesses were looked at", guesses)
	}
	// Now the right code is not looked at either, nor the password.
	wantProblem(t, e.factor(map[string]any{"login_state": state, "code": e.nextCode(secret)}), 429, "too_many_attempts")
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": aliceName, "password": alicePassword}})
	wantProblem(t, a, 429, "too_many_attempts")
	wantStatus(t, e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": bobName, "password": bobPassword}}), 200)
}

// A password that is right, with the factor still to come, costs nothing of the budget, and a login that is complete takes
// its attempt back.
func TestPasswordBeforeFactorIsNoFailure(t *testing.T) {
	l := &ledger{}
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { l.Logins = c.Logins; c.Logins = l }})
	secret, _ := e.withApp(e.loginAlice())
	state := e.password(aliceName, alicePassword).LoginState
	e.factor(map[string]any{"login_state": state, "code": "000000"})
	wantStatus(t, e.factor(map[string]any{"login_state": state, "code": e.nextCode(secret)}), 200)
	if want := []string{"succeeded", "cancelled", "failed", "succeeded"}; !slices.Equal(l.settled, want) {
		t.Errorf("settled %v, want %v", l.settled, want)
	}
}

// Who has no factor learns nothing about those who have, and nobody without the password does.
func TestFactorsAreNoOracle(t *testing.T) {
	e := newEnv(t)
	e.withApp(e.loginAlice())
	var bodies []string
	for _, name := range []string{aliceName, bobName, "nobody"} {
		a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": name, "password": "wrong"}})
		wantProblem(t, a, 401, "invalid_credentials")
		_, body, _ := strings.Cut(a.body, `"request_id"`)
		bodies = append(bodies, strings.TrimSuffix(a.body, body))
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Errorf("answers differ:\n%s", strings.Join(bodies, "\n"))
	}
}

// Changing factors takes a recent login, and two factors of whoever has two.
func TestChangingFactorsNeedsMore(t *testing.T) {
	clock := &movableClock{}
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Now = clock.now }})
	weak := e.loginAlice()
	clock.forward(6 * time.Minute)
	a := e.do(request{method: "POST", path: "/v1/factors/totp", bearer: weak.AccessToken, json: "{}"})
	wantProblem(t, a, 401, "insufficient_user_authentication")
	if got := a.header.Get("WWW-Authenticate"); got != `Bearer realm="authd", error="insufficient_user_authentication", `+
		`error_description="This needs a login that is more recent or of another kind.", max_age="300"` {
		t.Errorf("challenge: %s", got)
	}
	clock.forward(-6 * time.Minute)
	secret, _ := e.withApp(weak)
	strong := decode[grant](t, e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "code": e.nextCode(secret)}), 200)
	id := decode[factorList](t, e.do(request{method: "GET", path: "/v1/factors", bearer: weak.AccessToken}), 200).Factors[0].ID
	changes := []request{
		{method: "POST", path: "/v1/factors/totp", json: "{}"},
		{method: "POST", path: "/v1/factors/totp/confirm", json: map[string]string{"enrolment": "x", "code": "123456"}},
		{method: "POST", path: "/v1/factors/passkey", json: "{}"},
		{method: "POST", path: "/v1/factors/passkey/confirm", json: `{"enrolment":"x","passkey":{}}`},
		{method: "POST", path: "/v1/factors/recovery-codes", json: "{}"},
		{method: "PUT", path: "/v1/factors/" + id, json: `{"name":"x"}`},
		{method: "DELETE", path: "/v1/factors/" + id},
	}
	for _, r := range changes {
		r.bearer = weak.AccessToken
		a := e.do(r)
		wantProblem(t, a, 401, "insufficient_user_authentication")
		if !strings.Contains(a.header.Get("WWW-Authenticate"), `acr_values="aal2", max_age="300"`) {
			t.Errorf("%s %s: challenge %s", r.method, r.path, a.header.Get("WWW-Authenticate"))
		}
		r.bearer = ""
		wantProblem(t, e.do(r), 401, "invalid_token")
	}
	wantStatus(t, e.do(request{method: "PUT", path: "/v1/factors/" + id, bearer: strong.AccessToken, json: `{"name":"my phone"}`}), 204)
	wantProblem(t, e.do(request{method: "PUT", path: "/v1/factors/" + id, bearer: strong.AccessToken, json: `{"name":"a\nb"}`}), 400, "bad_request")
	if list := decode[factorList](t, e.do(request{method: "GET", path: "/v1/factors", bearer: strong.AccessToken}), 200); list.Factors[0].Name != "my phone" ||
		list.Factors[0].UsedAt == nil || !list.Passkeys {
		t.Errorf("%+v", list)
	}
	bob := e.login(bobName, bobPassword)
	wantProblem(t, e.do(request{method: "DELETE", path: "/v1/factors/" + id, bearer: bob.AccessToken}), 404, "not_found")
	wantProblem(t, e.do(request{method: "POST", path: "/v1/factors/recovery-codes", bearer: bob.AccessToken, json: "{}"}), 404, "not_found")
	wantStatus(t, e.do(request{method: "DELETE", path: "/v1/factors/" + id, bearer: strong.AccessToken}), 204)
	e.loginAlice() // the password is enough again
}

// Who is logged in and presents a factor gets a new session; the old one ends.
func TestStepUp(t *testing.T) {
	e := newEnv(t)
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]any{
		"username": aliceName, "password": alicePassword, "client_id": "shop", "scope": "orders:read",
	}})
	weak := decode[grant](t, a, 200)
	secret, codes := e.withApp(weak)
	bearer := func(g grant) http.Header { return http.Header{"Authorization": {"Bearer " + g.AccessToken}} }

	wantProblem(t, e.factor(map[string]any{"code": "000000"}, bearer(weak)), 401, "invalid_factor")
	wantProblem(t, e.factor(map[string]any{"code": e.nextCode(secret)}), 401, "invalid_token")
	wantStatus(t, e.do(request{method: "GET", path: "/v1/me", bearer: weak.AccessToken}), 200) // the old one lives on
	strong := decode[grant](t, e.factor(map[string]any{"code": e.nextCode(secret)}, bearer(weak)), 200)
	if l := levelsOf(t, e, strong.AccessToken); l.ACR != "aal2" || !slices.Equal(l.AMR, []string{"pwd", "otp", "mfa"}) ||
		l.ClientID != "shop" || l.Scope != "orders:read" || strong.SessionID == weak.SessionID {
		t.Errorf("%+v", l)
	}
	wantProblem(t, e.do(request{method: "GET", path: "/v1/me", bearer: weak.AccessToken}), 401, "invalid_token")
	wantProblem(t, e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": weak.RefreshToken}}), 401, "invalid_grant")
	wantProblem(t, e.factor(map[string]any{"code": e.nextCode(secret)}, bearer(weak)), 401, "invalid_token")

	// By a passkey, and by a recovery code; never by what is somebody else's.
	authenticator, _ := e.withPasskey(strong)
	bobs, _ := e.withPasskey(e.login(bobName, bobPassword))
	state, answer := e.passkeyChallenge(bobs)
	wantProblem(t, e.factor(map[string]any{"passkey_state": state, "passkey": answer}, bearer(strong)), 401, "invalid_factor")
	state, answer = e.passkeyChallenge(authenticator)
	wantProblem(t, e.factor(map[string]any{"passkey": answer}, bearer(strong)), 400, "bad_request")
	third := decode[grant](t, e.factor(map[string]any{"passkey_state": state, "passkey": answer}, bearer(strong)), 200)
	wantProblem(t, e.factor(map[string]any{"passkey_state": state, "passkey": answer}, bearer(third)), 401, "invalid_factor")
	wantStatus(t, e.factor(map[string]any{"recovery_code": codes[0]}, bearer(third)), 200)
}

// In cookie mode both halves are answered in cookies, and no page of another origin can do any of it.
func TestFactorsInCookieMode(t *testing.T) {
	e := newEnv(t)
	secret, _ := e.withApp(e.loginAlice())
	a := e.factor(map[string]any{"login_state": e.password(aliceName, alicePassword).LoginState, "code": e.nextCode(secret), "cookie": true})
	wantStatus(t, a, 200)
	cookies := a.header.Values("Set-Cookie")
	if len(cookies) != 2 || strings.Contains(a.body, "token") {
		t.Fatalf("%v %s", cookies, a.body)
	}
	access, _, _ := strings.Cut(cookies[0], ";")
	header := http.Header{"Cookie": {access}, "Sec-Fetch-Site": {"cross-site"}}
	wantProblem(t, e.factor(map[string]any{"code": e.nextCode(secret)}, header), 403, "cross_origin")
	header.Set("Sec-Fetch-Site", "same-origin")
	a = e.factor(map[string]any{"code": e.nextCode(secret)}, header)
	wantStatus(t, a, 200)
	if len(a.header.Values("Set-Cookie")) != 2 || strings.Contains(a.body, "token") {
		t.Errorf("%v %s", a.header, a.body)
	}
}

// Where a factor is required, whoever has none may only enrol one, and is then logged in.
func TestRequiredFactor(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) {
		c.Factors.Required = func(a identity.Account) bool { return slices.Contains(a.Roles, "editor") }
	}})
	e.login(bobName, bobPassword) // he need not
	wanted := e.password(aliceName, alicePassword)
	if wanted.Code != "factor_enrolment_required" || len(wanted.Factors) != 0 {
		t.Errorf("%+v", wanted)
	}
	wantProblem(t, e.factor(map[string]any{"login_state": wanted.LoginState, "code": "123456"}), 401, "invalid_state")
	begin := func(state string) answer {
		return e.do(request{method: "POST", path: "/v1/factors/totp", json: map[string]string{"login_state": state}})
	}
	first := decode[struct{ Enrolment, Secret string }](t, begin(wanted.LoginState), 200)
	thief := e.password(aliceName, alicePassword) // has the password too, and waits
	thiefs := decode[struct{ Enrolment, Secret string }](t, begin(thief.LoginState), 200)
	confirm := func(state, enrolment, code string) answer {
		return e.do(request{method: "POST", path: "/v1/factors/totp/confirm", json: map[string]any{
			"login_state": state, "enrolment": enrolment, "code": code,
		}})
	}
	wantProblem(t, confirm(wanted.LoginState, first.Enrolment, "000000"), 401, "invalid_factor")
	added := decode[addedFactor](t, confirm(wanted.LoginState, first.Enrolment, e.nextCode(first.Secret)), 201)
	if added.Grant == nil || len(added.RecoveryCodes) != 10 {
		t.Fatalf("%+v", added)
	}
	if l := levelsOf(t, e, added.Grant.AccessToken); l.ACR != "aal2" || !slices.Equal(l.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("%+v", l)
	}
	// Who comes second enrols nothing.
	wantProblem(t, confirm(thief.LoginState, thiefs.Enrolment, e.nextCode(thiefs.Secret)), 409, "conflict")
	wantProblem(t, begin(e.password(aliceName, alicePassword).LoginState), 401, "invalid_state")
	// The last factor stays.
	a := e.do(request{method: "DELETE", path: "/v1/factors/" + added.Factor.ID, bearer: added.Grant.AccessToken})
	wantProblem(t, a, 409, "conflict")
}

// An administrator helps who has lost a phone; the sessions end.
func TestResetFactors(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	e.withApp(g)
	admin := func(method, path string) answer { return e.do(request{method: method, path: path, bearer: adminToken}) }
	list := decode[factorList](t, admin("GET", "/admin/users/alice/factors"), 200)
	if len(list.Factors) != 1 || list.Factors[0].Kind != "totp" || list.RecoveryCodes != 10 {
		t.Errorf("%+v", list)
	}
	wantProblem(t, admin("DELETE", "/admin/users/nobody/factors"), 404, "not_found")
	wantProblem(t, admin("GET", "/admin/users/nobody/factors"), 404, "not_found")
	wantStatus(t, e.do(request{method: "DELETE", path: "/admin/users/alice/factors"}), 401)
	wantStatus(t, admin("DELETE", "/admin/users/alice/factors"), 204)
	wantProblem(t, e.do(request{method: "GET", path: "/v1/me", bearer: g.AccessToken}), 401, "invalid_token")
	e.loginAlice() // with the password alone
	if list := decode[factorList](t, admin("GET", "/admin/users/alice/factors"), 200); len(list.Factors) != 0 || list.RecoveryCodes != 0 {
		t.Errorf("%+v", list)
	}

	// With the account go its factors.
	e.withApp(e.loginAlice())
	wantStatus(t, admin("DELETE", "/admin/users/alice"), 204)
	if left, err := e.factors.Factors(t.Context(), e.alice.Subject); err != nil || len(left.Factors) != 0 || left.RecoveryCodes != 0 {
		t.Errorf("a removed user has %+v, %v", left, err)
	}
}
