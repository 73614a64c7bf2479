// Package webhook tells audit events to a receiver on the web, such as one that mails people about a login from a new address.
//
// Events are spooled in the embedded file first, and leave it once the receiver has answered 2xx: a restart, or a receiver that
// is away for days, loses none. They come in order, several in one request, and again after an answer that was lost: the
// receiver drops those whose "id" it knows. Requests are signed; see [Verify].
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/internal/boltfile"
)

const (
	maxEvents = 100    // in one request
	maxSpool  = 100000 // events that wait; beyond that the audit log counts them as lost
	// The pauses after requests that failed.
	shortestPause = 500 * time.Millisecond
	longestPause  = time.Minute
)

// Config says whom to tell. URL, Secret and Spool are required.
type Config struct {
	URL    string // https, or http on loopback
	Secret []byte // that the receiver shares: 16 bytes or more
	Spool  *boltfile.File
	// Timeout bounds one request. Default 10 s.
	Timeout time.Duration
	TLS     *tls.Config // default: the system's authorities
	// Around returns what makes the requests, given what does by default; for traces. Default: that.
	Around func(http.RoundTripper) http.RoundTripper
	Now    func() time.Time
	Log    *slog.Logger
}

// Webhook is an audit sink. Methods may be called concurrently.
type Webhook struct {
	cfg    Config
	spool  spool
	client *http.Client
	wake   chan struct{}
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// CheckURL says whether events may be sent there.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want an https URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("want a URL without user and fragment; requests are signed")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must be https, as it is not on loopback")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Open opens the spool of the receiver, and tells it what waits there until Close.
func Open(cfg Config) (*Webhook, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if len(cfg.Secret) < 16 || cfg.Spool == nil {
		return nil, errors.New("webhook: a spool and a secret of 16 bytes or more are required")
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	var transport http.RoundTripper = &http.Transport{
		TLSClientConfig: cfg.TLS, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	if cfg.Around != nil {
		transport = cfg.Around(transport)
	}
	w := &Webhook{
		cfg: cfg, spool: spool{file: cfg.Spool, name: []byte(cfg.URL)}, wake: make(chan struct{}, 1),
		client: &http.Client{
			Timeout:   cfg.Timeout,
			Transport: transport,
			// Whoever answers in the receiver's place must not send the events elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if err := w.spool.open(); err != nil {
		return nil, fmt.Errorf("webhook: opening the spool: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.done.Go(func() { w.deliver(ctx) })
	return w, nil
}

// Write implements [audit.Sink]: events are kept once they are in the spool.
func (w *Webhook) Write(ctx context.Context, entries []audit.Entry) (kept int, err error) {
	if err := w.spool.append(ctx, entries); err != nil {
		return 0, fmt.Errorf("spooling for %s: %w", w.cfg.URL, err)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return len(entries), nil
}

// Backlog returns how many events are in the spool.
func (w *Webhook) Backlog() int { return w.spool.len() }

// Close stops telling. What is in the spool stays there for the next time.
func (w *Webhook) Close() error {
	w.stop()
	w.done.Wait()
	w.client.CloseIdleConnections()
	return nil
}

// deliver tells the receiver what is in the spool, and what comes into it, until ctx ends.
func (w *Webhook) deliver(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		last, events, err := w.spool.oldest(maxEvents)
		if err == nil && len(events) == 0 {
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
			continue
		}
		if err == nil {
			err = w.post(ctx, events)
		}
		if err == nil {
			err = w.spool.remove(ctx, last)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 && ctx.Err() == nil {
			w.cfg.Log.WarnContext(ctx, "a webhook does not take audit events, trying again", "url", w.cfg.URL, "err", err)
		}
		pause := min(shortestPause<<min(failures-1, 10), longestPause)
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
		}
	}
}

func (w *Webhook) post(ctx context.Context, events [][]byte) error {
	body := append([]byte(`{"events":[`), bytes.Join(events, []byte(","))...)
	body = append(body, "]}"...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "authd")
	req.Header.Set(Header, sign(w.cfg.Secret, w.cfg.Now(), body))
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}
