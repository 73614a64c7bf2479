package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"
)

// load logs in, refreshes and verifies all the time.
type load struct {
	t         *testing.T
	front     *front
	verifiers []*fireVerifier

	issued, rejected atomic.Int64

	mu       sync.Mutex
	tokens   map[*fireToken]bool // that have not expired
	answered map[string]int      // to logins and refreshes
}

// fireToken is an access token and what is known of it.
type fireToken struct {
	raw, kid string
	received time.Time
	expires  time.Time
}

func newLoad(t *testing.T, f *front) *load {
	t.Helper()
	return &load{
		t: t, front: f, tokens: make(map[*fireToken]bool), answered: make(map[string]int),
		verifiers: []*fireVerifier{oidcVerifier(f), joseVerifier(t, f), guardVerifier(t, f), forwardAuth(f)},
	}
}

// use keeps sessions at one authd.
func (l *load) use(s *slot) {
	ctx := l.t.Context()
	var lives sync.WaitGroup
	defer lives.Wait()
	var session grant
	doubt := false // whether an answer was lost, and with it what became of the session
	for n := 0; pauseFor(ctx, 250*time.Millisecond); n++ {
		server := s.current()
		if server == nil {
			continue
		}
		const refreshes = 10 // in a session
		if n%refreshes == 0 {
			session = grant{}
		}
		path, body := "/v1/refresh", map[string]string{"refresh_token": session.RefreshToken}
		if session.RefreshToken == "" {
			path, body = "/v1/login", map[string]string{"username": fireUser(s.n), "password": alicesPassword}
		}
		var g grant
		status, err := l.front.call(ctx, 3*time.Second, http.MethodPost, server.URL+path, body, &g)
		l.answer(path, status, err)
		switch {
		case ctx.Err() != nil:
		case err != nil || status == http.StatusServiceUnavailable:
			doubt = true
		case status == http.StatusOK:
			session, doubt = g, false
			lives.Go(func() { l.live(g.AccessToken) })
		case status == http.StatusUnauthorized && doubt && path == "/v1/refresh":
			session, doubt = grant{}, false // the retry came later than its grace
		default:
			l.t.Errorf("authd %d answers %d to %s", s.n, status, path)
			session = grant{}
		}
	}
}

func (l *load) answer(path string, status int, err error) {
	what := fmt.Sprintf("%s %d", path, status)
	if err != nil {
		what = path + " none"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered[what]++
}

func (l *load) answers() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(l.answered)) {
		list = append(list, fmt.Sprintf("%s: %d", what, l.answered[what]))
	}
	return list
}

// live has a token verified by everybody, from when it is new until it is about to expire.
func (l *load) live(raw string) {
	tok, err := readToken(raw)
	if err != nil {
		l.t.Errorf("reading a token: %v", err)
		return
	}
	l.issued.Add(1)
	l.mu.Lock()
	l.tokens[tok] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.tokens, tok)
	}()
	const looks = 4
	const last = 300 * time.Millisecond // before the end: a verifier may be slow
	for i := range looks {
		at := tok.received.Add(tok.expires.Add(-last).Sub(tok.received) * time.Duration(i) / (looks - 1))
		if !pauseFor(l.t.Context(), time.Until(at)) {
			return
		}
		var all sync.WaitGroup
		for _, v := range l.verifiers {
			all.Go(func() { l.check(v, tok) })
		}
		all.Wait()
	}
	pauseFor(l.t.Context(), time.Until(tok.expires.Add(fireLeeway)))
}

func (l *load) check(v *fireVerifier, tok *fireToken) {
	held := v.holds != nil && v.holds(tok.kid)
	err := v.verify(l.t.Context(), tok.raw)
	switch {
	case err == nil:
		v.verified.Add(1)
	case l.t.Context().Err() != nil || !time.Now().Before(tok.expires):
	case !errors.Is(err, errOutage):
		l.rejected.Add(1)
		l.t.Errorf("%s rejects a valid token of key %s, %v old, %v before its end: %v",
			v.name, tok.kid, time.Since(tok.received), time.Until(tok.expires), err)
	case held && v.holds(tok.kid):
		l.t.Errorf("%s cannot tell of a token whose key %s it holds: %v", v.name, tok.kid, err)
	default:
		v.unavailable.Add(1)
	}
}

// alive returns the tokens that were there before one time and live beyond another.
func (l *load) alive(before, beyond time.Time) (list []*fireToken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for tok := range l.tokens {
		if tok.received.Before(before) && tok.expires.After(beyond) {
			list = append(list, tok)
		}
	}
	return list
}

// readToken reads a token without authd's code.
func readToken(raw string) (*fireToken, error) {
	parsed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	var c struct {
		Expires int64 `json:"exp"`
	}
	if err := json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &c); err != nil {
		return nil, err
	}
	return &fireToken{raw, parsed.Signatures[0].Header.KeyID, time.Now(), time.Unix(c.Expires, 0)}, nil
}

// fireUser is the user who logs in at the authd of a slot.
func fireUser(i int) string { return "user" + strconv.Itoa(i) }

// fireUsers is a file of users whose passwords cost little.
func fireUsers(t *testing.T) (path string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(alicesPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range fireReplicas {
		lines.WriteString(fireUser(i) + ":" + string(hash) + "\n")
	}
	path = filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
