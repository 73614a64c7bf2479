package main_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

// With its sessions in Redis an authd can be stopped and started elsewhere, and a logout survives the loss of everything
// that Redis held.
func TestSessionsInRedis(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	data := t.TempDir()
	args := []string{"--demo", "--redis", "redis://" + addr, "--kek-file", newKEK(t), "--issuer", "http://127.0.0.1:1"}

	s := serve(t, data, args...)
	ended, alive := s.login(t, demoUser, demoPassword), s.login(t, demoUser, demoPassword)
	s.logout(t, ended, "session")
	s.kill()
	s = serve(t, data, args...)
	if got := s.verify(t, ended.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("after a restart a revoked token answers %d", got)
	}
	renewed, status := s.refresh(t, alive.RefreshToken)
	if status != http.StatusOK {
		t.Fatalf("after a restart a live session refreshes with %d", status)
	}

	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; { // 503 for a moment is right, 200 never is
		got := s.verify(t, ended.AccessToken)
		if got == http.StatusOK {
			t.Fatal("a revoked token is accepted after Redis lost everything")
		}
		if s.verify(t, renewed.AccessToken) == http.StatusOK && client.Exists(t.Context(), "{authd:rev}:entries").Val() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the revocations were not written back")
		}
		wait(t, 50*time.Millisecond)
	}
	if got := s.verify(t, ended.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("after the repair a revoked token answers %d", got)
	}
	if _, status := s.refresh(t, ended.RefreshToken); status == http.StatusOK {
		t.Error("an ended session refreshes after Redis lost everything")
	}
}

// Without Redis nothing that needs it is decided: 503, soon, and never an answer about the token.
func TestRedisOutage(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	s := serve(t, t.TempDir(), "--demo", "--redis", "redis://"+addr, "--kek-file", newKEK(t), "--max-staleness", "2s")
	g := s.login(t, demoUser, demoPassword)
	client.ShutdownNoSave(t.Context())

	if _, status := s.refresh(t, g.RefreshToken); status != http.StatusServiceUnavailable {
		t.Errorf("a refresh without Redis answers %d", status)
	}
	if status := s.call(t, http.MethodPost, "/v1/logout", g.AccessToken, map[string]string{"scope": "session"}, nil); status != http.StatusServiceUnavailable {
		t.Errorf("a logout without Redis answers %d", status)
	}
	for deadline := time.Now().Add(30 * time.Second); s.verify(t, g.AccessToken) != http.StatusServiceUnavailable; {
		if time.Now().After(deadline) {
			t.Fatal("verification goes on without proof of freshness")
		}
		wait(t, 100*time.Millisecond)
	}
	if status := s.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": demoUser, "password": demoPassword}, nil); status != http.StatusServiceUnavailable {
		t.Errorf("a login without Redis answers %d", status)
	}
}
