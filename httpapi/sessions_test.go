package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/token"
)

func TestMe(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	me := decode[struct {
		Sub, Username, SID, Scope string
		ClientID                  string `json:"client_id"`
		Roles                     []string
		AuthTime                  int64 `json:"auth_time"`
		Exp                       int64
	}](t, e.do(request{method: "GET", path: "/v1/me", bearer: g.AccessToken}), http.StatusOK)
	if me.Sub != e.alice.Subject || me.Username != aliceName || me.SID != g.SessionID || me.Scope != "" ||
		len(me.Roles) != 1 || me.Roles[0] != "editor" || me.ClientID == "" {
		t.Errorf("me: %+v", me)
	}
	if d := time.Since(time.Unix(me.AuthTime, 0)); d < -time.Second || d > time.Minute || me.Exp <= me.AuthTime {
		t.Errorf("times: %+v", me)
	}
}

// accounts answers err for every account.
type accounts struct{ err error }

func (a accounts) Account(context.Context, string) (identity.Account, error) {
	return identity.Account{}, a.err
}

func TestMeWithoutTheUserStore(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"unavailable": {identity.ErrUnavailable, http.StatusServiceUnavailable},
		"removed":     {identity.ErrNotFound, http.StatusOK},
		"defect":      {errors.New("secret text"), http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, options{public: func(p *httpapi.PublicConfig) { p.Accounts = accounts{c.err} }})
			wantStatus(t, e.do(request{method: "GET", path: "/v1/me", bearer: e.loginAlice().AccessToken}), c.status)
		})
	}
}

type sessionList struct {
	Sessions []struct {
		ID, Address string
		Current     bool
		CreatedAt   time.Time `json:"created_at"`
		LastUsedAt  time.Time `json:"last_used_at"`
		UserAgent   string    `json:"user_agent"`
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	e := newEnv(t)
	body := map[string]string{"username": aliceName, "password": alicePassword}
	phone := decode[grant](t, e.do(request{
		method: "POST", path: "/v1/login", json: body, header: http.Header{"User-Agent": {"phone\u00e9/1"}},
	}), http.StatusOK)
	laptop := e.loginAlice()
	list := decode[sessionList](t, e.do(request{method: "GET", path: "/v1/sessions", bearer: laptop.AccessToken}), http.StatusOK)
	if len(list.Sessions) != 2 {
		t.Fatalf("%d sessions", len(list.Sessions))
	}
	for _, s := range list.Sessions {
		if s.Current != (s.ID == laptop.SessionID) || s.Address != "127.0.0.1" || s.CreatedAt.IsZero() || s.LastUsedAt.IsZero() {
			t.Errorf("session %+v", s)
		}
	}
	wantStatus(t, e.do(request{method: "DELETE", path: "/v1/sessions/" + phone.SessionID, bearer: laptop.AccessToken}), 204)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: phone.AccessToken}), http.StatusUnauthorized)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: laptop.AccessToken}), http.StatusOK)
}

// T40: somebody else's session is answered like one that does not exist, and lives.
func TestSomebodyElsesSession(t *testing.T) {
	e := newEnv(t)
	alice, bob := e.loginAlice(), e.login(bobName, bobPassword)
	var answers []answer
	for _, id := range []string{alice.SessionID, "AAAAAAAAAAAAAAAAAAAAAA", "nonsense", "%2e%2e", "AAAAAAAAAAAAAAAAAAAAAA%00", alice.SessionID + "/x"} {
		a := e.do(request{method: "DELETE", path: "/v1/sessions/" + id, bearer: bob.AccessToken})
		wantProblem(t, a, http.StatusNotFound, "not_found")
		answers = append(answers, a)
	}
	for _, a := range answers[1:] {
		if len(a.body) != len(answers[0].body) {
			t.Errorf("the answers differ: %s and %s", a.body, answers[0].body)
		}
	}
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: alice.AccessToken}), http.StatusOK)
}

// A token that belongs to no session is good for services, but ends none.
func TestTokenWithoutSession(t *testing.T) {
	e := newEnv(t)
	raw, _, err := e.issuer.Issue(t.Context(), token.Claims{Subject: "batch", ClientID: "batch"})
	must(t, err)
	wantStatus(t, e.do(request{method: "GET", path: "/v1/verify", bearer: raw}), http.StatusOK)
	wantProblem(t, e.do(request{method: "POST", path: "/v1/logout", bearer: raw}), http.StatusUnauthorized, "invalid_token")
}
