package httpfeed

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/revocation"
)

const (
	// silence is how long the server may say nothing, which includes the time to answer. It sends something each
	// second.
	silence = 5 * time.Second
	// renewEvery bounds how long the two clocks may drift apart before a new request sets the mark again.
	renewEvery = 5 * time.Minute
	// driftParts is the allowance for that: rates that differ by one part in so many. NTP slews by half of that.
	driftParts = 1000
)

// Client implements [revocation.Feed] over HTTP. A client may be followed by several at once.
type Client struct {
	url  url.URL
	http http.Client
	now  func() time.Time

	name    string                       // of this client, in reports
	held    func(context.Context) string // nil when it has nothing to report
	unasked atomic.Bool                  // the server has said that it wants no reports
}

var _ revocation.Feed = (*Client)(nil)

// NewClient returns a client for the feed at rawURL ("revocation_feed_uri" of the issuer's discovery document). Of hc
// it takes the transport; nil means one of its own, without HTTP/2: a stream fills a connection anyway, and an HTTP/2
// connection that has gone dead would be tried again and again. Redirects to another origin are refused.
func NewClient(rawURL string, hc *http.Client, options ...Option) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("revocation feed: %w", err)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, errors.New("revocation feed: want an http or https URL")
	}
	c := &Client{url: *u, now: time.Now, name: crand.Text()}
	c.http.CheckRedirect = sameOrigin
	if hc != nil {
		c.http.Transport = hc.Transport
	} else {
		c.http.Transport = newTransport()
	}
	for _, o := range options {
		o(c)
	}
	return c, nil
}

func newTransport() *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: silence}).DialContext,
		TLSHandshakeTimeout: silence,
		DisableKeepAlives:   true, // a stream's connection has nothing left to give
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// sameOrigin keeps whoever can make the issuer redirect from becoming the feed.
func sameOrigin(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("too many redirects")
	}
	if first := via[0].URL; req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return errors.New("redirect to another origin")
	}
	return nil
}

// errRenew ends a stream whose request is too long ago.
var errRenew = errors.New("time to ask anew")

// Follow implements [revocation.Feed].
func (c *Client) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	for {
		err := c.stream(ctx, from, func(b revocation.Batch) error {
			if err := apply(b); err != nil {
				return err
			}
			if b.Position != (revocation.Position{}) {
				from = b.Position
			}
			return nil
		})
		if !errors.Is(err, errRenew) {
			return err
		}
	}
}

// stream follows the answer to one request.
func (c *Client) stream(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	name, held := c.report(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(fmt.Errorf("silent for %v", silence)) })
	defer quiet.Stop()

	nonce := crand.Text()
	sent := c.now()
	resp, err := c.get(ctx, request{from, nonce, name, held})
	if err != nil {
		return because(ctx, err)
	}
	body := resp.Body
	defer body.Close()

	renew := c.asked(resp.Header)
	renew -= rand.N(renew / 5) // so that clients which came in step part again
	proof := proof{sent: sent, nonce: nonce}
	events := newReader(body)
	for {
		e, err := events.next()
		if err != nil {
			return because(ctx, err)
		}
		quiet.Stop() // the follower may take its time
		b, err := proof.batch(e, c.now())
		if err != nil {
			return fmt.Errorf("revocation feed: line %d: %w", events.line, err)
		}
		if err := apply(b); err != nil {
			return err
		}
		if c.now().Sub(sent) > renew && !b.AsOf.IsZero() {
			return errRenew
		}
		quiet.Reset(silence)
	}
}

// because returns why a stream broke: ctx's cause rather than the read error that follows from it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("revocation feed: %w", err)
}

// request is what one request says.
type request struct {
	from                revocation.Position
	nonce, client, held string
}

func (c *Client) get(ctx context.Context, r request) (*http.Response, error) {
	u := c.url
	query := u.Query()
	query.Set("nonce", r.nonce)
	if r.from != (revocation.Position{}) {
		query.Set("after", r.from.String())
	}
	if r.client != "" {
		query.Set("client", r.client)
		query.Set("held", r.held)
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", contentType)
	req.Header.Set("Accept-Encoding", "identity") // a compressor would hold events back
	req.Header.Set("Cache-Control", "no-store")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("answered %s", resp.Status)
	case err != nil || mediaType != contentType:
		err = fmt.Errorf("answered with a content type other than %s", contentType)
	default:
		return resp, nil
	}
	resp.Body.Close()
	return nil, err
}
