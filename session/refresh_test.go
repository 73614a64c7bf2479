package session_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
)

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	w.accounts.set(identity.Account{Subject: "sub-alice", Username: "alice", Roles: []string{"manager"}})
	next, err := w.service.Refresh(t.Context(), g.RefreshToken, session.Use{Address: "192.0.2.9", UserAgent: "desktop/1"})
	if err != nil {
		t.Fatal(err)
	}
	if next.Outcome != session.Rotated || next.RefreshToken == g.RefreshToken || next.Claims.ID == g.Claims.ID {
		t.Errorf("%v: the tokens are not new", next.Outcome)
	}
	if next.Session.ID != g.Session.ID || next.Claims.SessionID != g.Claims.SessionID ||
		!next.Claims.AuthTime.Equal(g.Claims.AuthTime) || next.Claims.Scope != "read" || next.Claims.ClientID != "web" {
		t.Errorf("the session changed: %+v", next.Claims)
	}
	if !slices.Equal(next.Claims.Roles, []string{"manager"}) {
		t.Errorf("roles %v; want those that the account has now", next.Claims.Roles)
	}
	if next.Session.Address != "192.0.2.9" || !next.Session.LastUsedAt.Equal(w.clock.Now()) {
		t.Errorf("last use was not recorded: %+v", next.Session)
	}
	w.wantLive(next)
}

// F5: the answer is lost, also by a crash right after the commit; the retry gets the same successor, byte for byte.
func TestRetryAfterCrashGetsTheSameSuccessor(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	lost := w.refresh(g.RefreshToken)
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.clock.Advance(20 * time.Second)
	retried := w.refresh(g.RefreshToken)
	if retried.Outcome != session.Replayed || retried.RefreshToken != lost.RefreshToken {
		t.Errorf("%v: the retry got another successor", retried.Outcome)
	}
	w.wantLive(lost)
	w.wantLive(retried)
}

func TestForgedTokensNeverReachTheStore(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	const prefix = "authd_rt_"
	raw, err := base64.RawURLEncoding.DecodeString(g.RefreshToken[len(prefix):])
	if err != nil {
		t.Fatal(err)
	}
	w.store.calls = 0
	for i := range raw {
		for bit := range 8 {
			forged := bytes.Clone(raw)
			forged[i] ^= 1 << bit
			s := prefix + base64.RawURLEncoding.EncodeToString(forged)
			w.wantRefreshError(s, session.ErrInvalidGrant)
			if _, _, err := w.service.InspectRefreshToken(t.Context(), s); !errors.Is(err, session.ErrInvalidGrant) {
				t.Errorf("inspect: %v", err)
			}
			if err := w.service.RevokeRefreshToken(t.Context(), s); err != nil {
				t.Errorf("revoke: %v; RFC 7009 section 2.2 wants success", err)
			}
		}
	}
	for _, s := range []string{"", "x", prefix, g.AccessToken, g.RefreshToken + "A", g.RefreshToken[:50]} {
		w.wantRefreshError(s, session.ErrInvalidGrant)
	}
	if w.store.calls != 0 || len(w.revocations.added) != 0 {
		t.Errorf("%d calls reached the store, %d entries were written", w.store.calls, len(w.revocations.added))
	}
	w.wantLive(g)
}

func TestReuseEndsTheSession(t *testing.T) {
	w := newWorld(t)
	stolen, other := w.login("alice"), w.login("alice")
	w.past()
	second := w.refresh(stolen.RefreshToken)
	w.past()
	third := w.refresh(second.RefreshToken)
	w.wantRefreshError(stolen.RefreshToken, session.ErrReuse)
	for _, g := range []session.Grant{stolen, second, third} {
		w.wantDead(g)
	}
	w.wantLive(other)
	if n := strings.Count(w.log.String(), "refresh token reused"); n != 1 {
		t.Errorf("%d log entries about the reuse, want one", n)
	}
	if len(w.revocations.added) != 1 || len(w.revocations.early) > 0 {
		t.Errorf("entries written: %v; want one, after the record ended", w.revocations.added)
	}
}

// The revocation after a reuse fails, or the process dies in between. Whoever presents any token of the chain next has
// it finished, once.
func TestReuseIsFinishedLater(t *testing.T) {
	w := newWorld(t)
	stolen := w.login("alice")
	w.past()
	second := w.refresh(stolen.RefreshToken)
	w.past()
	w.revocations.err = errDown
	w.wantRefreshError(stolen.RefreshToken, session.ErrUnavailable)
	w.wantRefreshError(second.RefreshToken, session.ErrUnavailable)
	w.revocations.err = nil
	for range 3 {
		w.wantRefreshError(second.RefreshToken, session.ErrInvalidGrant)
	}
	w.wantDead(second)
	if len(w.revocations.added) != 1 {
		t.Errorf("%d entries written; want one, however often the token is presented", len(w.revocations.added))
	}
}

// A thief who hangs up must not keep the access token.
func TestReuseIsFinishedWithoutTheCaller(t *testing.T) {
	w := newWorld(t)
	stolen := w.login("alice")
	w.past()
	second := w.refresh(stolen.RefreshToken)
	w.past()
	ctx, hangUp := context.WithCancel(t.Context())
	w.store.afterStep = hangUp
	if _, err := w.service.Refresh(ctx, stolen.RefreshToken, desktop); !errors.Is(err, session.ErrReuse) {
		t.Errorf("refresh: %v", err)
	}
	w.wantDead(second)
}

// A client that began its session at the user's browser is not somewhere else because it does not call itself that browser.
func TestReplayByAClientIsNotLogged(t *testing.T) {
	w := newWorld(t)
	browser := w.login("alice")
	g := w.begin(w.authenticate("alice"), session.BeginRequest{
		Parent: browser.Session.ID, ClientID: "wiki", Address: "203.0.113.5", UserAgent: "Browser/1",
	})
	w.past()
	use := session.Use{Address: "10.0.0.5", UserAgent: "wiki/1", ClientID: "wiki"}
	for range 2 {
		if _, err := w.service.Refresh(t.Context(), g.RefreshToken, use); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(w.log.String(), "elsewhere") {
		t.Errorf("a retry of the client was logged: %s", w.log)
	}
	use.Address = "198.51.100.7"
	if _, err := w.service.Refresh(t.Context(), g.RefreshToken, use); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.log.String(), "elsewhere") {
		t.Error("a replay from another address was not logged")
	}
}

func TestReplayFromElsewhereIsLogged(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	w.refresh(g.RefreshToken)
	w.refresh(g.RefreshToken)
	if strings.Contains(w.log.String(), "elsewhere") {
		t.Errorf("a retry from the same place was logged: %s", w.log)
	}
	if _, err := w.service.Refresh(t.Context(), g.RefreshToken, session.Use{Address: "203.0.113.5", UserAgent: "x/1"}); err != nil {
		t.Fatal(err)
	}
	log := w.log.String()
	if !strings.Contains(log, "replayed from elsewhere") || !strings.Contains(log, "203.0.113.5") ||
		!strings.Contains(log, `"last_address":"192.0.2.1"`) {
		t.Errorf("a replay from another address was not logged: %s", log)
	}
}

// Nothing but one step of the store, and nobody is logged out who comes with a token of the first version, which costs a
// look at the store more.
func TestRefreshIsOneStep(t *testing.T) {
	w := newWorld(t)
	current := w.login("alice")
	old := w.login("alice")
	old.RefreshToken = w.forge(old, "")
	for generation := range 3 {
		w.past()
		w.store.calls = 0
		current = w.refresh(current.RefreshToken)
		if w.store.calls != 1 {
			t.Errorf("%d calls of the store, want one", w.store.calls)
		}
		w.store.calls = 0
		old = w.refresh(old.RefreshToken)
		if want := map[bool]int{true: 2, false: 1}[generation == 0]; w.store.calls != want {
			t.Errorf("refresh %d that began with a token of the first version: %d calls of the store, want %d",
				generation+1, w.store.calls, want)
		}
	}
	w.wantLive(current)
	w.wantLive(old)
}

// forge makes the current refresh token of a grant's session, with another subject: whoever has a MAC key can.
func (w *world) forge(g session.Grant, subject string) string {
	version := byte(1)
	if subject != "" {
		version = 2
	}
	b := binary.BigEndian.AppendUint32([]byte{version}, 1)
	b = append(b, g.Session.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, g.Session.Chain.Generation)
	b = append(b, subject...)
	h := hmac.New(sha256.New, w.macKeys.keys[1])
	h.Write([]byte("authd_rt_"))
	h.Write(b)
	return "authd_rt_" + base64.RawURLEncoding.EncodeToString(h.Sum(b))
}

// A stolen MAC key does not buy the roles of another account.
func TestTokenOfAnotherSubject(t *testing.T) {
	w := newWorld(t)
	g := w.login("bob")
	if got := w.forge(g, "sub-bob"); got != g.RefreshToken {
		t.Fatalf("the test forges %s, the service makes %s", got, g.RefreshToken)
	}
	w.past()
	forged := w.forge(g, "sub-alice")
	if _, _, err := w.service.InspectRefreshToken(t.Context(), forged); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("inspect: %v", err)
	}
	w.wantRefreshError(forged, session.ErrInvalidGrant)
	w.wantLive(w.refresh(g.RefreshToken))
}

// R5: a store may have lost an end, so it is not asked while nobody can tell whether there was one.
func TestRefreshWaitsForTheMirror(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	w.patient.bound = revocation.DefaultMaxStaleness
	w.store.calls = 0
	w.wantRefreshError(g.RefreshToken, session.ErrUnavailable)
	if w.store.calls > 0 {
		t.Errorf("the store was asked %d times", w.store.calls)
	}
	w.fill(w.mirror)
	if next := w.refresh(g.RefreshToken); next.Outcome != session.Rotated {
		t.Errorf("once the mirror is fresh: %v", next.Outcome)
	}
}

// The holder of an old token cannot make work for every verifier, whatever has become of the account.
func TestEndedSessionOfDisabledAccountIsRevokedOnce(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	w.accounts.set(identity.Account{Subject: "sub-alice", Username: "alice", Disabled: true})
	for range 5 {
		w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
		w.clock.Advance(time.Second)
	}
	if len(w.revocations.added) != 1 {
		t.Errorf("%d entries written; want one, however often the token is presented", len(w.revocations.added))
	}
	w.wantDead(g)
}

func TestRefreshChecksTheAccount(t *testing.T) {
	for name, change := range map[string]func(a *accounts){
		"disabled": func(a *accounts) {
			a.set(identity.Account{Subject: "sub-alice", Username: "alice", Disabled: true})
		},
		"removed": func(a *accounts) { delete(a.byName, "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := w.login("alice")
			w.past()
			change(w.accounts)
			if _, _, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
				t.Errorf("inspect: %v", err)
			}
			w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
			w.wantDead(g)
		})
	}
}

// An outage of what a refresh needs must not count against the session: however often and long a client tries, it goes
// on where it was.
func TestOutageDoesNotEndSessions(t *testing.T) {
	for name, outage := range map[string]func(w *world, err error){
		"accounts": func(w *world, err error) { w.accounts.err = err },
		"MAC keys": func(w *world, err error) { w.macKeys.err = err },
		"mirror": func(w *world, err error) {
			w.patient.bound = forever
			if err != nil {
				w.patient.bound = 0
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := w.login("alice")
			w.past()
			outage(w, errDown)
			for range 20 {
				w.wantRefreshError(g.RefreshToken, session.ErrUnavailable)
				w.clock.Advance(10 * time.Second)
			}
			outage(w, nil)
			if next := w.refresh(g.RefreshToken); next.Outcome != session.Rotated {
				t.Errorf("after the outage: %v", next.Outcome)
			}
		})
	}
}

// R5: a store that has lost an end, in a failover, is not believed where the revocation is still known, and the session ends
// again: it would come back for good when the revocation expires.
func TestLostEndIsMadeGood(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	w.mirror.Merge(revocation.Entry{
		Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, g.Session.ID.String()),
		Expires: w.clock.Now().Add(time.Hour).Unix(),
	})
	if _, _, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("inspect: %v", err)
	}
	w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
	w.clock.Advance(2 * time.Hour)
	w.file.Close()
	w.open()
	w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
}

// Cut-offs of a client and of everything reach sessions that do not refresh for a long time, and spare those that began
// later.
func TestCutoffEndsSessionsAtTheirNextRefresh(t *testing.T) {
	for name, cutOff := range map[string]func(w *world) error{
		"client":     func(w *world) error { return w.service.EndClient(w.Context(), "web") },
		"everything": func(w *world) error { return w.service.EndEverything(w.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old := w.login("alice")
			w.past()
			if err := cutOff(w); err != nil {
				t.Fatal(err)
			}
			newer := w.login("alice")
			if _, _, err := w.service.InspectRefreshToken(t.Context(), old.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
				t.Errorf("inspect: %v", err)
			}
			w.clock.Advance(5 * 24 * time.Hour)
			w.file.Close() // so that only what is kept for so long is known
			w.open()
			w.wantRefreshError(old.RefreshToken, session.ErrInvalidGrant)
			w.wantLive(w.refresh(newer.RefreshToken))
			if list, err := w.service.List(t.Context(), "sub-alice"); err != nil || len(list) != 1 {
				t.Errorf("list: %v, %v; want the newer session", list, err)
			}
		})
	}
}

// A cut-off of another client does no harm.
func TestCutoffOfAnotherClient(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	if err := w.service.EndClient(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	w.past()
	w.wantLive(w.refresh(g.RefreshToken))
}

// R3: a token whose making was held up for longer than revocations outlive tokens is not handed out.
func TestLateTokenIsNotHandedOut(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.past()
	w.tokens.during = func() { w.clock.Advance(2 * time.Minute) }
	w.wantRefreshError(g.RefreshToken, session.ErrUnavailable)
}

// R3: a refresh decided before a logout, whose token is signed after it and as late as allowed.
func TestLogoutCoversARefreshUnderWay(t *testing.T) {
	for _, scope := range []session.LogoutScope{session.LogoutSession, session.LogoutAll} {
		t.Run(string(scope), func(t *testing.T) {
			w := newWorld(t)
			g := w.login("alice")
			w.past()
			w.tokens.during = func() {
				if err := w.service.Logout(t.Context(), "sub-alice", g.Session.ID, scope); err != nil {
					t.Error(err)
				}
				w.clock.Advance(59 * time.Second)
			}
			next, err := w.service.Refresh(t.Context(), g.RefreshToken, desktop)
			if err != nil {
				return // refused: as good
			}
			w.wantDead(next)
			for _, e := range w.revocations.added {
				if dead := next.Claims.ExpiresAt.Add(30 * time.Second); e.Kind.String() == "sid" && e.Expires < dead.Unix() {
					t.Errorf("the entry expires at %d, before the token is dead at %d", e.Expires, dead.Unix())
				}
			}
		})
	}
}

func TestMACKeyRotation(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.macKeys.keys[2], w.macKeys.current = bytes.Repeat([]byte{2}, 32), 2
	w.past()
	next := w.refresh(g.RefreshToken)
	delete(w.macKeys.keys, 1)
	w.past()
	w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
	w.wantLive(w.refresh(next.RefreshToken))
}

func TestExpiredSessionIsRefused(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	w.clock.Advance(8 * 24 * time.Hour)
	w.wantRefreshError(g.RefreshToken, session.ErrInvalidGrant)
	if _, _, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("inspect: %v", err)
	}
	if len(w.revocations.added) > 0 {
		t.Error("an expired session was revoked, though its tokens are long dead")
	}
}

func TestInspectRefreshToken(t *testing.T) {
	w := newWorld(t)
	g := w.login("alice")
	s, expires, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken)
	if err != nil || s.ID != g.Session.ID || !expires.Equal(s.LastUsedAt.Add(7*24*time.Hour)) {
		t.Errorf("%+v, %v, %v", s, expires, err)
	}
	w.past()
	next := w.refresh(g.RefreshToken)
	w.past()
	if _, _, err := w.service.InspectRefreshToken(t.Context(), g.RefreshToken); !errors.Is(err, session.ErrInvalidGrant) {
		t.Errorf("an old generation: %v", err)
	}
	w.wantLive(next) // looking did not end the session
	w.accounts.err = errDown
	if _, _, err := w.service.InspectRefreshToken(t.Context(), next.RefreshToken); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("without accounts: %v", err)
	}
}
