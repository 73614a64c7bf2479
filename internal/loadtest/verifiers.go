package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

// guard is one service's guard, with the transport that it hears the issuer by.
type guard struct {
	*middleware.Guard
	transport *http.Transport
}

func (t *Target) openGuards(ctx context.Context) error {
	for range t.config.Guards {
		g := &guard{transport: t.guardTransport(len(t.guards))}
		t.guards = append(t.guards, g)
		var err error
		g.Guard, err = middleware.New(context.WithoutCancel(ctx), t.issuer, middleware.Options{
			Audience: t.config.Audience, MaxStaleness: t.config.MaxStaleness, InsecureIssuer: t.config.Remote, Leeway: t.config.Leeway,
			Client: &http.Client{Transport: g.transport},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// guardTransport leads to the issuer by way of the servers that are driven, whichever can be reached, as a balancer would.
func (t *Target) guardTransport(first int) *http.Transport {
	at := first
	var mu sync.Mutex
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		mu.Lock()
		defer mu.Unlock()
		for range t.servers {
			if conn, err = (&net.Dialer{}).DialContext(ctx, network, t.servers[at%len(t.servers)].addr); err == nil {
				return &counted{Conn: conn, add: func(n int) { t.fed.Add(int64(n)) }}, nil
			}
			at++
		}
		return nil, err
	}}
}

// counted is a connection whose received bytes are counted.
type counted struct {
	net.Conn
	add func(n int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.add(n)
	return n, err
}

func (t *Target) closeGuards() {
	for _, g := range t.guards {
		if g.Guard != nil {
			g.Close()
		}
		g.transport.CloseIdleConnections()
	}
	t.guards = nil
	t.transport.CloseIdleConnections()
}

// verify decides about a token that is good.
func (g *guard) verify(ctx context.Context, raw string) (outcome, string) {
	switch _, err := g.Verify(ctx, raw); {
	case err == nil:
		return good, ""
	case errors.Is(err, token.ErrUnavailable):
		return unavailable, ""
	default: // errors of package token hold nothing of the token
		return outcome("refused"), err.Error()
	}
}

// The kinds of verifiers that are told of separately.
const (
	kindGuard       = "guards of the middleware"
	kindForwardAuth = "forward-auth"
	kindService     = "services"
)

// follower sees to it that one logout is heard of everywhere.
type follower struct {
	target  *Target
	raw     string
	expires time.Time
	cancel  context.CancelFunc // ends all watches

	at    time.Time         // of the answer; zero until then
	ended []context.Context // one for each guard; ends when that begins to refuse
	when  []chan time.Time  // says when that was
}

// follow begins to watch a session that is about to be logged out.
func (t *Target) follow(ctx context.Context, s *session) *follower {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &follower{target: t, raw: s.access, expires: s.expires, cancel: cancel}
	for _, g := range t.guards {
		when := make(chan time.Time, 1)
		f.when = append(f.when, when)
		claims, err := g.Verify(watching, s.access)
		if err != nil { // it cannot tell just now, and so accepts nothing
			f.ended = append(f.ended, nil)
			continue
		}
		watched, _ := g.Watch(watching, claims) // cancel ends it
		context.AfterFunc(watched, func() { when <- time.Now() })
		f.ended = append(f.ended, watched)
	}
	return f
}

func (f *follower) answered(at time.Time) { f.at = at }

// run waits until every verifier refuses the token, or the bound is over.
func (f *follower) run(ctx context.Context) {
	defer f.cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for i, g := range f.target.guards {
		all.Go(func() { f.guard(ctx, i, g) })
	}
	for _, e := range f.target.servers {
		all.Go(func() { f.poll(ctx, kindForwardAuth, join(e.url.Scheme, "://", e.url.Host, "/v1/verify")) })
	}
	for _, e := range f.target.services {
		all.Go(func() { f.poll(ctx, kindService, e.url.String()) })
	}
}

// deadline is when a logout must hold: whoever still accepts the token then breaks authd's promise.
func (f *follower) deadline() time.Time {
	const slack = 100 * time.Millisecond // this process has to get a processor
	return f.at.Add(f.target.config.MaxStaleness + slack)
}

func (f *follower) guard(ctx context.Context, i int, g *guard) {
	r := f.target.recorder
	if f.ended[i] != nil {
		timer := time.NewTimer(time.Until(f.deadline()))
		defer timer.Stop()
		select {
		case at := <-f.when[i]:
			if errors.Is(context.Cause(f.ended[i]), token.ErrRevoked) {
				r.refused(kindGuard, max(0, at.Sub(f.at)))
				f.guardRefuses(ctx, g)
				return
			}
		case <-timer.C:
		}
	}
	sleep(ctx, time.Until(f.deadline())) // a guard that could not tell must not accept the token when it can again
	if f.guardRefuses(ctx, g) {
		r.blind(kindGuard)
	}
}

func (f *follower) guardRefuses(ctx context.Context, g *guard) bool {
	if _, err := g.Verify(ctx, f.raw); err == nil && time.Now().Before(f.expires) { // what has expired need not be revoked
		f.target.recorder.accepted(kindGuard)
		return false
	}
	return true
}

// poll asks until the answer is a refusal. The time until that has come is an upper bound: it includes the question.
func (f *follower) poll(ctx context.Context, kind, url string) {
	r := f.target.recorder
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		asked := time.Now()
		status := f.target.ask(ctx, url, f.raw)
		switch {
		case status == http.StatusUnauthorized:
			r.refused(kind, time.Since(f.at))
			return
		case asked.Before(f.deadline()):
		case status == http.StatusOK && asked.Before(f.expires):
			r.accepted(kind)
			return
		default: // it is not there, or cannot tell
			r.blind(kind)
			return
		}
		sleep(ctx, pause)
	}
}

// audit asks the verifiers again and again about sessions that have ended, until ctx does: a logout must hold for good,
// also while servers restart.
func (t *Target) audit(ctx context.Context) {
	for n := 0; sleep(ctx, 50*time.Millisecond); n++ {
		now := time.Now()
		list := t.ended.list(now.Add(-t.config.MaxStaleness-time.Second), now.Add(time.Second))
		if len(list) == 0 {
			continue
		}
		e := list[rand.N(len(list))]
		if len(t.guards) > 0 {
			t.askGuard(ctx, t.guards[n%len(t.guards)], e)
		}
		if n%4 == 0 {
			t.askServer(ctx, n/4, e)
		}
	}
}

func (t *Target) askGuard(ctx context.Context, g *guard, e ended) {
	if _, err := g.Verify(ctx, e.access); err == nil {
		t.recorder.accepted(kindGuard)
		return
	}
	t.recorder.count(&t.recorder.held)
}

func (t *Target) askServer(ctx context.Context, i int, e ended) {
	s := t.servers[i%len(t.servers)]
	switch t.ask(ctx, join(s.url.Scheme, "://", s.url.Host, "/v1/verify"), e.access) {
	case http.StatusOK:
		t.recorder.accepted(kindForwardAuth)
	case http.StatusUnauthorized:
		t.recorder.count(&t.recorder.held)
	}
}

// lastAudit asks about everything that is remembered, once: each guard about each token, a server about some, and a server
// to refresh a few.
func (t *Target) lastAudit(ctx context.Context) {
	now := time.Now()
	list := t.ended.list(now.Add(-t.config.MaxStaleness-time.Second), now.Add(time.Second))
	c := t.newClient()
	defer c.close()
	const some = 200
	for i, e := range list {
		if ctx.Err() != nil {
			return
		}
		for _, g := range t.guards {
			t.askGuard(ctx, g, e)
		}
		if i >= some {
			continue
		}
		t.askServer(ctx, i, e)
		a, o, _ := c.do(ctx, Request(http.MethodPost, t.host(), "/v1/refresh", "", contentJSON, fmt.Sprintf(`{"refresh_token":%q}`, e.refresh)))
		if o == good && a.status == http.StatusOK {
			t.recorder.accepted("refresh")
		} else if o == good && a.status == http.StatusUnauthorized {
			t.recorder.count(&t.recorder.held)
		}
	}
}
