package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
)

// The client of docs/dpop.md, whose proofs jose makes, logs in, calls, refreshes and logs out, with nonces and without.
func TestDPoPGuide(t *testing.T) {
	t.Parallel()
	snippet := docs.Text(t, "docs/dpop.md", "js", 0)
	const issuer = "'http://127.0.0.1:8080'"
	if strings.Count(snippet, issuer) != 1 {
		t.Fatal("docs/dpop.md has no client")
	}
	const main = `
import { login, refresh, logout, send } from './client.mjs'
const first = await login('demo', 'correct horse battery staple')
const second = await refresh(first.body.refresh_token)
const accessToken = second.body.access_token
const me = await send('GET', ISSUER + '/v1/me', { accessToken })
const bearer = await fetch(ISSUER + '/v1/me', { headers: { Authorization: 'Bearer ' + accessToken } })
const stolen = await fetch(ISSUER + '/v1/refresh', {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refresh_token: second.body.refresh_token }),
})
const out = await logout(accessToken)
const after = await send('GET', ISSUER + '/v1/me', { accessToken })
console.log(first.status, first.body.token_type, second.status, me.status, me.body.username, bearer.status, stolen.status, out.status, after.status)
`
	for _, args := range [][]string{{"--demo"}, {"--demo", "--dpop-nonces"}} {
		s := serve(t, t.TempDir(), args...)
		dir := testenv.JoseDir(t)
		for name, code := range map[string]string{
			"client.mjs": strings.Replace(snippet, issuer, "'"+s.URL+"'", 1),
			"main.mjs":   strings.ReplaceAll(main, "ISSUER", "'"+s.URL+"'"),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "main.mjs")).CombinedOutput()
		if want := "200 DPoP 200 200 demo 401 400 204 401\n"; err != nil || string(out) != want {
			t.Errorf("%s: %v, printed\n%s\nwant\n%s", args, err, out, want)
		}
	}
}

// prover is a client with a key.
type prover struct {
	t   *testing.T
	key *dpop.Key
}

// send sends a request with a new proof that names issuer, unless proof is given.
func (p *prover) send(method, base, issuer, path, accessToken string, body any, proof ...string) (int, map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, base+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	if len(proof) == 0 {
		proof = []string{p.prove(method, issuer+path, accessToken)}
	}
	r.Header.Set("DPoP", proof[0])
	r.Header.Set("Content-Type", "application/json")
	if accessToken != "" {
		r.Header.Set("Authorization", "DPoP "+accessToken)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	if text, err = io.ReadAll(resp.Body); err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		p.t.Fatalf("%s: %v in %s", path, err, text)
	}
	return resp.StatusCode, answer
}

func (p *prover) prove(method, url, accessToken string) string {
	p.t.Helper()
	proof, err := p.key.Prove(dpop.Statement{Method: method, URL: url, AccessToken: accessToken})
	if err != nil {
		p.t.Fatal(err)
	}
	return proof
}

func newProver(t *testing.T) *prover {
	t.Helper()
	key, err := dpop.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return &prover{t, key}
}

// A Go client's session, at a service that the middleware guards, from the login to the logout.
func TestDPoPAtAService(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	guard, err := middleware.New(t.Context(), s.URL, middleware.Options{Audience: "authd", DPoP: middleware.DPoPOptions{URL: "https://api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer guard.Close()
	service := httptest.NewServer(guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := middleware.ClaimsFrom(r.Context())
		fmt.Fprintf(w, `{"sub":%q}`, claims.Subject)
	}), middleware.Bound()))
	defer service.Close()
	p, thief := newProver(t), newProver(t)
	call := func(p *prover, raw string, proof ...string) int {
		status, _ := p.send("GET", service.URL, "https://api.example.com", "/orders?page=2", raw, nil, proof...)
		return status
	}

	status, g := p.send("POST", s.URL, s.URL, "/v1/login", "", map[string]string{"username": demoUser, "password": demoPassword})
	if status != http.StatusOK || g["token_type"] != "DPoP" {
		t.Fatalf("login: %d, %v", status, g)
	}
	refreshing := map[string]any{"refresh_token": g["refresh_token"]}
	if status, _ := thief.send("POST", s.URL, s.URL, "/v1/refresh", "", refreshing); status != http.StatusBadRequest {
		t.Errorf("a stolen refresh token: %d", status)
	}
	if status, g = p.send("POST", s.URL, s.URL, "/v1/refresh", "", refreshing); status != http.StatusOK {
		t.Fatalf("refresh: %d, %v", status, g)
	}
	raw := g["access_token"].(string)
	proof := p.prove("GET", "https://api.example.com/orders", raw)
	for what, c := range map[string]struct{ status, want int }{
		"with a proof":                {call(p, raw, proof), http.StatusOK},
		"replayed":                    {call(p, raw, proof), http.StatusUnauthorized},
		"a stolen token":              {call(thief, raw), http.StatusUnauthorized},
		"a proof of the service's IP": {call(p, raw, p.prove("GET", service.URL+"/orders", raw)), http.StatusUnauthorized},
	} {
		if c.status != c.want {
			t.Errorf("%s: %d, want %d", what, c.status, c.want)
		}
	}
	if status, _ := p.send("POST", s.URL, s.URL, "/v1/logout", raw, map[string]any{}); status != http.StatusNoContent {
		t.Fatalf("logout: %d", status)
	}
	for deadline := time.Now().Add(30 * time.Second); call(p, raw) != http.StatusUnauthorized; {
		if time.Now().After(deadline) {
			t.Fatal("accepted after the logout")
		}
		wait(t, 10*time.Millisecond)
	}
}

// What one authd has seen, those that share its Redis refuse.
func TestDPoPAmongReplicas(t *testing.T) {
	t.Parallel()
	const issuer = "http://127.0.0.1:1"
	r := startReplicas(t, 2, "--redis", "redis://"+testenv.Redis(t))
	p := newProver(t)
	login := map[string]string{"username": "alice", "password": alicesPassword}
	status, g := p.send("POST", r.servers[0].URL, issuer, "/v1/login", "", login)
	if status != http.StatusOK {
		t.Fatalf("login: %d, %v", status, g)
	}
	raw := g["access_token"].(string)
	proof := p.prove("GET", issuer+"/v1/me", raw)
	for i, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		if status, answer := p.send("GET", r.servers[i].URL, issuer, "/v1/me", raw, nil, proof); status != want {
			t.Errorf("at server %d: %d, %v", i, status, answer)
		}
	}
	if status, answer := p.send("POST", r.servers[1].URL, issuer, "/v1/refresh", "", map[string]any{"refresh_token": g["refresh_token"]}); status != http.StatusOK {
		t.Errorf("refresh at the other: %d, %v", status, answer)
	}
}
