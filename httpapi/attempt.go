package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/session"
)

// errTooManyAttempts means that too many logins failed, of the account or from the address.
var errTooManyAttempts = errors.New("too many failed logins")

// tooManyAttempts is the same for every account and every password, whether they exist and are right or not.
func tooManyAttempts(retryAfter time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: codeTooManyAttempts, retryAfter: retryAfter, cause: errTooManyAttempts,
		detail: "Too many failed logins. Retry-After says when to try again.",
	}
}

// attempt logs in, unless too many logins have failed. The error is a *secondFactor when the password was right and a
// factor is wanted besides; that takes the attempt back, but lets no address pass for one the account has logged in from.
func (p *public) attempt(x *exchange, r session.LoginRequest) (session.Grant, error) {
	grant, known, err := guarded(p, x, r.Username, func(ctx context.Context) (session.Grant, error) {
		return p.logIn(ctx, r)
	})
	if err != nil {
		p.loginFailed(x, r.Username, r.ClientID)
		return session.Grant{}, err
	}
	if err := p.loggedIn(x, grant.Session, known); err != nil { // nobody has its tokens yet
		return session.Grant{}, errors.Join(err, p.cfg.Sessions.End(x.ctx(), grant.Session.Subject, grant.Session.ID))
	}
	return grant, nil
}

// guarded checks a password, unless too many logins have failed. The guard is told exactly once what became of the attempt,
// whatever happens. known tells whether the account was seen at the address before.
func guarded[T any](p *public, x *exchange, username string, check func(context.Context) (T, error)) (v T, known bool, err error) {
	p.noteUnknownProxy(x)
	a, err := p.cfg.Logins.Before(x.ctx(), accountName(username), x.address())
	if err != nil {
		return v, false, fmt.Errorf("asking how many logins have failed: %w", err)
	}
	if !a.Allowed {
		return v, false, tooManyAttempts(a.RetryAfter)
	}
	settle := func(context.Context, *ratelimit.Attempt) error { // after a panic nobody knows, so it counts
		p.cfg.Logins.Failed(a)
		return nil
	}
	defer func() {
		if err := settle(x.ctx(), a); err != nil { // it counts as failed, which is no reason to refuse the login
			p.log.WarnContext(x.ctx(), "a login attempt was not taken back", "request_id", x.requestID, "err", err)
		}
	}()
	v, err = check(x.ctx())
	switch {
	case err == nil:
		settle = p.cfg.Logins.Succeeded
	case !errors.Is(err, identity.ErrInvalidCredentials): // nobody learned that the password was wrong
		settle = p.cfg.Logins.Cancelled
	}
	return v, a.Known, err
}

// accountName is the one spelling under which failures of an account are counted: were two spellings counted apart,
// each would be a budget of its own for guesses at one account.
func accountName(username string) string {
	name, err := identity.NormalizeUsername(username)
	if err != nil {
		return username // nobody has it
	}
	return name
}

// noteUnknownProxy tells the operator, once, of what looks like a proxy that is not among the trusted ones: all its
// clients have one address, and one of them who fails to log in often enough would keep out the others.
func (p *public) noteUnknownProxy(x *exchange) {
	r := x.Request()
	if len(r.Header[echo.HeaderXForwardedFor]) == 0 || p.fromTrusted(r) {
		return
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if address := peer.Addr().Unmap(); err != nil || !address.IsLoopback() && !address.IsPrivate() {
		return // a stranger may send what it likes
	}
	p.proxyNoted.Do(func() {
		p.log.WarnContext(x.ctx(), "a request with X-Forwarded-For came from an address that is not among the trusted proxies; "+
			"if it is a proxy, all its clients count as one address, and share its limits", "peer", peer.Addr().Unmap().String())
	})
}
