package session

import (
	"context"
	"fmt"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/revocation"
)

// EndSubjectBefore does what [Service.EndSubject] does, but lets those sessions live whose user authenticated at t or
// later: t is when the account was changed, and a session that began since is none that the change was to end.
func (s *Service) EndSubjectBefore(ctx context.Context, subject string, t time.Time) error {
	now := s.now()
	if !t.Before(now) {
		return s.EndSubject(ctx, subject)
	}
	if err := s.endSubjectBefore(ctx, subject, t, now); err != nil {
		return fmt.Errorf("ending the sessions of a subject: %w", err)
	}
	s.log.InfoContext(ctx, "earlier sessions of a subject ended", "sub", subject, "before", t.UTC())
	return nil
}

func (s *Service) endSubjectBefore(ctx context.Context, subject string, t, now time.Time) error {
	live, err := s.List(ctx, subject)
	if err != nil {
		return err
	}
	cutoff := revocation.Cutoff(t)
	var later []ID
	for _, n := range live {
		if n.AuthTime.Unix() >= cutoff {
			later = append(later, n.ID)
		}
	}
	ended, err := s.store.EndSubject(ctx, subject, later...)
	if err != nil {
		return unavailable("ending records", err)
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	s.tell(ctx, ByAdministrator, live, ended)
	return s.revoke(ctx, ended, revocation.Entry{
		Kind:      revocation.Subject,
		ID:        revocation.IDOf(revocation.Subject, subject),
		NotBefore: cutoff,
		Expires:   s.tokensDead(now),
	})
}

// outlived tells whether the password was changed after the user of a session had authenticated. Who changes it ends the
// sessions too; this is for the time until that has been done, and for accounts that are changed elsewhere.
//
// AuthTime is in whole seconds, rounded down or raised to a cut-off, which was rounded up. Where that leaves it open which
// came first, it is by when the session began: who logs in with the new password, however soon, stays logged in.
func outlived(n Session, a identity.Account) bool {
	changed := a.PasswordChangedAt
	switch authTime := n.AuthTime.Unix(); {
	case changed.IsZero() || authTime > revocation.Cutoff(changed):
		return false
	case authTime < changed.Unix():
		return true
	default:
		return n.CreatedAt.Before(changed)
	}
}
