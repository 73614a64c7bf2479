package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refresh fetches the set once and publishes it. It returns for how long the issuer says the set is good.
func (r *Remote) refresh(ctx context.Context) (time.Duration, error) {
	f, asked, before := r.begin()
	s := r.set.Load()
	next, lifetime, err := r.fetch(ctx, s, asked, r.asksWhetherChanged(s, asked, f.begun))
	if err == nil {
		next.asOf, next.life = f.begun, lifetime
		if next.whole.IsZero() {
			next.whole = f.begun
		}
		r.publish(next)
	}
	if ctx.Err() != nil {
		err = errStopped
	}
	switch {
	case err != nil && before == nil && ctx.Err() == nil:
		r.cfg.Log.Warn("JWKS refresh failed", "url", r.cfg.URL, "err", err, "usable", s.usable(), "as_of", s.asOf)
	case err == nil && before != nil:
		r.cfg.Log.Info("JWKS refreshed again", "url", r.cfg.URL)
	}
	r.end(f, err)
	return lifetime, err
}

// begin starts a flight, or the one that a request has asked for, and returns how the flight before it ended.
func (r *Remote) begin() (f *flight, asked bool, before error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.wanted:
	default:
	}
	asked = r.flight != nil
	if !asked {
		r.flight = newFlight(r.cfg.Now())
	}
	r.begun = r.flight.begun
	return r.flight, asked, r.failed
}

func (r *Remote) end(f *flight, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
	r.flight = nil
	f.land(err)
}

func (r *Remote) publish(s *remoteSet) {
	r.set.Store(s)
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
}

// asksWhetherChanged tells whether a 304 would do for an answer. It does not where a request needs a key that is not in s,
// nor for longer than half of MaxAge: should the issuer not change its ETag with its set, a new key is found nevertheless,
// and a withdrawn one dies.
func (r *Remote) asksWhetherChanged(s *remoteSet, asked bool, now time.Time) bool {
	return s.etag != "" && !asked && age(now, s.whole) < r.cfg.MaxAge/2
}

// fetch asks the issuer for the set. fresh asks the caches on the way not to answer for it (RFC 9111 section 5.2.1.4).
func (r *Remote) fetch(ctx context.Context, have *remoteSet, fresh, conditional bool) (*remoteSet, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.FetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.cfg.URL, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if conditional {
		req.Header.Set("If-None-Match", have.etag)
	}
	if fresh {
		req.Header.Set("Cache-Control", "no-cache")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching: %w", err)
	}
	defer resp.Body.Close()

	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		unchanged := *have
		return &unchanged, lifetime(resp.Header), nil
	case resp.StatusCode != http.StatusOK:
		return nil, 0, fmt.Errorf("issuer answered status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the answer: %w", err)
	}
	next, err := r.read(have, body)
	if err != nil {
		return nil, 0, err
	}
	next.etag = resp.Header.Get("ETag")
	return next, lifetime(resp.Header), nil
}

// read makes a set of a fetched document. One that has not changed is not parsed, and its bad keys not logged, again.
func (r *Remote) read(have *remoteSet, body []byte) (*remoteSet, error) {
	if have.usable() && bytes.Equal(body, have.body) {
		return &remoteSet{keys: have.keys, ours: have.ours, body: have.body}, nil
	}
	keys, refused, err := parseRemoteJWKS(body)
	for _, k := range refused {
		r.cfg.Log.Warn("JWK refused", "url", r.cfg.URL, "index", k.index, "kid", k.kid, "err", k.err)
	}
	if err != nil {
		return nil, err
	}
	next := &remoteSet{keys: keys, ours: true, body: body}
	for kid := range keys {
		_, ours := ParseKeyID(kid)
		next.ours = next.ours && ours
	}
	return next, nil
}

// defaultLifetime is that of a set whose issuer does not say.
const defaultLifetime = 5 * time.Minute

// lifetime is how much longer the answer is fresh: max-age less the time it has spent in caches (RFC 9111 section 4.2).
func lifetime(h http.Header) time.Duration {
	left := defaultLifetime
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if seconds, ok := deltaSeconds(strings.Trim(value, `"`)); ok && strings.EqualFold(name, "max-age") {
			left = seconds
		}
	}
	spent, _ := deltaSeconds(h.Get("Age"))
	return max(left-spent, 0)
}

// deltaSeconds reads a number of seconds, capped at a day.
func deltaSeconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, false
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour), true
}

// withinOrigin copies c, or makes a client when it is nil, so that it follows redirects only within one origin: a
// redirect must not choose who vouches for the keys. The transport is returned when it is ours to close.
func withinOrigin(c *http.Client) (*http.Client, *http.Transport) {
	var client http.Client
	var own *http.Transport
	if c != nil {
		client = *c
	} else {
		own = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}
		client.Transport = own
	}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		switch {
		case len(via) > 3:
			return errors.New("too many redirects")
		case req.URL.Scheme != first.Scheme || req.URL.Host != first.Host:
			return errors.New("redirect to another origin refused")
		}
		return nil
	}
	return &client, own
}
