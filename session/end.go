package session

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/authd-project/authd/revocation"
)

// LogoutScope says which of a user's sessions a logout ends.
type LogoutScope string

const (
	LogoutSession LogoutScope = "session" // the current one
	LogoutOthers  LogoutScope = "others"  // all but the current one
	LogoutAll     LogoutScope = "all"
	// LogoutReplaced ends the current one because another of the same user has taken its place in the browser, after a second
	// factor say: the clients that the browser was logged in to stay so, and end when that one does.
	LogoutReplaced LogoutScope = "replaced"
)

// Logout ends sessions of a user who has proved to be in the session current. It succeeds also when they have ended
// before, as a valid access token may outlive its session's record.
func (s *Service) Logout(ctx context.Context, subject string, current ID, scope LogoutScope) error {
	var err error
	switch scope {
	case LogoutSession:
		err = s.end(ctx, ByUser, current)
	case LogoutReplaced:
		err = s.endAlone(ctx, current)
	case LogoutOthers:
		err = s.endOthers(ctx, subject, current)
	case LogoutAll:
		err = s.endSubject(ctx, ByUser, subject, current)
	default:
		err = fmt.Errorf("%w: unknown scope %q", ErrInvalidRequest, scope)
	}
	if err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	s.log.InfoContext(ctx, "logout", "sid", current, "sub", subject, "scope", string(scope))
	return nil
}

// List returns the live sessions of a subject, the most recently used first.
func (s *Service) List(ctx context.Context, subject string) ([]Session, error) {
	list, err := s.store.List(ctx, subject, s.limits)
	if err != nil {
		return nil, unavailable("listing sessions", err)
	}
	return list, nil
}

// End ends one session of a subject. It is ErrNotFound alike for a session of somebody else, an unknown one, and one
// that has ended before.
func (s *Service) End(ctx context.Context, subject string, id ID) error {
	n, err := s.store.Get(ctx, id, s.limits)
	switch {
	case err == nil && n.Subject == subject:
		err = s.end(ctx, ByUser, id)
	case errors.Is(err, ErrEnded) && n.Subject == subject && !s.revoked(ctx, id):
		err = s.end(ctx, ByUser, id) // the end was interrupted
	case err == nil || errors.Is(err, ErrNotFound):
		err = ErrNotFound
	default:
		err = unavailable("looking the session up", err)
	}
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	s.log.InfoContext(ctx, "session ended by its user", "sid", id, "sub", subject)
	return nil
}

// EndSessions ends sessions of anybody, for administrators. Unknown and ended ones succeed.
func (s *Service) EndSessions(ctx context.Context, ids ...ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.end(ctx, ByAdministrator, ids...); err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	s.log.InfoContext(ctx, "sessions ended", "sids", ids)
	return nil
}

// EndSubject ends every session of a subject and revokes every token that was issued to it until now, also those that
// belong to no session.
func (s *Service) EndSubject(ctx context.Context, subject string) error {
	if err := s.endSubject(ctx, ByAdministrator, subject); err != nil {
		return fmt.Errorf("ending the sessions of a subject: %w", err)
	}
	s.log.InfoContext(ctx, "all sessions of a subject ended", "sub", subject)
	return nil
}

// EndClient revokes every token that was issued to a client until now. Its sessions end at their next refresh, for
// which the cut-off is kept as long as a session can live.
func (s *Service) EndClient(ctx context.Context, clientID string) error {
	e := revocation.Entry{Kind: revocation.Client, ID: revocation.IDOf(revocation.Client, clientID)}
	if err := s.cutOffSessions(ctx, e); err != nil {
		return fmt.Errorf("ending the sessions of a client: %w", err)
	}
	s.log.InfoContext(ctx, "all sessions of a client ended", "client_id", clientID)
	return nil
}

// EndEverything does what EndClient does, for all tokens and sessions.
func (s *Service) EndEverything(ctx context.Context) error {
	if err := s.cutOffSessions(ctx, revocation.Entry{Kind: revocation.Everything}); err != nil {
		return fmt.Errorf("ending all sessions: %w", err)
	}
	s.log.InfoContext(ctx, "all sessions ended")
	return nil
}

// RevokeRefreshToken ends the session of a refresh token (RFC 7009). Any generation will do, and a token that is not
// ours or whose session is gone succeeds, as section 2.2 wants.
func (s *Service) RevokeRefreshToken(ctx context.Context, refreshToken string) error {
	t, err := s.open(ctx, refreshToken)
	if errors.Is(err, ErrInvalidGrant) {
		return nil
	}
	if err == nil {
		err = s.end(ctx, ByUser, t.session)
	}
	if err != nil {
		return fmt.Errorf("revoking a refresh token: %w", err)
	}
	s.log.InfoContext(ctx, "session ended by its refresh token", "sid", t.session)
	return nil
}

// subjectCutOff revokes what was issued to a subject until now.
func (s *Service) subjectCutOff(subject string) revocation.Entry {
	now := s.now()
	return revocation.Entry{
		Kind:      revocation.Subject,
		ID:        revocation.IDOf(revocation.Subject, subject),
		NotBefore: revocation.Cutoff(now),
		Expires:   s.tokensDead(now),
	}
}

// cutOffSessions revokes what was issued until now and keeps the entry until the last session it can hit is over.
//
// Cut-offs are whole seconds, and tokens issued after one in the same second are stamped with it. Another cut-off of that
// second, on whatever axis, must hit those too, so it goes one beyond all that are known. (That of a subject need not, as
// it names the sessions one by one; nor may it, or users could push the cut-offs ahead of the clock.)
func (s *Service) cutOffSessions(ctx context.Context, e revocation.Entry) error {
	now := s.now()
	e.NotBefore = max(revocation.Cutoff(now), s.mirror.LatestCutoff()+1)
	e.Expires = s.tokensDead(now.Add(s.limits.Absolute))
	return s.revoke(ctx, nil, e)
}

// revokeEnded completes the end of a session whose record has ended, unless that is known to have been done: the holder of
// an old token must not be able to make work for every verifier.
func (s *Service) revokeEnded(ctx context.Context, id ID) error {
	if s.revoked(ctx, id) {
		return nil
	}
	return s.end(ctx, ByRefusal, id)
}

// revoke makes the revocation of sessions, and of what more there is, durable and then known here. The mirror comes
// second because what it knows counts as done.
func (s *Service) revoke(ctx context.Context, ids []ID, more ...revocation.Entry) error {
	entries, expires := more, s.tokensDead(s.now())
	for _, id := range ids {
		entries = append(entries, revocation.Entry{
			Kind:    revocation.Session,
			ID:      revocation.IDOf(revocation.Session, id.String()),
			Expires: expires,
		})
	}
	if len(entries) == 0 {
		return nil
	}
	if err := s.revocations.Add(ctx, entries...); err != nil {
		return unavailable("revoking sessions", err)
	}
	s.mirror.Merge(entries...)
	return nil
}

// revoked tells whether the session is known to be revoked by itself, whatever cut-offs there are.
func (s *Service) revoked(ctx context.Context, id ID) bool {
	return errors.Is(s.checkSession(ctx, id), revocation.ErrRevoked)
}

// checkSession asks the mirror about the session by itself.
func (s *Service) checkSession(ctx context.Context, id ID) error {
	sid := revocation.IDOf(revocation.Session, id.String())
	return s.mirror.Check(ctx, revocation.Claims{
		Session: sid, Token: sid, Subject: sid, Client: sid, Key: sid, // on the other axes nothing has this ID
		IssuedAt: math.MaxInt64,
	})
}

// tokensDead returns when the last access token of a session that ended at t can be dead, in Unix seconds.
func (s *Service) tokensDead(t time.Time) int64 {
	return revocation.Cutoff(t.Add(s.accessTTL + s.leeway + margin))
}

// finishing returns a context for the second half of an end, which must not be cut short by the caller: a thief could
// hang up to keep his access token.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
}
