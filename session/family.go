package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A session that began from another one, its parent, ends with it: a person who logs out of a browser leaves all that the
// browser was logged in to. Both have the same subject, so children are found in its list; nothing else refers to them.
//
// A parent that was replaced leaves its children behind. They end with the next session of the user that ends and has
// children: with the one in its place or, which is too early but safe, with one in another browser.

// EndedBy tells what ended a session.
type EndedBy string

const (
	ByUser          EndedBy = "user"          // a logout, or a revoked refresh token
	ByAdministrator EndedBy = "administrator" // also a change of the account
	ByReuse         EndedBy = "reuse"         // what is good for one time was presented twice: theft
	ByRefusal       EndedBy = "refusal"       // at a refresh: a cut-off came, or the account is gone
)

// Observer hears of sessions that have ended, to write that down or to tell clients of it (OpenID Connect Back-Channel
// Logout). cmd/authd gives the service one that passes each call on to whoever wants to know.
type Observer interface {
	// Ended is called when the records of these sessions have ended for good, each as it was while it was live, and before
	// the call that ended them returns. It is called once for each session, except that a crash in between, or a record
	// that vanished, leaves it out; sessions that reach a limit by themselves are nobody's act. Calls may be concurrent. It
	// must return soon, as a person is waiting: what takes time belongs into a queue of the observer's own.
	Ended(ctx context.Context, by EndedBy, ended ...Session)
}

// nobody is the observer where there is none.
type nobody struct{}

func (nobody) Ended(context.Context, EndedBy, ...Session) {}

// end ends records first and then revokes: a refresh that slips in between gets a token that the revocation covers. The
// other way round it could get one that outlives the revocation.
func (s *Service) end(ctx context.Context, by EndedBy, ids ...ID) error {
	before, err := s.lookUp(ctx, ids)
	if err != nil {
		return err
	}
	if err := s.store.End(ctx, ids...); err != nil {
		return unavailable("ending records", err)
	}
	return s.finishEnd(ctx, by, ids, before)
}

// lookUp returns those of the sessions that there are; of one that has ended ID, Subject and EndedAt only.
func (s *Service) lookUp(ctx context.Context, ids []ID) ([]Session, error) {
	found := make([]Session, 0, len(ids))
	for _, id := range ids {
		n, err := s.store.Get(ctx, id, s.limits)
		switch {
		case err == nil || errors.Is(err, ErrEnded):
			found = append(found, n)
		case !errors.Is(err, ErrNotFound):
			return nil, unavailable("looking the session up", err)
		}
	}
	return found, nil
}

// finishEnd does what remains when records have ended: it ends those of their children, revokes all, and tells of it.
// before are the sessions as they were, as far as there were any.
func (s *Service) finishEnd(ctx context.Context, by EndedBy, ids []ID, before []Session) error {
	ctx, cancel := finishing(ctx)
	defer cancel()
	children, err := s.endChildren(ctx, before)
	ended := slices.Concat(before, children)
	ended = slices.DeleteFunc(ended, func(n Session) bool { return !n.EndedAt.IsZero() })
	if len(ended) > 0 {
		s.observer.Ended(ctx, by, ended...)
	}
	ids = slices.Clone(ids)
	for _, n := range children {
		ids = append(ids, n.ID)
	}
	return errors.Join(err, s.revoke(ctx, ids))
}

// endAlone ends a session and leaves its children to whichever takes its place.
func (s *Service) endAlone(ctx context.Context, id ID) error {
	before, err := s.lookUp(ctx, []ID{id})
	if err != nil {
		return err
	}
	if err := s.store.End(ctx, id); err != nil {
		return unavailable("ending records", err)
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	s.tell(ctx, ByUser, before, []ID{id})
	return s.revoke(ctx, []ID{id})
}

// endChildren ends the records of the sessions whose parent does not live any more, of the subjects of these, and returns
// them as they were. Where it is not known whether a session had a parent, because it ended before, it is taken for one
// that had none.
func (s *Service) endChildren(ctx context.Context, parents []Session) ([]Session, error) {
	var children []Session
	var seen []string
	for _, parent := range parents {
		if parent.Parent != (ID{}) || slices.Contains(seen, parent.Subject) {
			continue
		}
		seen = append(seen, parent.Subject)
		list, err := s.store.List(ctx, parent.Subject, s.limits)
		if err != nil {
			return nil, unavailable("looking for what began from a session", err)
		}
		for _, n := range list {
			if n.Orphaned(list) {
				children = append(children, n)
			}
		}
	}
	if len(children) == 0 {
		return nil, nil
	}
	ids := make([]ID, len(children))
	for i, n := range children {
		ids[i] = n.ID
	}
	if err := s.store.End(ctx, ids...); err != nil {
		return nil, unavailable("ending what began from a session", err)
	}
	return children, nil
}

// Orphaned tells whether the session began from one that is not among these, all that its subject has.
func (s Session) Orphaned(all []Session) bool {
	return s.Parent != (ID{}) && !slices.ContainsFunc(all, func(p Session) bool { return p.ID == s.Parent })
}

// endOthers ends the sessions of a subject that do not belong together with the current one.
func (s *Service) endOthers(ctx context.Context, subject string, current ID) error {
	before, err := s.List(ctx, subject)
	if err != nil {
		return err
	}
	keep := []ID{current}
	root := rootOf(before, current)
	for _, n := range before {
		if n.ID != current && (n.ID == root || n.Parent == root) {
			keep = append(keep, n.ID)
		}
	}
	ids, err := s.store.EndSubject(ctx, subject, keep...)
	if err != nil {
		return unavailable("ending records", err)
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	s.tell(ctx, ByUser, before, ids)
	return s.revoke(ctx, ids)
}

// rootOf returns the session that the one with this ID began from, which is itself if there is none.
func rootOf(list []Session, id ID) ID {
	for _, n := range list {
		if n.ID == id && n.Parent != (ID{}) {
			return n.Parent
		}
	}
	return id
}

// tell tells the observer of those that were live and have ended.
func (s *Service) tell(ctx context.Context, by EndedBy, before []Session, ended []ID) {
	before = slices.DeleteFunc(before, func(n Session) bool { return !n.EndedAt.IsZero() || !slices.Contains(ended, n.ID) })
	if len(before) > 0 {
		s.observer.Ended(ctx, by, before...)
	}
}

// endSubject ends all sessions of a subject, and those of ids, which may be gone from the store. The cut-off alone would
// not do: a refresh that was decided before may sign its token after it.
func (s *Service) endSubject(ctx context.Context, by EndedBy, subject string, ids ...ID) error {
	before, err := s.List(ctx, subject)
	if err != nil {
		return err
	}
	ended, err := s.store.EndSubject(ctx, subject)
	if err != nil {
		return unavailable("ending records", err)
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	s.tell(ctx, by, before, ended)
	if err := s.revoke(ctx, append(ids, ended...), s.subjectCutOff(subject)); err != nil {
		return fmt.Errorf("all sessions of a subject: %w", err)
	}
	return nil
}
