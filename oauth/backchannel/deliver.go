package backchannel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/authd-project/authd/session"
)

const (
	// maxRefusals is how often a client is asked again that answers that it will not: the same answer says that the logout
	// failed (section 2.8), which may pass.
	maxRefusals = 5
	// undecided is how long the end of a session may be under way before a notice of a session that is still live is taken
	// for one whose end has failed.
	undecided = time.Minute
	// maxAnswer is how much of an answer is read, in bytes, so that its connection can be used again.
	maxAnswer = 4 << 10
)

var (
	errRefused = errors.New("the client refuses it") // and says so by its answer
	errLive    = errors.New("the session is live")
)

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 2
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

func newClient(c Config) *http.Client {
	return &http.Client{
		Transport:     c.Transport,
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// deliver tries once, and puts the delivery back into its lane if that failed for now.
func (s *Sender) deliver(ctx context.Context, client string, d *delivery) {
	err := s.attempt(ctx, d.Notice)
	if errors.Is(err, errRefused) {
		d.refusals++
	}
	d.failures++
	now := s.cfg.Now()
	over := now.Sub(d.Noted) >= s.cfg.GiveUpAfter || d.refusals >= maxRefusals
	live := errors.Is(err, errLive)
	gone := live && now.Sub(d.Noted) >= undecided
	log := s.cfg.Log.With("client_id", client, "sid", d.Session, "tries", d.failures)
	switch {
	case err == nil:
		log.InfoContext(ctx, "client told of a logout")
	case gone:
		log.WarnContext(ctx, "logout notice withdrawn: the session has not ended")
	case live: // its end is under way
	case over:
		log.ErrorContext(ctx, "logout notice given up", "err", err)
	default:
		log.WarnContext(ctx, "telling a client of a logout failed", "err", err)
	}
	s.settle(ctx, client, d, err, err == nil || gone || over && !live)
}

// settle counts a try, and puts the delivery back unless it is done with.
func (s *Sender) settle(ctx context.Context, client string, d *delivery, err error, done bool) {
	live := errors.Is(err, errLive)
	s.mu.Lock()
	l := s.lane(client)
	l.busy--
	switch {
	case err == nil:
		l.stats.Delivered++
	case !live:
		l.stats.Failed++
	}
	if live && l.known[d.Session] == noted { // its end was tried again meanwhile
		d.Noted, done = s.cfg.Now(), false
	}
	delete(l.known, d.Session)
	if !done {
		d.due = s.cfg.Now().Add(s.cfg.pause(d.failures))
		l.add(d)
	} else if err != nil && !live {
		l.stats.GivenUp++
	}
	s.mu.Unlock()
	if done {
		s.forget(ctx, d.Session)
	}
	s.ring()
}

// forget removes a notice that is done with. If that fails it is delivered again after the next start, which does no harm.
func (s *Sender) forget(ctx context.Context, id session.ID) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := s.cfg.Outbox.Delete(ctx, id); err != nil {
		s.cfg.Log.WarnContext(ctx, "a logout notice that is done with stays in the outbox", "sid", id, "err", err)
	}
}

// attempt tells the client, unless the session is live.
func (s *Sender) attempt(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := s.cfg.Sessions.Get(ctx, n.Session, s.cfg.Limits)
	switch {
	case err == nil:
		return errLive
	case !errors.Is(err, session.ErrNotFound):
		return fmt.Errorf("looking the session up: %w", err)
	}
	uri := s.cfg.Clients.LogoutURI(n.ClientID)
	if uri == "" {
		return errors.New("the client has no back-channel logout URI any more") // which may be mended
	}
	token, err := s.cfg.Tokens.LogoutToken(ctx, n.ClientID, n.Subject, n.Session.String())
	if err != nil {
		return fmt.Errorf("making the logout token: %w", err)
	}
	return s.post(ctx, uri, token)
}

func (s *Sender) post(ctx context.Context, uri, token string) error {
	form := url.Values{"logout_token": {token}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(form))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests,
		status >= 500 && status != http.StatusNotImplemented:
		return fmt.Errorf("the client answers %d", status)
	default: // also a redirect, which is not followed: it might lead anywhere
		return fmt.Errorf("%w: it answers %d", errRefused, status)
	}
}
