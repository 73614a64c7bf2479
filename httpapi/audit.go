package httpapi

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
)

// Audit records security events; see [audit.Log].
type Audit interface {
	// Record returns nil once the event is kept. What it returns otherwise matters only where the answer depends on it.
	Record(ctx context.Context, e audit.Event) error
}

// UserNames finds out whether there is an account of a name; see [identity.Directory].
type UserNames interface {
	Get(ctx context.Context, username string) (identity.User, error)
}

// auditor is how a site records events. Its zero value records nothing.
type auditor struct {
	log    Audit
	strict bool // a login or logout that is not recorded is not confirmed
	names  UserNames
	key    []byte // of digests of names that nobody has
}

func newAuditor(log Audit, strict bool, names UserNames) auditor {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return auditor{log, strict, names, key}
}

// happening is what the audit log will say of an exchange. What is done for it further down the house finds the origin in
// the context, so that it says from where it was caused.
type happening struct {
	origin   audit.Origin
	event    audit.Event // nothing is recorded while it has no type
	recorded bool
}

// begin prepares an exchange that changes something. Its event is recorded just before the answer goes out.
func (a *auditor) begin(x *exchange) {
	if a.log == nil || !x.route.changes {
		return
	}
	x.begins(x.route.event)
	x.Response().Before(func() {
		if x.err == nil && x.Response().Status < http.StatusBadRequest {
			_ = a.record(x) // handlers whose answer depends on it have recorded it before
		}
	})
}

func (x *exchange) begins(t audit.Type) {
	x.happening = &happening{event: audit.Event{Type: t}, origin: audit.Origin{
		Actor: audit.Actor{Type: audit.Anonymous}, Address: x.RealIP(), UserAgent: x.Request().UserAgent(), RequestID: x.requestID,
	}}
	x.SetRequest(x.Request().WithContext(audit.WithOrigin(x.ctx(), &x.happening.origin)))
}

// actsAs tells who has turned out to be behind the exchange.
func (x *exchange) actsAs(kind audit.ActorType, id string) {
	if x.happening != nil {
		x.happening.origin.Actor = audit.Actor{Type: kind, ID: id}
	}
}

// happens says which event the exchange turned out to be, "" for none.
func (x *exchange) happens(t audit.Type) {
	if x.happening != nil {
		x.happening.event.Type = t
	}
}

// note adds a detail to the exchange's event.
func (x *exchange) note(name, value string) {
	if x.happening == nil {
		return
	}
	if x.happening.event.Details == nil {
		x.happening.event.Details = make(map[string]string)
	}
	x.happening.event.Details[name] = value
}

// record records the exchange's event as it stands, once.
func (a *auditor) record(x *exchange) error {
	h := x.happening
	if a.log == nil || h == nil || h.event.Type == "" || h.recorded {
		return nil
	}
	h.recorded = true
	e := h.event
	e.Subject, e.SessionID = cmp.Or(e.Subject, x.subject), cmp.Or(e.SessionID, x.session)
	if x.route.guarded && e.Username == "" {
		e.Username, _ = x.pathParam("username")
	}
	// A request that failed has no time left, and one whose client has gone is recorded all the same. The log bounds itself.
	return a.log.Record(context.WithoutCancel(x.ctx()), e)
}

// confirm records a success on which the answer depends, if the log is strict.
func (a *auditor) confirm(x *exchange) error {
	if !a.strict {
		return nil // it is recorded when the answer begins
	}
	if err := a.record(x); err != nil {
		r := unavailable("The audit log does not confirm. Repeat the request.")
		r.cause = err
		return &r
	}
	return nil
}

// failed records a refusal that somebody should be able to look up.
func (a *auditor) failed(x *exchange, r *refusal) {
	if a.log == nil || x.happening != nil && x.happening.recorded {
		return
	}
	admin := x.happening != nil && x.happening.origin.Actor.Type == audit.Admin
	t := audit.Type("")
	switch {
	case r.code == codeRateLimited:
		t = audit.RateLimited
	case x.route.guarded && !admin && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden):
		t = audit.AdminRefused
	case x.route.client != nil && r.code == codeInvalidCredentials:
		t = audit.ClientRefused
	case x.happening != nil && notable(r, x.happening.event.Type):
		t = x.happening.event.Type
	}
	if t == "" {
		return
	}
	if x.happening == nil {
		x.begins(t)
	}
	x.happens(t)
	if len(r.quotas) > 0 {
		x.note("limit", r.quotas[0])
	}
	x.happening.event.Outcome, x.happening.event.Reason = audit.Failure, r.code
	_ = a.record(x) // the request has failed anyway
}

// notable tells which failures are worth an event: not those of requests that were malformed, asked for what does not exist,
// or came with a token that has expired.
func notable(r *refusal, t audit.Type) bool {
	switch r.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType:
		return false
	case http.StatusUnauthorized:
		return t == audit.Login
	}
	return true
}

// loggedIn says of whom a successful login was. Where the account was not seen at the address before, there is an event of
// its own: people want to be told of that.
func (p *public) loggedIn(x *exchange, s session.Session, known bool) error {
	h := x.happening
	if h == nil {
		return nil
	}
	x.actsAs(audit.User, s.Subject)
	h.event.Type = audit.Login
	h.event.Subject, h.event.SessionID, h.event.Username, h.event.ClientID = s.Subject, s.ID.String(), s.Username, s.ClientID
	if !known {
		e := h.event
		e.Type = audit.LoginNewAddress
		_ = p.audit.log.Record(x.ctx(), e) // beside the login, on which the answer may depend
	}
	return p.audit.confirm(x)
}

// loginFailed says whose account it was, if there is one. What is typed there may be a password: of a name that nobody has
// only a digest is recorded, by which equal ones can be told while this process lives.
func (p *public) loginFailed(x *exchange, username, clientID string) {
	h := x.happening
	if h == nil {
		return
	}
	h.event.Type, h.event.ClientID = audit.Login, clientID
	if p.audit.names != nil {
		if user, err := p.audit.names.Get(x.ctx(), username); err == nil {
			h.event.Subject, h.event.Username = user.Subject, user.Username
			return
		}
	}
	mac := hmac.New(sha256.New, p.audit.key)
	mac.Write([]byte(accountName(username)))
	x.note("username_digest", base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12]))
}

// refreshed records that a refresh token was retried from somewhere else. A client whose address has changed in between does
// that too, so nothing else follows from it.
func (p *public) refreshed(x *exchange, g session.Grant) {
	s, agent := g.Session, x.Request().UserAgent()
	moved := x.RealIP() != s.PreviousAddress || agent != s.UserAgent && len(agent) <= len(s.UserAgent) // sessions cut theirs
	if x.happening == nil || g.Outcome != session.Replayed || !moved {
		return
	}
	x.actsAs(audit.User, s.Subject)
	x.happens(audit.RefreshMoved)
	h := x.happening
	h.event.Subject, h.event.SessionID, h.event.Username, h.event.ClientID = s.Subject, s.ID.String(), s.Username, s.ClientID
	x.note("previous_address", s.PreviousAddress)
}
