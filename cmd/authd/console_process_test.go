package main_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// The console of docs/console.md: made so, it lets root in, shows who leads, and is gone without a role.
func TestConsoleGuide(t *testing.T) {
	t.Parallel()
	steps := docs.Steps(t, "docs/console.md", 0)
	data := t.TempDir()
	args := append(strings.Fields(uncommented(steps[0].Command))[1:], "--data", data, "--admin-listen", "127.0.0.1:1")
	if out, err := command(context.WithoutCancel(t.Context()), alicesPassword+"\n", args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := serveAs(t, data, steps[1].Command)
	if status, to, _ := s.console(t, http.MethodGet, "/console", nil, nil); status != http.StatusSeeOther || !strings.HasPrefix(to, "/console/login") {
		t.Errorf("without a login /console is answered %d to %q", status, to)
	}
	jar := map[string]string{}
	form := url.Values{"username": {"root"}, "password": {alicesPassword}}
	if status, to, body := s.console(t, http.MethodPost, "/console/login", form, jar); status != http.StatusSeeOther || to != "/console" {
		t.Fatalf("root signs in with %d to %q: %s", status, to, body)
	}
	for path, want := range map[string]string{
		"/console": "this authd", "/console/users": "/console/users/root", "/console/users/root": "authd-console", "/console/keys": "bar active",
	} {
		s.awaitAnswer(t, path, http.StatusOK, func() int {
			status, _, body := s.console(t, http.MethodGet, path, nil, jar)
			if !strings.Contains(body, want) {
				return 0 // who leads is known in a moment
			}
			return status
		})
	}
	if status, to, body := s.console(t, http.MethodPost, "/console/users/root/forgive", url.Values{}, jar); status != http.StatusSeeOther {
		t.Errorf("an action is answered %d to %q: %s", status, to, body)
	}
	s.terminate(t)

	s = serve(t, data, "--console-role", "")
	if status, _, _ := s.console(t, http.MethodGet, "/console", nil, jar); status != http.StatusNotFound {
		t.Errorf("without a role /console is answered %d", status)
	}
}

// console sends what a browser would to the admin listener, with the cookies of jar, which the answer may change.
func (s *server) console(t *testing.T, method, path string, form url.Values, jar map[string]string) (status int, location, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.Admin+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range jar {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if jar != nil {
			jar[c.Name] = c.Value
		}
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}
