package middlewaretest_test

import (
	"fmt"
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

// A test of a service: it is given the issuer's guard, and requests with the issuer's tokens.
func ExampleIssuer() {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard := issuer.Guard(middleware.Options{})
	service := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		fmt.Fprintf(w, "hello, %s", claims.Subject)
	}))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.Mint(token.Claims{Subject: "alice"}))
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello, alice
}

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
