// Package middlewaretest is an issuer in memory, for testing services that are guarded by package middleware: it mints
// tokens, revokes them and plays an outage, without passwords, files or an authd.
//
//	issuer := middlewaretest.NewOffline("orders")
//	server := newServer(issuer.Guard(middleware.Options{}))
//	request.Header.Set("Authorization", "Bearer "+issuer.Mint(token.Claims{Subject: "alice"}))
//
// The tokens are signed and the guards check them as in production; [Issuer.Mint] takes any claims, [Issuer.Logout],
// [Issuer.Revoke] and [Issuer.Outage] change the world while a test runs. A service that makes its guard itself is given
// the URL of [NewIssuer], where the issuer serves its metadata, keys and revocations as authd does. A test of what lies
// behind a guard needs neither: [middleware.WithClaims].
//
// Like those of net/http/httptest, its functions panic where a test could only give up.
package middlewaretest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// Issuer issues and revokes tokens in memory. Methods may be called concurrently.
type Issuer struct {
	// URL is the "iss" of the tokens, without a slash at its end. One made by NewIssuer serves there.
	URL string

	audience string
	mirror   *revocation.Mirror
	ring     ring
	age      atomic.Int64 // of what Guard's guards hold, in an outage; nanoseconds
	streams  streams      // that Guard's guards watch
	stop     func()       // ends the server; nil without one
}

// NewOffline makes an issuer for tests with [Issuer.Guard] alone: it starts no server and no goroutine, and need not be
// closed. Its tokens are meant for audience unless they say otherwise.
func NewOffline(audience string) *Issuer {
	i := &Issuer{URL: "https://issuer.test", audience: audience, mirror: revocation.NewMirror(revocation.MirrorConfig{})}
	i.ring.epoch = "abcdefgh"
	i.ring.add()
	return i
}

// NewIssuer is NewOffline with a server on a free port of loopback, for services that make their guard from the issuer's
// URL. The caller closes it.
func NewIssuer(audience string) *Issuer {
	i := NewOffline(audience)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	filled := make(chan struct{})
	done.Go(func() { _ = i.mirror.Run(ctx, heartbeat{sync.OnceFunc(func() { close(filled) })}) }) // nil when ctx ends
	<-filled
	server := httptest.NewUnstartedServer(nil)
	i.URL = "http://" + server.Listener.Addr().String()
	server.Config.Handler = i.handler(ctx)
	server.Start()
	i.stop = sync.OnceFunc(func() { cancel(); server.Close(); done.Wait() })
	return i
}

// Close stops the server, if there is one. Guards made with [Issuer.Guard] go on.
func (i *Issuer) Close() {
	if i.stop != nil {
		i.stop()
	}
}

// Guard makes a guard that shares the issuer's keys and revocations in memory, by default for the issuer's audience. It
// needs no network, and need not be closed.
func (i *Issuer) Guard(opts middleware.Options) *middleware.Guard {
	if opts.Audience == "" {
		opts.Audience = i.audience
	}
	if opts.MaxStaleness == 0 {
		opts.MaxStaleness = revocation.DefaultMaxStaleness
	}
	now := time.Now
	if opts.Now != nil {
		now = opts.Now
	}
	opts.Keys, opts.Revocations = &i.ring, aged{i, opts.MaxStaleness, now}
	g, err := middleware.New(context.Background(), i.URL, opts)
	if err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	return g
}

// Mint issues a token that is good now. Required claims that are not given are made up, and so is auth_time: the user has
// just logged in, unless AuthTime says when, or is [NoAuthTime].
func (i *Issuer) Mint(c token.Claims) string { return i.MintAt(time.Now(), c) }

// MintExpired issues a token that expired a while ago.
func (i *Issuer) MintExpired(c token.Claims) string { return i.MintAt(time.Now().Add(-time.Hour), c) }

// NoAuthTime is the AuthTime of a token that does not say when its user logged in.
func NoAuthTime() time.Time { return time.Unix(0, 0) } // Claims write zero seconds as nothing

// MintAt issues a token as it would have been issued at another time.
func (i *Issuer) MintAt(at time.Time, c token.Claims) string {
	if c.Subject == "" {
		c.Subject = "alice"
	}
	if c.ClientID == "" {
		c.ClientID = "middlewaretest"
	}
	if c.SessionID == "" {
		c.SessionID = randomID()
	}
	if c.AuthTime.IsZero() {
		c.AuthTime = at
	}
	// As with authd, a login right after a cut-off lies behind it, though cut-offs are rounded up to whole seconds.
	cutoff := i.mirror.NotBefore(revocation.IDOf(revocation.Subject, c.Subject), revocation.IDOf(revocation.Client, c.ClientID))
	if cutoff == revocation.Cutoff(at) {
		c.IssuedAt = time.Unix(cutoff, 0)
	}
	issuer, err := token.NewIssuer(token.IssuerConfig{
		Issuer: i.URL, Audience: []string{i.audience}, Keys: &i.ring, Now: func() time.Time { return at },
	})
	if err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	raw, _, err := issuer.Issue(context.Background(), c)
	if err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	return raw
}

// Logout revokes the session of a token that the issuer minted, as a logout does. It is known when Revoke's would be.
func (i *Issuer) Logout(raw string) {
	var c token.Claims
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = c.UnmarshalJSON(text)
	}
	if err != nil {
		panic(fmt.Errorf("middlewaretest: logging out: %w", err))
	}
	i.Revoke(revocation.Session, c.SessionID)
}

// Revoke revokes what bears this name on one axis: a session by its sid, a token by its jti, all tokens so far of a
// subject, and so on. Guards made with [Issuer.Guard] know when Revoke returns, others within milliseconds.
func (i *Issuer) Revoke(kind revocation.Kind, name string) {
	now := time.Now()
	e := revocation.Entry{Kind: kind, ID: revocation.IDOf(kind, name), Expires: now.Add(time.Hour).Unix()}
	switch kind {
	case revocation.Everything:
		e.ID = revocation.ID{}
		fallthrough
	case revocation.Subject, revocation.Client:
		e.NotBefore = revocation.Cutoff(now)
	}
	if err := e.Validate(); err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	i.mirror.Merge(e)
	i.streams.look()
}

// Rotate makes a new key, which signs from now on. The old ones stay published.
func (i *Issuer) Rotate() { i.ring.add() }

// Outage makes the guards of [Issuer.Guard] see revocations that are this old, as if the issuer had been cut off for so
// long. Zero ends it.
func (i *Issuer) Outage(age time.Duration) {
	i.age.Store(int64(age))
	i.streams.look()
}

// aged is the issuer's mirror as a guard sees it that was cut off for some time.
type aged struct {
	issuer *Issuer
	max    time.Duration
	now    func() time.Time
}

func (a aged) Check(ctx context.Context, c revocation.Claims) error {
	// What the mirror says of its own age does not count: whoever writes to it is here.
	if err := a.issuer.mirror.Check(ctx, c); errors.Is(err, revocation.ErrRevoked) {
		return err
	}
	if age := time.Duration(a.issuer.age.Load()); age > a.max {
		return fmt.Errorf("%w: an outage of %v is being played", revocation.ErrUnavailable, age)
	}
	return nil
}

func (a aged) Within(maxAge time.Duration) revocation.Checker { return aged{a.issuer, maxAge, a.now} }

func (a aged) Status() revocation.Status {
	age := time.Duration(a.issuer.age.Load())
	return revocation.Status{AsOf: a.now().Add(-age), Fresh: age <= a.max, Entries: a.issuer.mirror.Status().Entries}
}

// heartbeat is a feed without entries, as the mirror is told of them directly.
type heartbeat struct{ begun func() }

func (h heartbeat) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	tick := time.NewTicker(revocation.DefaultMaxStaleness / 10)
	defer tick.Stop()
	for {
		// A position, since followers of the mirror need one to go on from.
		if err := apply(revocation.Batch{Position: revocation.Position{Epoch: "memory", Seq: 1}, AsOf: time.Now()}); err != nil {
			return err
		}
		h.begun()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ring holds the keys; the last one signs.
type ring struct {
	epoch string
	mu    sync.RWMutex // guards keys
	keys  []key
}

type key struct {
	kid    string
	signer *ecdsa.PrivateKey
}

func (r *ring) add() {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	kid, err := keys.KeyID(r.epoch, signer.Public())
	if err != nil {
		panic(fmt.Errorf("middlewaretest: %w", err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key{kid, signer})
}

func (r *ring) all() []key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys // only ever appended to
}

// SigningKey implements token.SigningKeys.
func (r *ring) SigningKey(context.Context) (kid, alg string, signer crypto.Signer, err error) {
	all := r.all()
	k := all[len(all)-1]
	return k.kid, "ES256", k.signer, nil
}

// VerificationKey implements token.VerificationKeys.
func (r *ring) VerificationKey(_ context.Context, kid, alg string) (public crypto.PublicKey, known bool, err error) {
	for _, k := range r.all() {
		if k.kid == kid && alg == "ES256" {
			return k.signer.Public(), true, nil
		}
	}
	return nil, false, nil
}

func randomID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(id[:])
}
