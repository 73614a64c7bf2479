package backchannel

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/authd-project/authd/session"
)

// Watch returns store, so wrapped that every end of a session that passes through becomes a notice to its client. It costs
// a look at each session that ends, and where a notice is due, a write to the outbox; nothing as long as no client wants
// to hear of logouts.
func (s *Sender) Watch(store session.Store) session.Store { return watched{store, s} }

// watched notes an end before it happens: the other way round a process that dies in between would have told nobody, and
// the store would not know any more whose session it was.
type watched struct {
	session.Store
	sender *Sender
}

// End implements [session.Store].
func (w watched) End(ctx context.Context, ids ...session.ID) error {
	var ending []session.Session
	if w.sender.cfg.Clients.AnyLogoutURI() {
		for _, id := range ids {
			n, err := w.Get(ctx, id, w.sender.cfg.Limits)
			switch {
			case err == nil:
				ending = append(ending, n)
			case !errors.Is(err, session.ErrNotFound): // better to fail and be called again than to tell nobody
				return err
			}
		}
	}
	notices := w.sender.note(ctx, ending)
	defer w.sender.queue(notices) // also after an error: what has become of the session is looked up then
	return w.Store.End(ctx, ids...)
}

// EndSubject implements [session.Store].
func (w watched) EndSubject(ctx context.Context, subject string, keep ...session.ID) ([]session.ID, error) {
	var ending []session.Session
	if w.sender.cfg.Clients.AnyLogoutURI() {
		all, err := w.List(ctx, subject, w.sender.cfg.Limits)
		if err != nil {
			return nil, err
		}
		ending = slices.DeleteFunc(all, func(n session.Session) bool { return slices.Contains(keep, n.ID) })
	}
	notices := w.sender.note(ctx, ending)
	defer w.sender.queue(notices)
	return w.Store.EndSubject(ctx, subject, keep...)
}

// Refresh implements [session.Store]. Whether it ends the session shows only afterwards.
func (w watched) Refresh(ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits) (session.Session, session.Outcome, error) {
	n, outcome, err := w.Store.Refresh(ctx, id, presented, use, l)
	if err == nil && outcome == session.Reused {
		w.sender.queue(w.sender.note(context.WithoutCancel(ctx), []session.Session{n}))
	}
	return n, outcome, err
}

// noteTimeout bounds how long the outbox may hold up a logout.
const noteTimeout = 5 * time.Second

// note puts what is to be told about the end of these sessions into the outbox. A logout does not fail because of it: a
// notice that could not be put there is delivered all the same, unless this process ends before.
func (s *Sender) note(ctx context.Context, ending []session.Session) []Notice {
	var notices []Notice
	for _, n := range ending {
		if s.cfg.Clients.LogoutURI(n.ClientID) != "" {
			notices = append(notices, Notice{Session: n.ID, Subject: n.Subject, ClientID: n.ClientID, Noted: s.cfg.Now()})
		}
	}
	if len(notices) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := s.cfg.Outbox.Put(ctx, notices...); err != nil {
		s.cfg.Log.ErrorContext(ctx, "logout notices are in memory only", "notices", len(notices), "err", err)
	}
	return notices
}
