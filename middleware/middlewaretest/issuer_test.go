package middlewaretest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background() // of the examples

func statusOf(guard *middleware.Guard, raw string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	w := httptest.NewRecorder()
	guard.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	return w.Code
}

const passed = http.StatusNotFound // the handler behind the guard

func TestRevokeOnEveryAxis(t *testing.T) {
	for kind, name := range map[revocation.Kind]string{
		revocation.Session: "s1", revocation.Subject: "bob", revocation.Client: "web", revocation.Everything: "",
	} {
		issuer := middlewaretest.NewIssuer("orders")
		guard := issuer.Guard(middleware.Options{})
		raw := issuer.Mint(token.Claims{SessionID: "s1", Subject: "bob", ClientID: "web"})
		other := issuer.Mint(token.Claims{})
		if status := statusOf(guard, raw); status != passed {
			t.Errorf("%v: %d before the revocation", kind, status)
		}
		issuer.Revoke(kind, name)
		if status := statusOf(guard, raw); status != http.StatusUnauthorized {
			t.Errorf("%v: %d after the revocation", kind, status)
		}
		want := passed
		if kind == revocation.Everything {
			want = http.StatusUnauthorized
		}
		if status := statusOf(guard, other); status != want {
			t.Errorf("%v: %d for another token, want %d", kind, status, want)
		}
		issuer.Close()
	}
}

func TestTimeAndOutage(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard := issuer.Guard(middleware.Options{MaxStaleness: time.Minute})
	if status := statusOf(guard, issuer.MintAt(time.Now().Add(-time.Hour), token.Claims{})); status != http.StatusUnauthorized {
		t.Errorf("an old token: %d", status)
	}
	raw := issuer.Mint(token.Claims{})
	issuer.Rotate()
	for age, want := range map[time.Duration]int{
		0: passed, 50 * time.Second: passed, 2 * time.Minute: http.StatusServiceUnavailable,
	} {
		issuer.Outage(age)
		if status := statusOf(guard, raw); status != want {
			t.Errorf("revocations %v old: %d, want %d", age, status, want)
		}
	}
}

// After a cut-off, who logs in again is in: at any moment of the second that the cut-off was rounded up to.
func TestLoginAfterACutoff(t *testing.T) {
	for _, kind := range []revocation.Kind{revocation.Subject, revocation.Client, revocation.Everything} {
		issuer := middlewaretest.NewOffline("orders")
		guard := issuer.Guard(middleware.Options{})
		name := map[revocation.Kind]string{revocation.Subject: "alice", revocation.Client: "web"}[kind]
		before := issuer.Mint(token.Claims{ClientID: "web"})
		issuer.Revoke(kind, name)
		if status := statusOf(guard, before); status != http.StatusUnauthorized {
			t.Errorf("%v: before: %d", kind, status)
		}
		if status := statusOf(guard, issuer.Mint(token.Claims{ClientID: "web"})); status != passed {
			t.Errorf("%v: after: %d", kind, status)
		}
	}
}

func TestLogout(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	raw, again, other := issuer.Mint(token.Claims{SessionID: "s"}), issuer.Mint(token.Claims{SessionID: "s"}), issuer.Mint(token.Claims{})
	issuer.Logout(raw)
	if a, b, c := statusOf(guard, raw), statusOf(guard, again), statusOf(guard, other); a != 401 || b != 401 || c != passed {
		t.Errorf("the token %d, another of its session %d, another's %d", a, b, c)
	}
	defer func() {
		if recover() == nil {
			t.Error("garbage was logged out")
		}
	}()
	issuer.Logout("garbage")
}

// What a guard says of its sources fits the outage that is played.
func TestStatus(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	if st := guard.Status(); !st.Found || !st.Revocations.Fresh || st.Staleness > time.Minute {
		t.Errorf("have %+v", st)
	}
	issuer.Outage(time.Hour)
	issuer.Logout(issuer.Mint(token.Claims{}))
	if st := guard.Status(); st.Revocations.Fresh || st.Staleness < time.Hour || st.Revocations.Entries[revocation.Session] != 1 {
		t.Errorf("in an outage: %+v", st)
	}
}

// Nobody has to close an issuer without a server, and whoever does may do it twice.
func TestClose(t *testing.T) {
	offline, served := middlewaretest.NewOffline("orders"), middlewaretest.NewIssuer("orders")
	guard := served.Guard(middleware.Options{})
	for _, i := range []*middlewaretest.Issuer{offline, served} {
		i.Close()
		i.Close()
	}
	if status := statusOf(guard, served.Mint(token.Claims{})); status != passed {
		t.Errorf("a guard in memory, without the server: %d", status)
	}
}

func TestMintPanicsOnClaimsThatNobodyAccepts(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	defer func() {
		if recover() == nil {
			t.Error("a subject with a line break was minted")
		}
	}()
	issuer.Mint(token.Claims{Subject: "a\nb"})
}
