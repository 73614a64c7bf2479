package statuslist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/token"
)

// site is an issuer on the network, with whatever handler the test wants.
type site struct {
	*httptest.Server
	ring     ring
	clock    *clock
	requests atomic.Int32
	handle   atomic.Pointer[http.HandlerFunc]
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{ring: newRing(t), clock: newClock()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		(*s.handle.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) answer(h http.HandlerFunc) { s.handle.Store(&h) }

// serve answers with a list in which the tokens of these indices have a status.
func (s *site) serve(t *testing.T, set map[uint64]statuslist.Status, change ...func(*statuslist.Token)) {
	t.Helper()
	list, err := statuslist.NewList(2, 64)
	must(t, err)
	for i, status := range set {
		must(t, list.Set(i, status))
	}
	now := s.clock.Now()
	tok := statuslist.Token{URI: s.URL + "/l", IssuedAt: now, ExpiresAt: now.Add(3 * time.Minute), TTL: time.Minute, List: list}
	for _, c := range change {
		c(&tok)
	}
	raw, err := statuslist.Sign(t.Context(), s.ring, tok)
	must(t, err)
	s.answer(sends(raw))
}

func sends(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", statuslist.MediaType)
		_, _ = w.Write([]byte(raw))
	}
}

func (s *site) checker(t *testing.T, change ...func(*statuslist.CheckerConfig)) *statuslist.Checker {
	t.Helper()
	c := statuslist.CheckerConfig{
		Issuer: s.URL, Keys: s.ring, Now: s.clock.Now, Wait: 20 * time.Second,
		Limits: statuslist.Limits{TokenBytes: 1 << 16, ListBytes: 1 << 16},
	}
	for _, f := range change {
		f(&c)
	}
	k, err := statuslist.NewChecker(c)
	must(t, err)
	t.Cleanup(k.Close)
	return k
}

func (s *site) claims(index uint64) revocation.Claims {
	return revocation.Claims{StatusURI: s.URL + "/l", StatusIndex: index}
}

func TestCheckerAnswersByTheList(t *testing.T) {
	s := newSite(t)
	s.serve(t, map[uint64]statuslist.Status{1: statuslist.Invalid, 2: statuslist.Suspended, 3: 3})
	k := s.checker(t)
	for index, want := range map[uint64]error{
		0: nil, 1: revocation.ErrRevoked, 2: revocation.ErrRevoked, 3: revocation.ErrRevoked, 63: nil, 64: revocation.ErrUnavailable,
	} {
		if err := k.Check(t.Context(), s.claims(index)); !errors.Is(err, want) {
			t.Errorf("index %d: %v, want %v", index, err, want)
		}
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests for one list", n)
	}
	for _, uri := range []string{"", "http://127.0.0.1:1/l", "https://other.example/l", "file:///etc/passwd", "%"} {
		if err := k.Check(t.Context(), revocation.Claims{StatusURI: uri}); !errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("list %q: %v", uri, err)
		}
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A list that is not exactly the issuer's answer about this list is never gone by: the answer is unavailable.
func TestCheckerRefuses(t *testing.T) {
	s := newSite(t)
	stranger := newRing(t)
	signed := func(ring ring, change func(*statuslist.Token)) string {
		list, err := statuslist.NewList(1, 64)
		must(t, err)
		now := s.clock.Now()
		tok := statuslist.Token{URI: s.URL + "/l", IssuedAt: now, ExpiresAt: now.Add(time.Minute), TTL: time.Second, List: list}
		change(&tok)
		raw, err := statuslist.Sign(t.Context(), ring, tok)
		must(t, err)
		return raw
	}
	as := func(typ string, claims string) string {
		profile, err := token.NewProfile(typ, 1<<20)
		must(t, err)
		raw, err := profile.Sign(t.Context(), s.ring, rawClaims(strings.ReplaceAll(claims, "URL", s.URL+"/l")))
		must(t, err)
		return raw
	}
	const good = `"sub":"URL","iat":1800000000,"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}`
	access, err := token.NewIssuer(token.IssuerConfig{Issuer: s.URL, Audience: []string{"a"}, Keys: s.ring, Now: s.clock.Now})
	must(t, err)
	accessToken, _, err := access.Issue(t.Context(), token.Claims{Subject: "s", ClientID: "c"})
	must(t, err)
	plain := signed(s.ring, func(*statuslist.Token) {})
	for name, h := range map[string]http.HandlerFunc{
		"another's signature": sends(signed(stranger, func(*statuslist.Token) {})),
		"another list":        sends(signed(s.ring, func(t *statuslist.Token) { t.URI += "2" })),
		"expired": sends(signed(s.ring, func(t *statuslist.Token) {
			t.IssuedAt = t.IssuedAt.Add(-time.Hour)
			t.ExpiresAt = t.IssuedAt.Add(time.Minute)
		})),
		"from the future": sends(signed(s.ring, func(t *statuslist.Token) { t.IssuedAt = t.IssuedAt.Add(time.Minute) })),
		"an access token": sends(accessToken),
		"other typ":       sends(as("other+jwt", "{"+good+"}")),
		"no sub":          sends(as("statuslist+jwt", `{"iat":1800000000,"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}`)),
		"no iat":          sends(as("statuslist+jwt", `{"sub":"URL","status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}`)),
		"no list":         sends(as("statuslist+jwt", `{"sub":"URL","iat":1800000000}`)),
		"ttl 0":           sends(as("statuslist+jwt", "{"+good+`,"ttl":0}`)),
		"ttl negative":    sends(as("statuslist+jwt", "{"+good+`,"ttl":-5}`)),
		"ttl text":        sends(as("statuslist+jwt", "{"+good+`,"ttl":"60"}`)),
		"3 bits":          sends(as("statuslist+jwt", `{"sub":"URL","iat":1800000000,"status_list":{"bits":3,"lst":"eNrbuRgAAhcBXQ"}}`)),
		"null":            sends(as("statuslist+jwt", `{"sub":"URL","iat":1800000000,"status_list":null}`)),
		"too large":       sends(plain + strings.Repeat("A", 1<<17)),
		"not a token":     sends("<html>"),
		"empty":           sends(""),
		"other type":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(plain)) },
		"500":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"redirect elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:1/l", http.StatusFound)
		},
		"redirect for ever": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/l", http.StatusFound) },
	} {
		s.answer(h)
		if err := s.checker(t).Check(t.Context(), s.claims(0)); !errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.answer(sends(as("statuslist+jwt", "{"+good+"}")))
	if err := s.checker(t).Check(t.Context(), s.claims(1)); err != nil {
		t.Errorf("what all of these were made of: %v", err)
	}
}

// rawClaims are claims that are written as they are.
type rawClaims string

func (c rawClaims) MarshalJSON() ([]byte, error) { return []byte(c), nil }

// A new list is looked for when the ttl is over, and in the background before; a list holds until its exp.
func TestCheckerKeepsUpToDate(t *testing.T) {
	s := newSite(t)
	s.serve(t, nil)
	k := s.checker(t)
	check := func() error { return k.Check(t.Context(), s.claims(5)) }
	if err := check(); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(47 * time.Second)
	if err := check(); err != nil || s.requests.Load() != 1 {
		t.Fatalf("before the ttl: %v, %d requests", err, s.requests.Load())
	}
	s.serve(t, map[uint64]statuslist.Status{5: statuslist.Invalid})
	s.clock.advance(2 * time.Second)
	if err := check(); err != nil { // and a fetch begins
		t.Fatal(err)
	}
	await(t, "a list fetched in the background", func() bool { return errors.Is(check(), revocation.ErrRevoked) })
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}

	s.serve(t, nil)
	s.clock.advance(time.Minute)
	s.serve(t, nil)
	if err := check(); err != nil {
		t.Errorf("after the ttl: %v", err)
	}

	s.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	s.clock.advance(2*time.Minute + 50*time.Second)
	if err := check(); err != nil {
		t.Errorf("within exp, with a dead issuer: %v", err)
	}
	s.clock.advance(11 * time.Second)
	if err := check(); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("after exp, with a dead issuer: %v", err)
	}
	before := s.requests.Load()
	for range 20 {
		_ = check()
	}
	if n := s.requests.Load(); n > before+1 {
		t.Errorf("%d requests at once to a dead issuer", n-before)
	}
	s.clock.advance(time.Minute)
	s.serve(t, nil)
	if err := check(); err != nil {
		t.Errorf("the issuer is back: %v", err)
	}
}

// An older list, from a server or a cache that lags behind, does not take the place of a newer one.
func TestCheckerNeverGoesBack(t *testing.T) {
	s := newSite(t)
	s.serve(t, map[uint64]statuslist.Status{5: statuslist.Invalid})
	k := s.checker(t)
	if err := k.Check(t.Context(), s.claims(5)); !errors.Is(err, revocation.ErrRevoked) {
		t.Fatal(err)
	}
	s.serve(t, nil, func(t *statuslist.Token) { t.IssuedAt = t.IssuedAt.Add(-10 * time.Second) })
	s.clock.advance(time.Minute)
	if err := k.Check(t.Context(), s.claims(5)); !errors.Is(err, revocation.ErrRevoked) || s.requests.Load() != 2 {
		t.Errorf("%v after %d requests", err, s.requests.Load())
	}
}

// Many checks at once make one request, and none waits longer than it may.
func TestCheckerFetchesOnce(t *testing.T) {
	s := newSite(t)
	release := make(chan struct{})
	s.serve(t, nil)
	answer := *s.handle.Load()
	s.answer(func(w http.ResponseWriter, r *http.Request) {
		<-release
		answer(w, r)
	})
	k := s.checker(t)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Check(impatient, s.claims(0)); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("with an ended context: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := k.Check(context.Background(), s.claims(uint64(i))); err != nil {
				t.Errorf("check %d: %v", i, err)
			}
		})
	}
	await(t, "the request", func() bool { return s.requests.Load() == 1 })
	close(release)
	wg.Wait()
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestCheckerIsBounded(t *testing.T) {
	s := newSite(t)
	hang := make(chan struct{})
	defer close(hang)
	s.answer(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	k := s.checker(t, func(c *statuslist.CheckerConfig) { c.Wait, c.Lists = time.Millisecond, 4 })
	for i := range 20 {
		uri := fmt.Sprint(s.URL, "/", i)
		if err := k.Check(t.Context(), revocation.Claims{StatusURI: uri}); !errors.Is(err, revocation.ErrUnavailable) {
			t.Errorf("an issuer that hangs: %v", err)
		}
	}
	k.Close() // does not hang, and is waited for by goleak
	if err := k.Check(t.Context(), s.claims(0)); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
	var config bytes.Buffer
	for name, c := range map[string]statuslist.CheckerConfig{
		"no issuer": {Keys: s.ring}, "no keys": {Issuer: s.URL}, "ages": {Issuer: s.URL, Keys: s.ring, MaxTTL: time.Hour, MaxAge: time.Minute},
	} {
		if _, err := statuslist.NewChecker(c); err == nil {
			fmt.Fprintln(&config, name)
		}
	}
	if config.Len() > 0 {
		t.Errorf("accepted: %s", &config)
	}
}

// In a verifier the checker takes the mirror's place.
func TestCheckerInAVerifier(t *testing.T) {
	s := newSite(t)
	s.serve(t, map[uint64]statuslist.Status{7: statuslist.Invalid})
	v, err := token.NewVerifier(token.VerifierConfig{
		Issuer: s.URL, Audience: []string{"a"}, Keys: s.ring, Revocations: s.checker(t), Now: s.clock.Now,
	})
	must(t, err)
	for index, want := range map[uint64]error{6: nil, 7: token.ErrRevoked, 64: token.ErrUnavailable} {
		tokens, err := token.NewIssuer(token.IssuerConfig{
			Issuer: s.URL, Audience: []string{"a"}, Keys: s.ring, Now: s.clock.Now, Status: at{URI: s.URL + "/l", Index: index},
		})
		must(t, err)
		raw, _, err := tokens.Issue(t.Context(), token.Claims{Subject: "s", ClientID: "c"})
		must(t, err)
		for range 2 { // the second time from the cache
			if _, err := v.Verify(t.Context(), raw); !errors.Is(err, want) {
				t.Errorf("index %d: %v, want %v", index, err, want)
			}
		}
	}
}

// at gives every token the same place.
type at token.StatusReference

func (a at) AllocateStatus(context.Context, *token.Claims) (token.StatusReference, error) {
	return token.StatusReference(a), nil
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
