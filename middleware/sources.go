package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
	"github.com/authd-project/authd/token"
)

// sources are what a guard decides by. They exist from the moment the issuer's metadata is known; until they are filled
// they answer "unavailable" by themselves.
type sources struct {
	verifier    *token.Verifier
	revocations Revocations
	online      inquirer // nil where the revocations are in this process: nobody knows better

	// The two below are nil where Options.Keys and Options.Revocations are used.
	remote *keys.Remote
	mirror *revocation.Mirror // the same as revocations
}

func (g *Guard) newVerifier(k token.VerificationKeys, r revocation.Checker) (*token.Verifier, error) {
	return token.NewVerifier(token.VerifierConfig{
		Issuer: g.issuer, Audience: append([]string{g.opts.Audience}, g.opts.Aliases...),
		Keys: k, Revocations: r, Leeway: g.opts.Leeway, CacheBytes: g.opts.CacheBytes, Now: g.opts.Now,
	})
}

// start brings the guard to life: at once with sources of this process, or when the issuer has answered.
func (g *Guard) start(ctx context.Context) error {
	if g.opts.Keys != nil {
		v, err := g.newVerifier(g.opts.Keys, g.opts.Revocations)
		if err != nil {
			return err
		}
		g.sources.Store(&sources{verifier: v, revocations: g.opts.Revocations})
		close(g.ready)
		return nil
	}
	d := newDiscoverer(g.issuer, g.opts)
	if g.opts.Lazy {
		g.done.Go(func() {
			// It ends with ctx only: what is wrong with the metadata today may be mended tomorrow.
			if m, err := d.find(ctx, func(error) bool { return false }); err == nil {
				g.follow(ctx, m)
			}
		})
		return nil
	}

	starting, stop := context.WithTimeout(ctx, g.opts.StartTimeout)
	defer stop()
	m, err := d.find(starting, func(err error) bool { return errors.Is(err, errMetadata) })
	if err != nil {
		return err
	}
	g.done.Go(func() { g.follow(ctx, m) })
	select {
	case <-g.ready:
		return nil
	case <-starting.Done():
		return errors.Join(fmt.Errorf("keys and revocations did not come: %w", starting.Err()), g.Status().Keys.Err, g.feedError())
	}
}

// follow keeps the issuer's keys and revocations current until ctx ends.
func (g *Guard) follow(ctx context.Context, m metadata) {
	s, feed, err := g.connect(m)
	if err != nil { // the metadata was checked, so only a defect of ours leads here; requests are answered 503
		g.opts.Log.Error("the issuer cannot be followed", "issuer", g.issuer, "err", err)
		return
	}
	defer s.online.close()
	filled := make(chan struct{})
	f := announced{Feed: feed, filled: sync.OnceFunc(func() { close(filled) }), failed: func(err error) { g.feedErr.Store(&err) }}
	g.sources.Store(s)

	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { g.logEnd("keys", s.remote.Run(ctx)) })
	work.Go(func() { g.logEnd("revocations", s.mirror.Run(ctx, f)) })
	for _, ready := range []<-chan struct{}{s.remote.Ready(), filled} {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
	}
	close(g.ready)
	g.opts.Log.Info("guarding", "issuer", g.issuer, "audience", g.opts.Audience)
}

// logEnd logs that following has ended for another reason than that it was told to.
func (g *Guard) logEnd(what string, err error) {
	if err != nil {
		g.opts.Log.Error("the issuer is not followed any more", "issuer", g.issuer, "what", what, "err", err)
	}
}

// connect makes the sources that m describes.
func (g *Guard) connect(m metadata) (*sources, revocation.Feed, error) {
	remote, err := keys.NewRemote(keys.RemoteConfig{URL: m.JWKS, Client: g.opts.Client, Now: g.opts.Now, Log: g.opts.Log})
	if err != nil {
		return nil, nil, err
	}
	feed, err := g.feed(m, remote)
	if err != nil {
		return nil, nil, err
	}
	mirror := revocation.NewMirror(revocation.MirrorConfig{
		MaxStaleness: g.opts.MaxStaleness, History: -1, Now: g.opts.Now, Logger: g.opts.Log,
	})
	verifier, err := g.newVerifier(remote, mirror)
	if err != nil {
		return nil, nil, err
	}
	s := &sources{verifier: verifier, revocations: mirror, remote: remote, mirror: mirror}
	if redis := g.opts.Redis; redis != nil {
		s.online = direct{verifier, hitsFirst{mirror, redis}, g.opts.OnlineTimeout}
	} else {
		s.online = newOnline(g.issuer, g.opts, verifier, hits{mirror})
	}
	return s, feed, nil
}

// feed returns where the guard's replica is fed from. An issuer that wants to know is told which keys the guard holds.
func (g *Guard) feed(m metadata, remote *keys.Remote) (revocation.Feed, error) {
	if g.opts.Redis != nil {
		return g.opts.Redis, nil
	}
	held := func(ctx context.Context) string {
		etag, err := remote.Confirm(ctx)
		if err != nil {
			return "" // the issuer counts on what was confirmed only
		}
		return etag
	}
	return httpfeed.NewClient(m.RevocationFeed, g.opts.Client, httpfeed.Holding(held))
}

// feedError is why the feed broke when it last did, nil if it never has.
func (g *Guard) feedError() error {
	if err := g.feedErr.Load(); err != nil {
		return *err
	}
	return nil
}

// announced is a feed that tells when its follower has become complete for the first time, and why it breaks.
type announced struct {
	revocation.Feed
	filled func()
	failed func(error)
}

func (a announced) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	err := a.Feed.Follow(ctx, from, func(b revocation.Batch) error {
		if err := apply(b); err != nil {
			return err
		}
		if !b.AsOf.IsZero() {
			a.filled()
		}
		return nil
	})
	if ctx.Err() == nil {
		a.failed(err)
	}
	return err
}

// newClient makes a client for short requests to the issuer that follows no redirect: the answers it is used for say
// who is trusted, and requests carry tokens. Its transport is returned when it is ours to close.
func newClient(lent *http.Client, timeout time.Duration) (*http.Client, *http.Transport) {
	c := &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if lent != nil {
		c.Transport = lent.Transport
		return c, nil
	}
	own := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	c.Transport = own
	return c, own
}
