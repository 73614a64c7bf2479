package statuslist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// held is what a checker knows of one list.
type held struct {
	uri   string
	token atomic.Pointer[usable] // the last good one; nil before the first

	mu       sync.Mutex
	fetching chan struct{} // closed when the fetch under way has ended; nil when there is none
	failed   error         // why the last fetch failed; nil when it did not
	retry    time.Time     // not to be tried before
	pause    time.Duration // how long was waited after the last failure
}

// usable is a list and how long it is of use. It never changes.
type usable struct {
	list    *List
	issued  time.Time // by the issuer's clock
	aging   time.Time // to be fetched again in the background from here on
	due     time.Time // to be waited for from here on
	expires time.Time // not to be used any more
}

const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// clockDifference is how far the issuer's clock may be ahead.
	clockDifference = 30 * time.Second
)

func (h *held) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed != nil {
		return h.failed
	}
	return errors.New("not fetched yet")
}

// holder returns the place of a list, if it is one to be fetched.
func (k *Checker) holder(uri string) (*held, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.held[uri]; h != nil {
		return h, nil
	}
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || originOf(u) != k.origin {
		return nil, errors.New("its URI is not the issuer's")
	}
	if len(k.held) >= k.cfg.Lists {
		k.forget()
	}
	h := &held{uri: uri}
	k.held[uri] = h
	return h, nil
}

// forget makes room: for each list that cannot be used there will be a reason to fetch it again, and otherwise the one
// that expires first is the least loss.
func (k *Checker) forget() {
	var victim *held
	var first time.Time
	for _, h := range k.held {
		var expires time.Time
		if t := h.token.Load(); t != nil {
			expires = t.expires
		}
		if victim == nil || expires.Before(first) {
			victim, first = h, expires
		}
	}
	if victim != nil {
		delete(k.held, victim.uri)
	}
}

// refresh begins a fetch unless one is under way, or the last failed a moment ago. The channel is closed when the one
// that is under way then has ended; it is nil when there is none to wait for.
func (k *Checker) refresh(h *held, now time.Time) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fetching != nil {
		return h.fetching
	}
	if now.Before(h.retry) {
		return nil
	}
	done := make(chan struct{})
	if !k.begin(func() { k.fetch(h, done) }) {
		h.failed = errors.New("the checker is closed")
		return nil
	}
	h.fetching = done
	return done
}

// begin runs work on a goroutine that Close waits for, unless it is too late.
func (k *Checker) begin(work func()) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.fetches.Go(work)
	return true
}

func (k *Checker) fetch(h *held, done chan struct{}) {
	ctx, cancel := context.WithTimeout(k.ctx, k.cfg.FetchTimeout)
	defer cancel()
	t, err := k.download(ctx, h.uri)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fetching = nil
	defer close(done)
	now := k.cfg.Now()
	if err == nil {
		// One of several servers may be behind the one that answered before, or a cache may; what is newer stays.
		if old := h.token.Load(); old == nil || !t.issued.Before(old.issued) {
			h.token.Store(t)
		}
		h.failed, h.pause, h.retry = nil, 0, now.Add(k.cfg.MinTTL)
		return
	}
	if h.failed == nil {
		k.cfg.Log.Warn("status list not fetched", "uri", h.uri, "err", err)
	}
	h.pause = min(max(2*h.pause, firstPause), lastPause)
	h.failed, h.retry = err, now.Add(h.pause)
}

// download fetches a list and verifies it.
func (k *Checker) download(ctx context.Context, uri string) (*usable, error) {
	asked := k.cfg.Now()
	raw, err := k.get(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("fetching: %w", err)
	}
	t, err := Open(ctx, k.cfg.Keys, raw, k.cfg.Limits)
	if err != nil {
		return nil, err
	}
	now := k.cfg.Now()
	switch {
	case t.URI != uri:
		return nil, fmt.Errorf("%w: sub is not its URI", ErrFormat)
	case t.IssuedAt.After(now.Add(clockDifference)):
		return nil, fmt.Errorf("%w: issued in the future", ErrFormat)
	}
	u := k.usable(t, asked)
	if !now.Before(u.expires) {
		return nil, errors.New("expired")
	}
	return u, nil
}

// usable works out the times. The ttl counts from when the list was made, where that can be told, as the list may have
// been kept on its way here; but a list that has come with no time left is not asked for again at once.
func (k *Checker) usable(t Token, asked time.Time) *usable {
	ttl := t.TTL
	if ttl == 0 {
		ttl = k.cfg.MaxTTL
	}
	ttl = min(max(ttl, k.cfg.MinTTL), k.cfg.MaxTTL)
	from := asked
	if t.IssuedAt.Before(asked) {
		from = t.IssuedAt
	}
	due := from.Add(ttl)
	if least := asked.Add(k.cfg.MinTTL); due.Before(least) {
		due = least
	}
	u := &usable{list: t.List, issued: t.IssuedAt, due: due, aging: asked.Add(due.Sub(asked) * 4 / 5), expires: t.IssuedAt.Add(k.cfg.MaxAge)}
	if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(u.expires) {
		u.expires = t.ExpiresAt
	}
	if u.due.After(u.expires) {
		u.due = u.expires
	}
	return u
}

// get reads a response whole, within the limit. The transport unpacks gzip, so the limit is on what comes out.
func (k *Checker) get(ctx context.Context, uri string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", MediaType)
	resp, err := k.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != MediaType {
		return "", errors.New("not a status list token by its Content-Type")
	}
	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(resp.Body, int64(k.cfg.Limits.TokenBytes)+1))
	switch {
	case err != nil:
		return "", err
	case n > int64(k.cfg.Limits.TokenBytes):
		return "", fmt.Errorf("more than %d bytes", k.cfg.Limits.TokenBytes)
	}
	return b.String(), nil
}

// origin is scheme, host and port (RFC 6454 section 4).
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	o := origin{strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()}
	if o.port == "" {
		o.port = map[string]string{"http": "80", "https": "443"}[o.scheme]
	}
	return o
}

// newClient returns a client that follows redirects within the issuer's origin.
func (k *Checker) newClient() *http.Client {
	c := &http.Client{}
	if k.cfg.Client != nil {
		c.Transport = k.cfg.Client.Transport
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		c.Transport = t.Clone() // connections of its own, to be closed
	}
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || originOf(req.URL) != k.origin {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return c
}

const maxRedirects = 3
