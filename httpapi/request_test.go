package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// request describes one request to the public listener, or to the admin listener for paths that are there.
type request struct {
	method, path string
	bearer       string // of the Authorization header
	basic        bool   // with the client's credentials
	json         any    // body; a string is sent as it is
	form         string // body
	header       http.Header
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (e *env) do(r request) answer {
	e.t.Helper()
	base := e.publicURL
	if isAdmin(r.path) {
		base = e.adminURL
	}
	return e.send(e.newRequest(base, r))
}

func isAdmin(path string) bool {
	for _, prefix := range []string{"/admin/", "/livez", "/readyz", "/leader", "/metrics"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func (e *env) newRequest(base string, r request) *http.Request {
	e.t.Helper()
	var body io.Reader
	contentType := ""
	switch content := r.json.(type) {
	case nil:
	case string:
		body, contentType = strings.NewReader(content), "application/json"
	default:
		text, err := json.Marshal(content)
		must(e.t, err)
		body, contentType = bytes.NewReader(text), "application/json"
	}
	if r.form != "" {
		body, contentType = strings.NewReader(r.form), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(e.t.Context(), r.method, base+r.path, body)
	must(e.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	if r.basic {
		req.SetBasicAuth(clientID, clientSecret)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	return req
}

func (e *env) send(req *http.Request) answer {
	e.t.Helper()
	resp, err := e.http.Do(req)
	must(e.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(e.t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// decode reads a JSON answer that must have the given status.
func decode[T any](t testing.TB, a answer, status int) T {
	t.Helper()
	var v T
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// grant is the answer to a login.
type grant struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	SessionID    string `json:"session_id"`
}

func (e *env) login(username, password string) grant {
	e.t.Helper()
	a := e.do(request{method: "POST", path: "/v1/login", json: map[string]any{"username": username, "password": password}})
	return decode[grant](e.t, a, http.StatusOK)
}

func (e *env) loginAlice() grant { e.t.Helper(); return e.login(aliceName, alicePassword) }

// wantStatus checks an answer's status.
func wantStatus(t testing.TB, a answer, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
}

// problem is an error's body.
type problem struct {
	Status int
	Code   string
	Detail string
	Errors []struct{ Field, Detail string }
	Type   string
	Quotas []string `json:"violated-policies"`
}

// wantProblem checks an error's status and code.
func wantProblem(t testing.TB, a answer, status int, code string) problem {
	t.Helper()
	p := decode[problem](t, a, status)
	if p.Code != code || p.Status != status {
		t.Errorf("problem %d %s, want %d %s", p.Status, p.Code, status, code)
	}
	return p
}
