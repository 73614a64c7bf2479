package main_test

import (
	"net/http"
	"sync"
	"testing"
)

const (
	demoUser     = "demo"
	demoPassword = "correct horse battery staple"
)

// What was acknowledged survives both a clean restart and a kill: sessions, revocations, keys.
func TestRestartKeepsEverything(t *testing.T) {
	for _, end := range []struct {
		name string
		stop func(*testing.T, *server)
	}{
		{"terminated", func(t *testing.T, s *server) { t.Helper(); s.terminate(t) }},
		{"killed", func(_ *testing.T, s *server) { s.kill() }},
	} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			const issuer = "http://127.0.0.1:1" // the same before and after, whatever the port
			s := serve(t, data, "--demo", "--issuer", issuer)
			alive := s.login(t, demoUser, demoPassword)
			ended := s.login(t, demoUser, demoPassword)
			s.logout(t, ended, "session")
			end.stop(t, s)

			s = serve(t, data, "--demo", "--issuer", issuer)
			if got := s.verify(t, alive.AccessToken); got != http.StatusOK {
				t.Errorf("a live token answers %d after the restart: keys were lost", got)
			}
			if got := s.verify(t, ended.AccessToken); got != http.StatusUnauthorized {
				t.Errorf("a revoked token answers %d after the restart", got)
			}
			if _, got := s.refresh(t, ended.RefreshToken); got != http.StatusUnauthorized && got != http.StatusBadRequest {
				t.Errorf("an ended session refreshes with %d after the restart", got)
			}
			renewed, status := s.refresh(t, alive.RefreshToken)
			if status != http.StatusOK {
				t.Fatalf("a live session refreshes with %d after the restart: sessions were lost", status)
			}
			if renewed.SessionID != alive.SessionID {
				t.Errorf("the session changed its id from %s to %s", alive.SessionID, renewed.SessionID)
			}
		})
	}
}

func TestLogoutScopes(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	laptop, phone, tablet := s.login(t, demoUser, demoPassword), s.login(t, demoUser, demoPassword), s.login(t, demoUser, demoPassword)

	want := func(step string, statuses ...int) {
		t.Helper()
		for i, g := range []grant{laptop, phone, tablet} {
			if got := s.verify(t, g.AccessToken); got != statuses[i] {
				t.Errorf("%s: session %d answers %d, want %d", step, i, got, statuses[i])
			}
		}
	}
	want("before", 200, 200, 200)
	s.logout(t, laptop, "session")
	want("this", 401, 200, 200)
	s.logout(t, phone, "others")
	want("others", 401, 200, 401)
	s.logout(t, phone, "all")
	want("all", 401, 401, 401)
	if g := s.login(t, demoUser, demoPassword); s.verify(t, g.AccessToken) != http.StatusOK {
		t.Error("a login right after logging out everywhere is refused")
	}
}

// Fifty requests with one refresh token, as a program sends whose access token has expired, get one successor; and a
// logout inside the grace ends all of them.
func TestParallelRefreshes(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	g := s.login(t, demoUser, demoPassword)
	for round := range 3 {
		successors := make([]grant, 50)
		var wg sync.WaitGroup
		for i := range successors {
			wg.Go(func() {
				var status int
				if successors[i], status = s.refresh(t, g.RefreshToken); status != http.StatusOK {
					t.Errorf("round %d: a parallel refresh answers %d", round, status)
				}
			})
		}
		wg.Wait()
		for _, successor := range successors {
			if successor.RefreshToken != successors[0].RefreshToken {
				t.Fatalf("round %d: one refresh token has two successors", round)
			}
		}
		g = s.login(t, demoUser, demoPassword)
	}
	tab, _ := s.refresh(t, g.RefreshToken)
	s.logout(t, tab, "session")
	for _, token := range []string{g.RefreshToken, tab.RefreshToken} {
		if _, status := s.refresh(t, token); status == http.StatusOK {
			t.Error("a refresh inside the grace survives the logout")
		}
	}
}
