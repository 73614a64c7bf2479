package tracing

import (
	"context"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
)

// Sessions returns the store with a span for each call.
func (t *Tracer) Sessions(s session.Store) session.Store { return sessions{t, s} }

type sessions struct {
	t     *Tracer
	store session.Store
}

// Create implements [session.Store].
func (s sessions) Create(ctx context.Context, n session.Session) (session.Session, error) {
	ctx, span := s.t.child(ctx, spanSession("create"))
	made, err := s.store.Create(ctx, n)
	end(span, err)
	return made, err
}

// Get implements [session.Store].
func (s sessions) Get(ctx context.Context, id session.ID, l session.Limits) (session.Session, error) {
	ctx, span := s.t.child(ctx, spanSession("get"))
	found, err := s.store.Get(ctx, id, l)
	end(span, err)
	return found, err
}

// Refresh implements [session.Store].
func (s sessions) Refresh(
	ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits,
) (session.Session, session.Outcome, error) {
	ctx, span := s.t.child(ctx, spanSession("refresh"))
	found, outcome, err := s.store.Refresh(ctx, id, presented, use, l)
	end(span, err)
	return found, outcome, err
}

// End implements [session.Store].
func (s sessions) End(ctx context.Context, ids ...session.ID) error {
	ctx, span := s.t.child(ctx, spanSession("end"))
	err := s.store.End(ctx, ids...)
	end(span, err)
	return err
}

// EndSubject implements [session.Store].
func (s sessions) EndSubject(ctx context.Context, subject string, keep ...session.ID) ([]session.ID, error) {
	ctx, span := s.t.child(ctx, spanSession("end_subject"))
	ended, err := s.store.EndSubject(ctx, subject, keep...)
	end(span, err)
	return ended, err
}

// List implements [session.Store].
func (s sessions) List(ctx context.Context, subject string, l session.Limits) ([]session.Session, error) {
	ctx, span := s.t.child(ctx, spanSession("list"))
	found, err := s.store.List(ctx, subject, l)
	end(span, err)
	return found, err
}

// Revocations returns the store with a span for each addition.
func (t *Tracer) Revocations(s revocation.Store) revocation.Store { return revocations{s, t} }

type revocations struct {
	revocation.Store
	t *Tracer
}

// Add implements [revocation.Store].
func (r revocations) Add(ctx context.Context, entries ...revocation.Entry) error {
	r.t.changes(ctx)
	ctx, span := r.t.child(ctx, spanRevoke)
	err := r.Store.Add(ctx, entries...)
	end(span, err)
	return err
}

// recorder is the audit log.
type recorder interface {
	Record(ctx context.Context, e audit.Event) error
}

// Audit returns the log with a span for each event.
func (t *Tracer) Audit(log recorder) *Audit { return &Audit{t, log} }

// Audit is an audit log whose events can be seen in traces.
type Audit struct {
	t   *Tracer
	log recorder
}

// Record hands the event to the log; see [audit.Log].
func (a *Audit) Record(ctx context.Context, e audit.Event) error {
	ctx, span := a.t.child(ctx, spanAudit, attr(EventType, string(e.Type)))
	err := a.log.Record(ctx, e)
	end(span, err)
	return err
}
