package main_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
	"github.com/authd-project/authd/internal/testenv"
)

const alicesNewPassword = "copper lantern giraffe"

// accountChange is a change of an account that ends its sessions.
type accountChange struct {
	make func(context.Context, *adminclient.Client) error
	made func(now adminapi.User, gone bool, before adminapi.User) bool
	// login is what a login with the new password is answered afterwards.
	login int
}

func accountChanges() map[string]accountChange {
	return map[string]accountChange{
		"password": {
			make: func(ctx context.Context, c *adminclient.Client) error {
				return c.SetPassword(ctx, "alice", alicesNewPassword)
			},
			made: func(now adminapi.User, gone bool, before adminapi.User) bool {
				return !gone && !now.PasswordChangedAt.Equal(*before.PasswordChangedAt)
			},
			login: http.StatusOK,
		},
		"disabled": {
			make:  func(ctx context.Context, c *adminclient.Client) error { return c.DisableUser(ctx, "alice") },
			made:  func(now adminapi.User, gone bool, _ adminapi.User) bool { return !gone && now.Disabled },
			login: http.StatusUnauthorized,
		},
		"removed": {
			make:  func(ctx context.Context, c *adminclient.Client) error { return c.RemoveUser(ctx, "alice") },
			made:  func(_ adminapi.User, gone bool, _ adminapi.User) bool { return gone },
			login: http.StatusUnauthorized,
		},
	}
}

// An authd dies between the change of an account and the end of its sessions, as Redis is out of its reach. The change is
// made; once an authd runs that reaches Redis, the sessions end, whether it is the same one started again or another
// beside it.
func TestSessionsEndAfterACrash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change, recovery string
		postgres         bool
	}{
		{"password", "restarted", false},
		{"disabled", "beside", true},
		{"removed", "restarted", true},
	} {
		t.Run(c.change+" "+c.recovery, func(t *testing.T) {
			t.Parallel()
			redis := testenv.NewRedis(t)
			link := testenv.NewProxy(t, redis.Addr)
			shared := []string{"--kek-file", newKEK(t), "--issuer", "http://127.0.0.1:1"}
			if c.postgres {
				args, _ := postgresUsers(t, testenv.NewPostgres(t))
				shared = append(shared, args...)
			}
			linked := append([]string{"--redis", "redis://" + link.Addr}, shared...)
			data := t.TempDir()
			s := serve(t, data, linked...)
			s.authd(t, alicesPassword+"\n", "user", "add", "alice")
			grants := []grant{s.login(t, "alice", alicesPassword), s.login(t, "alice", alicesPassword)}
			survivor := s
			if c.recovery == "beside" {
				survivor = serve(t, t.TempDir(), append([]string{"--redis", "redis://" + redis.Addr}, shared...)...)
				grants = append(grants, survivor.login(t, "alice", alicesPassword))
			}

			change := accountChanges()[c.change]
			link.Swallow()
			s.changeAndDie(t, change)
			link.Pass()
			if c.recovery == "restarted" {
				survivor = serve(t, data, linked...)
			}
			began := time.Now()
			for _, g := range grants {
				survivor.awaitAnswer(t, "an access token", http.StatusUnauthorized, func() int { return survivor.verify(t, g.AccessToken) })
				if _, status := survivor.refresh(t, g.RefreshToken); status != http.StatusUnauthorized && status != http.StatusBadRequest {
					t.Errorf("a refresh token is answered %d", status)
				}
			}
			t.Logf("all dead within %v", time.Since(began).Round(time.Millisecond))
			if got := survivor.tryLogin(t, "alice", alicesNewPassword); got != change.login {
				t.Errorf("with the new password alice logs in with %d, want %d", got, change.login)
			}
		})
	}
}

// changeAndDie asks for a change, and kills authd as soon as it is made.
func (s *server) changeAndDie(t *testing.T, c accountChange) {
	t.Helper()
	admin := s.adminClient(t)
	before, err := admin.User(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- c.make(context.WithoutCancel(t.Context()), admin) }()
	for deadline := time.Now().Add(time.Minute); ; wait(t, 5*time.Millisecond) {
		now, err := admin.User(t.Context(), "alice")
		var refusal *adminclient.Error
		gone := errors.As(err, &refusal) && refusal.Status == http.StatusNotFound
		if err != nil && !gone {
			t.Fatal(err)
		}
		if c.made(now, gone, before) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the change is not made")
		}
	}
	s.kill()
	if err := <-answered; err == nil {
		t.Fatal("the change was acknowledged, with no way to Redis")
	}
}

func (s *server) adminClient(t *testing.T) *adminclient.Client {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(s.Data, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := adminclient.New(adminclient.Config{URL: s.Admin, Token: strings.TrimSpace(string(token))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitAnswer asks until the answer is what it must become.
func (s *server) awaitAnswer(t *testing.T, what string, want int, ask func() int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; wait(t, 20*time.Millisecond) {
		got := ask()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still answered %d, want %d", what, got, want)
		}
	}
}

// A change by command, with no server running, ends the sessions before the command does.
func TestChangesWithoutServerEndSessions(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	const issuer = "http://127.0.0.1:1"
	off := func(stdin string, args ...string) {
		t.Helper()
		if out, err := command(t.Context(), stdin, append(args, "--data", data, "--admin-listen", "127.0.0.1:1")...); err != nil {
			t.Fatalf("authd %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	s := serve(t, data, "--issuer", issuer)
	s.authd(t, alicesPassword+"\n", "user", "add", "alice")
	for _, c := range []struct{ password, command, input string }{
		{alicesPassword, "passwd", alicesNewPassword + "\n"},
		{alicesNewPassword, "remove", ""},
	} {
		g := s.login(t, "alice", c.password)
		s.terminate(t)
		off(c.input, "user", c.command, "alice")
		s = serve(t, data, "--issuer", issuer)
		if got := s.verify(t, g.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("after user %s an access token is answered %d", c.command, got)
		}
	}
}
