package middleware_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// An online route learns of a revocation from the issuer before the feed has brought it.
func TestOnlineAsksTheIssuer(t *testing.T) {
	issuer := newIssuer(t)
	guard := newGuard(t, issuer.URL, middleware.Options{})
	raw := issuer.Mint(token.Claims{SessionID: "s1"})
	if w := ask(guard, []string{"Bearer " + raw}, middleware.Online()); w.Code != http.StatusOK || w.Body.String() != "alice" {
		t.Errorf("a good token: %d %s", w.Code, w.Body)
	}
	issuer.Revoke(revocation.Session, "s1")
	if status := statusOf(guard, raw, middleware.Online()); status != http.StatusUnauthorized {
		t.Errorf("after the revocation: %d", status)
	}
}

// Only the issuer's own words count; whatever else answers in its place neither accepts nor refuses.
func TestOnlineWithAConfusedIssuer(t *testing.T) {
	issuer := newIssuer(t)
	verify := &intercept{path: "/v1/verify"}
	guard := newGuard(t, issuer.URL, middleware.Options{
		Client: &http.Client{Transport: verify}, OnlineTimeout: 50 * time.Millisecond,
	})
	raw := issuer.Mint(token.Claims{SessionID: "s1"})
	about := func(session string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Auth-Session", session)
			w.WriteHeader(status)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    int
	}{
		"accepts":         {about("s1", 200), 200},
		"another session": {about("s2", 200), 503},
		"a page":          {answer(200, "<html>Welcome</html>"), 503},
		"no content":      {about("s1", 204), 503},
		"sends elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/verify" {
				http.Redirect(w, r, "/elsewhere/v1/verify", http.StatusFound)
				return
			}
			about("s1", 200)(w, r)
		}, 503},
		"a gateway's 401": {answer(401, "who are you?"), 503},
		"another challenge": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(401)
		}, 503},
		"refuses": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="authd", error="invalid_token"`)
			w.WriteHeader(401)
		}, 401},
		"forbids": {answer(403, ""), 503},
		"fails":   {answer(500, ""), 503},
		"hangs":   {hang, 503},
	} {
		verify.now(c.handler)
		if status := statusOf(guard, raw, middleware.Online()); status != c.want {
			t.Errorf("an issuer that %s: %d, want %d", name, status, c.want)
		}
	}
}

// The feed is not needed for a yes, and is enough for a no.
func TestOnlineWithoutTheFeed(t *testing.T) {
	issuer := newIssuer(t)
	feed := &intercept{path: "/v1/revocations"}
	feed.now(answer(http.StatusInternalServerError, ""))
	guard := newGuard(t, issuer.URL, middleware.Options{Lazy: true, Client: &http.Client{Transport: feed}})
	raw := issuer.Mint(token.Claims{})
	eventually(t, http.StatusOK, func() int { return statusOf(guard, raw, middleware.Online()) })
	if status := statusOf(guard, raw); status != http.StatusServiceUnavailable {
		t.Errorf("a closed route: %d", status)
	}
}

func TestOnlineBelievesTheFeedToo(t *testing.T) {
	issuer := newIssuer(t)
	verify := &intercept{path: "/v1/verify"}
	verify.now(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Auth-Session", "s1") })
	guard := newGuard(t, issuer.URL, middleware.Options{Client: &http.Client{Transport: verify}})
	raw := issuer.Mint(token.Claims{SessionID: "s1"})
	if status := statusOf(guard, raw, middleware.Online()); status != http.StatusOK {
		t.Errorf("before the revocation: %d", status)
	}
	issuer.Revoke(revocation.Session, "s1")
	eventually(t, http.StatusUnauthorized, func() int { return statusOf(guard, raw, middleware.Online()) })
}

// The issuer is sent the token of the request, and only tokens that are good as far as can be told here.
func TestOnlineAsksAboutGoodTokensOnly(t *testing.T) {
	issuer, other := newIssuer(t), newIssuer(t)
	verify := &intercept{path: "/v1/verify"}
	var asked []string
	verify.now(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		w.Header().Set("X-Auth-Session", "s1")
	})
	guard := newGuard(t, issuer.URL, middleware.Options{Client: &http.Client{Transport: verify}})
	for _, raw := range []string{
		"garbage", other.Mint(token.Claims{}), issuer.Mint(token.Claims{Audience: []string{"billing"}}),
	} {
		if status := statusOf(guard, raw, middleware.Online()); status != http.StatusUnauthorized {
			t.Errorf("have %d", status)
		}
	}
	good := issuer.Mint(token.Claims{SessionID: "s1"})
	if status := statusOf(guard, good, middleware.Online()); status != http.StatusOK {
		t.Errorf("have %d", status)
	}
	if len(asked) != 1 || asked[0] != "Bearer "+good {
		t.Errorf("the issuer was asked %d times", len(asked))
	}
}
