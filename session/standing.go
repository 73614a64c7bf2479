package session

import (
	"context"
	"errors"
	"time"
)

// Standing is where a session stands, for administrators.
type Standing struct {
	// Session is the record; of one that has ended ID, Subject and EndedAt only.
	Session Session
	// IdleUntil is when the session ends by itself unless it is refreshed before, and AbsoluteUntil when it does anyway.
	// Both are zero for one that has ended.
	IdleUntil, AbsoluteUntil time.Time
	// CutOff tells that a revocation by subject, by client or of everything came after the user had authenticated: the
	// record is still live, and the next refresh ends it.
	CutOff bool
}

// Standing returns where a session of anybody stands. It is ErrNotFound for a session that never was, that reached a
// limit, or that ended so long ago that it is forgotten.
func (s *Service) Standing(ctx context.Context, id ID) (Standing, error) {
	n, err := s.store.Get(ctx, id, s.limits)
	switch {
	case err == nil:
		return Standing{
			Session: n, IdleUntil: n.LastUsedAt.Add(s.limits.Idle), AbsoluteUntil: n.CreatedAt.Add(s.limits.Absolute),
			CutOff: s.cutOff(n),
		}, nil
	case errors.Is(err, ErrEnded):
		return Standing{Session: n}, nil
	case errors.Is(err, ErrNotFound):
		return Standing{}, ErrNotFound
	default:
		return Standing{}, unavailable("looking the session up", err)
	}
}
