package adminclient_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
)

func client(t *testing.T, h http.HandlerFunc) *adminclient.Client {
	t.Helper()
	c, err := adminclient.New(adminclient.Config{URL: "http://authd.test/", Token: "secret-token", Transport: adminclient.InProcess(h)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRequests(t *testing.T) {
	var got *http.Request
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(http.StatusNoContent)
	})
	if err := c.SetRoles(t.Context(), "a/b c?d%"); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPut || got.RequestURI != "/admin/users/a%2Fb%20c%3Fd%25/roles" ||
		got.Header.Get("Authorization") != "Bearer secret-token" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %v", got.Method, got.RequestURI, got.Header)
	}
}

func TestRefusals(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"title":"Conflict","status":409,"code":"conflict","detail":"This user exists already."}`))
	})
	_, err := c.AddUser(t.Context(), adminapi.NewUser{Username: "a", Password: "a-secret"})
	var refusal *adminclient.Error
	if !errors.As(err, &refusal) || refusal.Code != "conflict" || refusal.RetryAfter != 7*time.Second ||
		err.Error() != "This user exists already (409 conflict)" {
		t.Errorf("error %v", err)
	}
}

// Whatever else answers at the address, the error says so and holds nothing secret.
func TestStrangeAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.test/", http.StatusTemporaryRedirect)
		},
		"not json":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"oversized": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 9<<20)) },
		"nothing":   func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, h).Keys(t.Context())
			if err == nil || strings.Contains(err.Error(), "secret-token") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8081", "ftp://x", "http://", "://"} {
		if _, err := adminclient.New(adminclient.Config{URL: url}); err == nil {
			t.Errorf("%q is accepted", url)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := client(t, func(http.ResponseWriter, *http.Request) { cancel() })
	if err := c.EndSession(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
