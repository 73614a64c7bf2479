package statuslist_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/statuslist/boltstore"
	"github.com/authd-project/authd/token"
)

const (
	issuerURL = "https://auth.example.com"
	listsURL  = issuerURL + "/v1/statuslists"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1800000001, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// ring is a key ring of one key.
type ring struct{ key *ecdsa.PrivateKey }

func newRing(t testing.TB) ring {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return ring{key}
}

func (r ring) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return "k1", "ES256", r.key, nil
}

func (r ring) VerificationKey(_ context.Context, kid, alg string) (key crypto.PublicKey, known bool, err error) {
	return r.key.Public(), kid == "k1" && alg == "ES256", nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flaky is a register that can be made to fail, or to lose everything.
type flaky struct {
	statuslist.Register
	failing bool
}

func (f *flaky) Read(ctx context.Context, id statuslist.ListID, from int) (statuslist.Header, int, []byte, error) {
	if f.failing {
		return statuslist.Header{}, 0, nil, statuslist.ErrUnavailable
	}
	return f.Register.Read(ctx, id, from)
}

func newRegister(t testing.TB) *flaky {
	t.Helper()
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	must(t, err)
	t.Cleanup(func() { must(t, file.Close()) })
	store, err := boltstore.Open(file, nil)
	must(t, err)
	return &flaky{Register: store}
}

// issuer is an authd's part in status lists.
type issuer struct {
	clock     *clock
	ring      ring
	register  *flaky
	set       *revocation.Set
	stale     bool
	allocator *statuslist.Allocator
	publisher *statuslist.Publisher
	tokens    *token.Issuer
}

func newIssuer(t testing.TB, size int) *issuer {
	t.Helper()
	i := &issuer{clock: newClock(), ring: newRing(t), register: newRegister(t), set: revocation.NewSet()}
	var err error
	i.allocator, err = statuslist.NewAllocator(statuslist.AllocatorConfig{
		Register: i.register, URI: listsURL, Period: 10 * time.Minute, Size: size,
	})
	must(t, err)
	i.publisher, err = statuslist.NewPublisher(statuslist.PublisherConfig{
		Register: i.register, Revocations: i, Keys: i.ring, URI: listsURL, Period: 10 * time.Minute, TokenLife: 10 * time.Minute,
		TTL: time.Minute, Life: 3 * time.Minute, Now: i.clock.Now,
	})
	must(t, err)
	i.tokens, err = token.NewIssuer(token.IssuerConfig{
		Issuer: issuerURL, Audience: []string{"a"}, Keys: i.ring, Status: i.allocator, Now: i.clock.Now,
	})
	must(t, err)
	return i
}

// Check implements [revocation.Checker].
func (i *issuer) Check(_ context.Context, c revocation.Claims) error {
	switch {
	case i.set.Hit(&c) != 0:
		return revocation.ErrRevoked
	case i.stale:
		return revocation.ErrUnavailable
	}
	return nil
}

func (i *issuer) issue(t testing.TB, subject, sid string) (raw string, c token.Claims) {
	t.Helper()
	raw, c, err := i.tokens.Issue(t.Context(), token.Claims{Subject: subject, SessionID: sid, ClientID: "c"})
	must(t, err)
	return raw, c
}

func (i *issuer) revoke(e revocation.Entry) {
	e.Expires = i.clock.Now().Add(time.Hour).Unix()
	i.set.Merge(e, 0)
}

// status is what the published list says of a token now.
func (i *issuer) status(t testing.TB, c token.Claims) statuslist.Status {
	t.Helper()
	name := strings.TrimPrefix(c.Status.URI, listsURL+"/")
	d, err := i.publisher.List(t.Context(), name)
	must(t, err)
	read, err := statuslist.Open(t.Context(), i.ring, string(d.JWT), statuslist.Limits{TokenBytes: 1 << 20, ListBytes: 1 << 20})
	must(t, err)
	if read.URI != c.Status.URI || read.TTL != time.Minute || read.ExpiresAt.Sub(read.IssuedAt) != 3*time.Minute {
		t.Errorf("list %+v", read)
	}
	s, ok := read.List.Get(c.Status.Index)
	if !ok {
		t.Fatalf("index %d is beyond the list's %d", c.Status.Index, read.List.Len())
	}
	return s
}

// Each axis of revocation turns exactly the tokens it hits to INVALID, at the list's next making.
func TestRevokedTokensAreInvalid(t *testing.T) {
	for name, revoked := range map[string]func(c token.Claims) revocation.Entry{
		"token": func(c token.Claims) revocation.Entry {
			return revocation.Entry{Kind: revocation.Token, ID: revocation.IDOf(revocation.Token, c.ID)}
		},
		"session": func(c token.Claims) revocation.Entry {
			return revocation.Entry{Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, c.SessionID)}
		},
		"subject": func(c token.Claims) revocation.Entry {
			return revocation.Entry{Kind: revocation.Subject, ID: revocation.IDOf(revocation.Subject, c.Subject), NotBefore: c.IssuedAt.Unix() + 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, 1000)
			_, hit := i.issue(t, "alice", "s1")
			_, other := i.issue(t, "bob", "s2")
			if a, b := i.status(t, hit), i.status(t, other); a != statuslist.Valid || b != statuslist.Valid {
				t.Fatalf("before: %v, %v", a, b)
			}
			i.revoke(revoked(hit))
			if i.status(t, hit) != statuslist.Valid {
				t.Error("the list was made anew for a second request")
			}
			i.clock.advance(20 * time.Second)
			if a, b := i.status(t, hit), i.status(t, other); a != statuslist.Invalid || b != statuslist.Valid {
				t.Errorf("after: %v, %v", a, b)
			}
		})
	}
	for name, revoked := range map[string]func(c token.Claims) revocation.Entry{
		"client": func(c token.Claims) revocation.Entry {
			return revocation.Entry{Kind: revocation.Client, ID: revocation.IDOf(revocation.Client, c.ClientID), NotBefore: c.IssuedAt.Unix() + 1}
		},
		"everything": func(c token.Claims) revocation.Entry {
			return revocation.Entry{Kind: revocation.Everything, NotBefore: c.IssuedAt.Unix() + 1}
		},
		"key": func(c token.Claims) revocation.Entry {
			return revocation.Entry{Kind: revocation.Key, ID: revocation.IDOf(revocation.Key, c.KeyID)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, 1000)
			_, old := i.issue(t, "alice", "s1")
			i.revoke(revoked(old))
			i.clock.advance(2 * time.Second)
			_, later := i.issue(t, "alice", "s3")
			want := statuslist.Valid
			if name == "key" {
				want = statuslist.Invalid
			}
			if a, b := i.status(t, old), i.status(t, later); a != statuslist.Invalid || later.Status.URI == old.Status.URI && b != want {
				t.Errorf("old %v, later %v", a, b)
			}
		})
	}
}

// Places are unique, lists end when their tokens have expired, and a full list is followed by another.
func TestAllocation(t *testing.T) {
	i := newIssuer(t, 16)
	taken := make(map[token.StatusReference]bool)
	lists := make(map[string]int)
	rising := 0
	var last uint64
	for n := range 100 {
		_, c := i.issue(t, "alice", fmt.Sprint(n))
		if taken[c.Status] || c.Status.Index >= 16 {
			t.Fatalf("place %+v: taken or outside", c.Status)
		}
		taken[c.Status] = true
		lists[c.Status.URI]++
		if c.Status.Index == last+1 {
			rising++
		}
		last = c.Status.Index
		id, err := statuslist.ParseListID(strings.TrimPrefix(c.Status.URI, listsURL+"/"))
		if err != nil || id.Ends < c.ExpiresAt.Unix() || id.Ends >= c.ExpiresAt.Unix()+600 || id.Ends%600 != 0 {
			t.Errorf("list %v for a token that expires at %d: %v", id, c.ExpiresAt.Unix(), err)
		}
	}
	if len(lists) < 7 || rising > 50 {
		t.Errorf("%d lists, %d indices follow the one before", len(lists), rising)
	}
	uris, err := i.publisher.URIs(t.Context())
	if err != nil || len(uris) != len(lists) {
		t.Errorf("%d URIs, %v; want %d", len(uris), err, len(lists))
	}
	for _, uri := range uris {
		if lists[uri] == 0 {
			t.Errorf("list %s has no tokens", uri)
		}
	}
}

// Two allocators on one register are two authd, or one before and after a restart.
func TestAllocatorsShareARegister(t *testing.T) {
	i := newIssuer(t, 64)
	second, err := statuslist.NewAllocator(statuslist.AllocatorConfig{
		Register: i.register, URI: listsURL, Period: 10 * time.Minute, Size: 128,
	})
	must(t, err)
	var mu sync.Mutex
	taken := make(map[token.StatusReference]bool)
	var wg sync.WaitGroup
	for _, a := range []*statuslist.Allocator{i.allocator, second, i.allocator, second} {
		wg.Go(func() {
			for range 60 {
				ref, err := a.AllocateStatus(context.Background(), &token.Claims{ExpiresAt: i.clock.Now().Add(time.Minute)})
				mu.Lock()
				if err != nil || taken[ref] {
					t.Errorf("place %+v: taken %v, %v", ref, taken[ref], err)
				}
				taken[ref] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// A register that has lost its notes: nobody gets a place twice, and what was read before is remembered.
func TestLostNotes(t *testing.T) {
	i := newIssuer(t, 1000)
	_, old := i.issue(t, "alice", "s1")
	if i.status(t, old) != statuslist.Valid {
		t.Fatal("not valid")
	}
	i.register.Register = newRegister(t).Register
	i.revoke(revocation.Entry{Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, "s1")})
	i.clock.advance(20 * time.Second)
	if s := i.status(t, old); s != statuslist.Invalid {
		t.Errorf("revoked after the loss: %v", s)
	}
	for n := range 50 {
		_, c := i.issue(t, "bob", fmt.Sprint("b", n))
		if c.Status.URI == old.Status.URI {
			t.Fatalf("place %+v in a list that was lost", c.Status)
		}
	}
	// Another authd, which does not know, begins the list again: both generations count.
	other, err := statuslist.NewAllocator(statuslist.AllocatorConfig{
		Register: i.register, URI: listsURL, Period: 10 * time.Minute, Size: 1000,
	})
	must(t, err)
	_, err = other.AllocateStatus(t.Context(), &token.Claims{ID: "x", SessionID: "s9", Subject: "carol", ClientID: "c", ExpiresAt: old.ExpiresAt, IssuedAt: old.IssuedAt})
	must(t, err)
	i.clock.advance(20 * time.Second)
	if s := i.status(t, old); s != statuslist.Invalid {
		t.Errorf("after the list was begun again: %v", s)
	}
}

func TestListIsKeptWhileItHolds(t *testing.T) {
	i := newIssuer(t, 1000)
	_, c := i.issue(t, "alice", "s1")
	name := strings.TrimPrefix(c.Status.URI, listsURL+"/")
	get := func() (*statuslist.Published, error) { return i.publisher.List(t.Context(), name) }
	first, err := get()
	must(t, err)
	if first.MaxAge != 59*time.Second && first.MaxAge != time.Minute {
		t.Errorf("max-age %v", first.MaxAge)
	}
	for what, fail := range map[string]func(bool){
		"register": func(f bool) { i.register.failing = f },
		"mirror":   func(f bool) { i.stale = f },
	} {
		fail(true)
		i.clock.advance(time.Minute)
		if d, err := get(); err != nil || d.ETag != first.ETag || d.MaxAge != time.Second {
			t.Errorf("%s failing: %+v, %v", what, d, err)
		}
		fail(false)
	}
	i.stale = true
	i.clock.advance(time.Minute)
	if d, err := get(); !errors.Is(err, statuslist.ErrUnavailable) {
		t.Errorf("after its exp: %+v, %v", d, err)
	}
	i.stale = false
	second, err := get()
	if err != nil || second.ETag == first.ETag {
		t.Errorf("made again: %v", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(second.Gzip))
	must(t, err)
	if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, second.JWT) {
		t.Errorf("unpacked: %d bytes, %v", len(text), err)
	}
	i.clock.advance(30 * time.Minute)
	if _, err := get(); !errors.Is(err, statuslist.ErrNotFound) {
		t.Errorf("when its tokens are dead: %v", err)
	}
}

func TestNamesThatAreNoLists(t *testing.T) {
	i := newIssuer(t, 10)
	now := i.clock.Now().Unix()
	for _, name := range []string{
		"", "1", "-", "x-0", "1800000600", "01800000600-0", "1800000600-00", "1800000600--1", "1800000600-0-0", "+1800000600-0",
		fmt.Sprint(now/600*600+600, "-0"), fmt.Sprint(now-1000, "-0"), fmt.Sprint(now+100000, "-0"), "99999999999999999999-0",
	} {
		if _, err := i.publisher.List(t.Context(), name); !errors.Is(err, statuslist.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Neither kind of token passes for the other, although one key signs both.
func TestListsAndAccessTokensAreToldApart(t *testing.T) {
	i := newIssuer(t, 10)
	access, c := i.issue(t, "alice", "s1")
	d, err := i.publisher.List(t.Context(), strings.TrimPrefix(c.Status.URI, listsURL+"/"))
	must(t, err)
	v, err := token.NewVerifier(token.VerifierConfig{Issuer: issuerURL, Audience: []string{"a"}, Keys: i.ring, Revocations: i, Now: i.clock.Now})
	must(t, err)
	if _, err := v.Verify(t.Context(), string(d.JWT)); !errors.Is(err, token.ErrMalformed) {
		t.Errorf("the list as an access token: %v", err)
	}
	if _, err := statuslist.Open(t.Context(), i.ring, access, statuslist.Limits{TokenBytes: 1 << 20, ListBytes: 1 << 20}); !errors.Is(err, token.ErrMalformed) {
		t.Errorf("the access token as a list: %v", err)
	}
	if _, err := v.Verify(t.Context(), access); err != nil {
		t.Errorf("the access token: %v", err)
	}
}
