package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the service on a free port until the test ends, and returns its URL.
func start(t *testing.T, issuer *middlewaretest.Issuer) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	logs, stderr := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-issuer", issuer.URL, "-listen", "127.0.0.1:0", "-audience", "orders"}, stderr)
		stderr.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if _, addr, ok := strings.Cut(lines.Text(), "listening on "); ok {
			go func() { _, _ = io.Copy(io.Discard, logs) }() // until run closes it
			t.Cleanup(func() {
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("run: %v", err)
				}
			})
			return "http://" + addr
		}
	}
	cancel()
	t.Fatalf("the service ended: %v", <-ended)
	return ""
}

func get(t *testing.T, url, raw string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	if raw != "" {
		req.Header.Set("Authorization", "Bearer "+raw)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestOrders(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	url := start(t, issuer)
	raw := issuer.Mint(token.Claims{SessionID: "s1"})

	if status, _ := get(t, url, ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	const want = `{"orders":[{"id":1001,"item":"teapot","state":"delivered"},{"id":1002,"item":"two cups","state":"on its way"}]}` + "\n"
	if status, body := get(t, url, raw); status != http.StatusOK || body != want {
		t.Errorf("with a token: %d %s", status, body)
	}
	if status, _ := get(t, url, issuer.Mint(token.Claims{Audience: []string{"billing"}})); status != http.StatusUnauthorized {
		t.Errorf("with a token for another service: %d", status)
	}

	issuer.Revoke(revocation.Session, "s1")
	deadline := time.Now().Add(10 * time.Second) // the feed takes a few milliseconds
	for status := http.StatusOK; status != http.StatusUnauthorized; {
		if status, _ = get(t, url, raw); time.Now().After(deadline) {
			t.Fatalf("after the logout: %d", status)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown flag":  {"-port", "1"},
		"no issuer":        {"-issuer", ""},
		"an http issuer":   {"-issuer", "http://auth.example.com"},
		"an empty service": {"-audience", ""},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
