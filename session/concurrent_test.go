package session_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
)

// Refreshes and a logout at once: whichever way they fall, after the acknowledgement nothing of the session works.
func TestRefreshAgainstLogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t)
		defer b.file.Close() // inside the bubble, for its goroutine
		won, lost := 0, 0
		for range 20 {
			g, err := b.service.Login(t.Context(), session.LoginRequest{Username: "alice", Password: password})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // past the grace
			var wg sync.WaitGroup
			var mu sync.Mutex
			tokens := map[string]bool{g.RefreshToken: true}
			for range 6 {
				wg.Go(func() {
					next, err := b.service.Refresh(t.Context(), g.RefreshToken, desktop)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
						tokens[next.RefreshToken] = true
					case errors.Is(err, session.ErrInvalidGrant) && !errors.Is(err, session.ErrReuse):
						lost++
					default:
						t.Errorf("refresh beside a logout: %v", err)
					}
				})
			}
			wg.Go(func() {
				if err := b.service.Logout(t.Context(), "sub-alice", g.Session.ID, session.LogoutSession); err != nil {
					t.Errorf("logout beside refreshes: %v", err)
				}
			})
			wg.Wait()
			if len(tokens) > 2 {
				t.Errorf("concurrent refreshes had %d successors", len(tokens)-1)
			}
			for raw := range tokens {
				if _, err := b.service.Refresh(t.Context(), raw, desktop); !errors.Is(err, session.ErrInvalidGrant) {
					t.Errorf("refresh after an acknowledged logout: %v", err)
				}
			}
			sid := revocation.IDOf(revocation.Session, g.Session.ID.String())
			if err := b.mirror.Check(t.Context(), revocation.Claims{Session: sid}); !errors.Is(err, revocation.ErrRevoked) {
				t.Errorf("the session's access tokens: %v", err)
			}
		}
		t.Logf("%d refreshes came before the logout, %d after", won, lost)
	})
}
