package httpapi_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/mfatest"
	"github.com/authd-project/authd/mfa/sqlstore"
)

// openFactors makes second factors on a real store, with a clock of their own that tests move on from code to code.
func (e *env) openFactors() *httpapi.FactorConfig {
	e.t.Helper()
	store, err := sqlstore.OpenSQLite(e.t.Context(), filepath.Join(e.t.TempDir(), "factors.db"), sqlstore.Config{})
	must(e.t, err)
	e.t.Cleanup(func() { must(e.t, store.Close()) })
	e.clock = &movableClock{}
	e.factors, err = mfa.Open(e.t.Context(), mfa.Config{
		Store: store, Masters: []mfa.MasterKey{mfa.NewMasterKey("a", [32]byte{1})}, Seals: e.ring, Issuer: issuerURL, Now: e.clock.now,
	})
	must(e.t, err)
	return &httpapi.FactorConfig{Factors: e.factors, Sessions: e.sessions, Seals: e.ring}
}

// movableClock is the real time and what it was moved by.
type movableClock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *movableClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *movableClock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

// nextCode is what an app shows when its next period has begun.
func (e *env) nextCode(secret string) string {
	e.t.Helper()
	e.clock.forward(30 * time.Second)
	code, err := mfatest.Code(secret, e.clock.now())
	must(e.t, err)
	return code
}

// withApp enrols an app for the owner of a grant over HTTP.
func (e *env) withApp(g grant) (secret string, codes []string) {
	e.t.Helper()
	a := e.do(request{method: "POST", path: "/v1/factors/totp", bearer: g.AccessToken, json: "{}"})
	enrolment := decode[struct{ Enrolment, Secret, URI string }](e.t, a, http.StatusOK)
	a = e.do(request{method: "POST", path: "/v1/factors/totp/confirm", bearer: g.AccessToken, json: map[string]string{
		"enrolment": enrolment.Enrolment, "code": e.nextCode(enrolment.Secret), "name": "phone",
	}})
	added := decode[addedFactor](e.t, a, http.StatusCreated)
	return enrolment.Secret, added.RecoveryCodes
}

type addedFactor struct {
	Factor        struct{ ID, Kind, Name string }
	RecoveryCodes []string `json:"recovery_codes"`
	Grant         *grant
}

// withPasskey registers a passkey for the owner of a grant over HTTP.
func (e *env) withPasskey(g grant) (*mfatest.Authenticator, addedFactor) {
	e.t.Helper()
	authenticator := mfatest.NewAuthenticator(issuerURL)
	a := e.do(request{method: "POST", path: "/v1/factors/passkey", bearer: g.AccessToken, json: "{}"})
	begun := decode[struct {
		Enrolment string
		Passkey   json.RawMessage
	}](e.t, a, http.StatusOK)
	answer, err := authenticator.Create(begun.Passkey)
	must(e.t, err)
	a = e.do(request{method: "POST", path: "/v1/factors/passkey/confirm", bearer: g.AccessToken, json: map[string]any{
		"enrolment": begun.Enrolment, "passkey": json.RawMessage(answer), "name": "laptop",
	}})
	return authenticator, decode[addedFactor](e.t, a, http.StatusCreated)
}

// moreWanted is the answer to a password that is not enough.
type moreWanted struct {
	Code       string
	LoginState string `json:"login_state"`
	Factors    []string
	Passkey    json.RawMessage
}

// password gives the right password of somebody for whom it is not enough.
func (e *env) password(username, password string) moreWanted {
	e.t.Helper()
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{"username": username, "password": password}})
	return decode[moreWanted](e.t, a, http.StatusUnauthorized)
}

// factor presents a factor: members of the request.
func (e *env) factor(members map[string]any, header ...http.Header) answer {
	e.t.Helper()
	r := request{method: "POST", path: "/v1/login/factor", json: members}
	if len(header) > 0 {
		r.header = header[0]
	}
	return e.do(r)
}

// passkeyChallenge asks for one, and lets an authenticator answer it.
func (e *env) passkeyChallenge(authenticator *mfatest.Authenticator) (state string, answer json.RawMessage) {
	e.t.Helper()
	a := e.do(request{method: "POST", path: "/v1/login/passkey/begin", json: "{}"})
	begun := decode[struct {
		State   string `json:"passkey_state"`
		Passkey json.RawMessage
	}](e.t, a, http.StatusOK)
	answer, err := authenticator.Get(begun.Passkey)
	must(e.t, err)
	return begun.State, answer
}

func (e *env) passkeyLogin(authenticator *mfatest.Authenticator) answer {
	e.t.Helper()
	state, answer := e.passkeyChallenge(authenticator)
	return e.do(request{method: "POST", path: "/v1/login/passkey/finish", json: map[string]any{"passkey_state": state, "passkey": answer}})
}

// levels are what a token says of how its user authenticated.
type levels struct {
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"`
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
}

func levelsOf(t testing.TB, e *env, accessToken string) levels {
	t.Helper()
	a := e.do(request{method: "POST", path: "/oauth2/introspect", basic: true, form: "token=" + accessToken})
	return decode[levels](t, a, http.StatusOK)
}
