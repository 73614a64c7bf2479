package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// explain asks about a token, and wants the answer to hold no part of it.
func (e *env) explain(raw string) adminapi.Explanation {
	e.t.Helper()
	x, err := e.client().Explain(e.t.Context(), raw)
	must(e.t, err)
	answer, err := json.Marshal(x)
	must(e.t, err)
	for _, part := range strings.Split(raw, ".") {
		if len(part) > 12 && strings.Contains(string(answer), part) {
			e.t.Errorf("the answer holds a part of the token: %s", answer)
		}
	}
	var names []string
	for _, c := range x.Checks {
		names = append(names, c.Name)
	}
	var want []string
	for _, c := range token.Checks() {
		want = append(want, string(c))
	}
	if !slices.Equal(names, want) || x.Summary == "" || time.Since(x.At) > time.Minute {
		e.t.Errorf("explained as %s", answer)
	}
	return x
}

// notPassed lists the checks with another result.
func notPassed(x adminapi.Explanation) string {
	var list []string
	for _, c := range x.Checks {
		if c.Result != "passed" {
			list = append(list, c.Name+":"+c.Result)
		}
	}
	return strings.Join(list, " ")
}

// onAxis returns what an explanation says about one axis.
func onAxis(t *testing.T, x adminapi.Explanation, kind string) adminapi.TokenRevocation {
	t.Helper()
	i := slices.IndexFunc(x.Revocations, func(r adminapi.TokenRevocation) bool { return r.Kind == kind })
	if i < 0 || len(x.Revocations) != 6 {
		t.Fatalf("axes %+v", x.Revocations)
	}
	return x.Revocations[i]
}

func TestExplainGoodToken(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	x := e.explain(g.AccessToken)
	if x.Verdict != "accepted" || x.Reason != "" || !x.Authentic || notPassed(x) != "" || !x.Mirror.Fresh || x.Mirror.AsOf == nil {
		t.Errorf("explained as %+v", x)
	}
	if x.Claims == nil || x.Claims.Subject != e.alice.Subject || x.Claims.ExpiresAt == nil || !slices.Equal(x.Claims.Audience, []string{"authd"}) {
		t.Errorf("claims %+v", x.Claims)
	}
	if x.Key == nil || x.Key.State != "active" || x.Key.Algorithm != "ES256" || x.Key.Until == nil || !x.Key.Until.After(x.At) || x.Key.AsOf == nil {
		t.Errorf("key %+v", x.Key)
	}
	if s := x.Session; s == nil || s.State != "live" || s.ID != g.SessionID || s.IdleUntil == nil || s.AbsoluteUntil == nil || s.EndedAt != nil {
		t.Errorf("session %+v", s)
	}
	for _, r := range x.Revocations {
		if r.Result != "none" || r.WrittenAt != nil || (r.ID == "") != (r.Kind == "all") {
			t.Errorf("revocation %+v", r)
		}
	}
}

// Each axis is told apart, with its entry, and when that was written.
func TestExplainRevokedToken(t *testing.T) {
	for kind, want := range map[string]struct{ session, key string }{
		"jti": {"live", "active"}, "sid": {"ended", "active"}, "sub": {"ended", "active"},
		"client_id": {"cut_off", "active"}, "kid": {"live", "revoked"}, "all": {"cut_off", "active"},
	} {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t)
			g := e.loginAlice()
			before := e.explain(g.AccessToken)
			id := map[string]string{
				"jti": before.Claims.ID, "sid": g.SessionID, "sub": e.alice.Subject, "client_id": before.Claims.ClientID,
				"kid": before.Key.ID,
			}[kind]
			began := time.Now().Truncate(time.Millisecond)
			must(t, e.client().Revoke(t.Context(), kind, id))
			await(t, "change of the ring", func() bool { return e.explain(g.AccessToken).Key.State == want.key })
			x := e.explain(g.AccessToken)
			if x.Verdict != "refused" || x.Session.State != want.session || !strings.Contains(notPassed(x), "revocation:failed") {
				t.Errorf("explained as %+v, session %+v", x, x.Session)
			}
			if want.key == "active" && (notPassed(x) != "revocation:failed" || x.Reason != "revoked") {
				t.Errorf("not passed: %s", notPassed(x))
			}
			r := onAxis(t, x, kind)
			if r.Result != "hit" || r.WrittenBy != "heard" || r.WrittenAt.Before(began) || r.WrittenAt.After(x.At) ||
				!r.Expires.After(x.At) || (r.NotBefore != nil) != (kind == "sub" || kind == "client_id" || kind == "all") {
				t.Errorf("axis %+v, asked at %v", r, began)
			}
			if after := e.loginAlice(); want.key == "active" && notPassed(e.explain(after.AccessToken)) != "" {
				t.Errorf("a new token is not explained as good: %s", notPassed(e.explain(after.AccessToken)))
			}
		})
	}
}

// Of what was heard of late, the record of the session and the cut-off tell when it was written; of a jti nothing does.
func TestExplainWhatWasNotHeard(t *testing.T) {
	late := revocation.NewMirror(revocation.MirrorConfig{}) // never filled, so that whatever it holds may be old
	e := newEnv(t, options{admin: func(c *httpapi.AdminConfig) { c.Mirror = late }})
	g := e.loginAlice()
	claims := e.explain(g.AccessToken).Claims
	must(t, e.sessions.EndSessions(t.Context(), sessionID(t, g.SessionID)))
	expires := time.Now().Add(time.Hour).Unix()
	cutoff := time.Now().Add(time.Second).Unix()
	late.Merge(
		revocation.Entry{Kind: revocation.Token, ID: revocation.IDOf(revocation.Token, claims.ID), Expires: expires},
		revocation.Entry{Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, g.SessionID), Expires: expires},
		revocation.Entry{Kind: revocation.Everything, NotBefore: cutoff, Expires: expires},
		revocation.Entry{
			Kind: revocation.Subject, ID: revocation.IDOf(revocation.Subject, claims.Subject), NotBefore: 1, Expires: expires,
		},
	)
	x := e.explain(g.AccessToken)
	if r := onAxis(t, x, "jti"); r.Result != "hit" || r.WrittenAt != nil || r.WrittenBy != "" {
		t.Errorf("jti: %+v", r)
	}
	if r := onAxis(t, x, "sid"); r.Result != "hit" || r.WrittenBy != "session" || !r.WrittenAt.Equal(*x.Session.EndedAt) {
		t.Errorf("sid: %+v", r)
	}
	if r := onAxis(t, x, "all"); r.Result != "hit" || r.WrittenBy != "cutoff" || r.WrittenAt.Unix() != cutoff {
		t.Errorf("all: %+v", r)
	}
	if r := onAxis(t, x, "sub"); r.Result != "passed" || r.NotBefore.Unix() != 1 {
		t.Errorf("sub: %+v", r)
	}
	if x.Mirror.Fresh || x.Mirror.AsOf != nil {
		t.Errorf("mirror %+v", x.Mirror)
	}
}

// Whatever is no token of this issuer gets a clear answer.
func TestExplainWhatIsNoToken(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	cut := strings.LastIndexByte(g.AccessToken, '.')
	foreign := "eyJhbGciOiJSUzI1NiIsImtpZCI6Imdvb2dsZS0xIiwidHlwIjoiSldUIn0." + // RS256, google-1, JWT
		"eyJpc3MiOiJodHRwczovL2FjY291bnRzLmdvb2dsZS5jb20iLCJzdWIiOiJcdTAwMWJbMm0ifQ.c2lnbmF0dXJl"
	for name, tt := range map[string]struct{ raw, reason, notPassed, says string }{
		"garbage": {"gar\x1bbage", "malformed", "form:failed", "form"},
		"refresh": {g.RefreshToken, "malformed", "form:failed", "refresh token"},
		"too long": {g.AccessToken + strings.Repeat("a", 8<<10), "malformed",
			"size:failed form:not_reached", "size"},
		"cut off":          {g.AccessToken[:cut+41], "signature", "signature:failed", "signature"},
		"another issuer's": {foreign, "malformed", "header:failed", "issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			x := e.explain(tt.raw)
			if x.Verdict != "refused" || x.Reason != tt.reason || x.Authentic || !strings.HasPrefix(notPassed(x), tt.notPassed) ||
				!strings.Contains(x.Summary, tt.says) {
				t.Errorf("explained as %+v", x)
			}
		})
	}
	x := e.explain(foreign)
	if x.Key == nil || x.Key.State != "unknown" || x.Session != nil || x.Claims.Subject != "\x1b[2m" || x.Claims.Issuer != "https://accounts.google.com" {
		t.Errorf("another issuer's: %+v, key %+v, claims %+v", x, x.Key, x.Claims)
	}
	for _, c := range x.Checks {
		if strings.Contains(c.Detail, "\x1b") || c.Name == "key" && !strings.Contains(c.Detail, "another issuer") {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	_, err := e.client().Explain(t.Context(), strings.Repeat("a", 10<<10+1))
	wantRefusal(t, err, http.StatusBadRequest, "bad_request")
	if strings.Contains(e.log.String(), g.AccessToken[cut:]) {
		t.Error("the log holds a signature")
	}
}

// A claim that is refused may hold anything, and is cut.
func TestExplainCutsClaims(t *testing.T) {
	e := newEnv(t)
	g := e.loginAlice()
	raw, _, err := e.issuer.Issue(t.Context(), token.Claims{Subject: "a", ClientID: "b", Scope: g.AccessToken})
	must(t, err)
	x, err := e.client().Explain(t.Context(), raw)
	must(t, err)
	if len(x.Claims.Scope) > 260 || strings.Contains(x.Claims.Scope, g.AccessToken[strings.LastIndexByte(g.AccessToken, '.'):]) {
		t.Errorf("scope %q", x.Claims.Scope)
	}
}

func sessionID(t *testing.T, text string) session.ID {
	t.Helper()
	id, err := session.ParseID(text)
	must(t, err)
	return id
}
