package httpapi_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/authd-project/authd/httpapi"
)

// A server is replaced while it answers: each request meets one configuration or the other, and none is lost.
func TestReplace(t *testing.T) {
	e := newEnv(t)
	with, err := httpapi.NewPublic(e.publicConfig)
	must(t, err)
	c := e.publicConfig
	c.Clients, c.Scopes = []httpapi.Client{{ID: clientID, SecretSHA256: sha256.Sum256([]byte("another secret"))}}, []string{"new:scope"}
	without, err := httpapi.NewPublic(c)
	must(t, err)
	ask := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.publicURL+"/oauth2/introspect", strings.NewReader(url.Values{"token": {"x"}}.Encode()))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(clientID, clientSecret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status := ask(); status != http.StatusOK && status != http.StatusUnauthorized {
					t.Errorf("answered %d", status)
					return
				}
			}
		})
	}
	for range 50 {
		e.public.Replace(without)
		if status := ask(); status != http.StatusUnauthorized {
			t.Errorf("a client that is gone gets %d", status)
		}
		e.public.Replace(with)
		if status := ask(); status != http.StatusOK {
			t.Errorf("a client gets %d", status)
		}
	}
	close(stop)
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
}

func TestReloadRoute(t *testing.T) {
	outcome := func() ([]string, error) { return []string{"log-level", "scopes"}, nil }
	e := newEnv(t, options{admin: func(c *httpapi.AdminConfig) {
		c.Reload = func(context.Context) ([]string, error) { return outcome() }
	}})
	ask := func(token string) (int, string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/admin/reload", nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		e.admin.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	if status, body := ask(adminToken); status != http.StatusOK || strings.TrimSpace(body) != `{"changed":["log-level","scopes"]}` {
		t.Errorf("%d %s", status, body)
	}
	outcome = func() ([]string, error) { return nil, nil }
	if status, body := ask(adminToken); status != http.StatusOK || strings.TrimSpace(body) != `{"changed":[]}` {
		t.Errorf("%d %s", status, body)
	}
	outcome = func() ([]string, error) { return nil, errors.New("listen wants a restart") }
	if status, body := ask(adminToken); status != http.StatusConflict || !strings.Contains(body, `"detail":"listen wants a restart"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask(""); status != http.StatusUnauthorized {
		t.Errorf("without the admin token %d", status)
	}
}
