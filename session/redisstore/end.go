package redisstore

import (
	"context"
	"slices"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/session"
)

// End implements [session.Store]. It may be called again for sessions that a failover may have brought back.
func (s *Store) End(ctx context.Context, ids ...session.ID) error {
	_, err := s.end(ctx, ids)
	if err != nil {
		return unavailable("ending sessions", err)
	}
	return nil
}

// EndSubject implements [session.Store].
func (s *Store) EndSubject(ctx context.Context, subject string, keep ...session.ID) ([]session.ID, error) {
	ids, err := s.members(ctx, subject)
	var ended []session.ID
	if err == nil {
		ids = slices.DeleteFunc(ids, func(id session.ID) bool { return slices.Contains(keep, id) })
		ended, err = s.end(ctx, ids)
	}
	if err != nil {
		return nil, unavailable("ending the sessions of a subject", err)
	}
	return ended, nil
}

// end ends sessions and returns those of which there is a record, also when they had ended before.
func (s *Store) end(ctx context.Context, ids []session.ID) ([]session.ID, error) {
	calls := make([]redisscript.Call, len(ids))
	for i, id := range ids {
		calls[i] = redisscript.Call{Script: s.scripts.end, Key: recordKey(id), Args: []any{microsUp(s.keepEnded)}}
	}
	cmds, err := s.redis.Confirm(ctx, calls...)
	if err != nil {
		return nil, err
	}
	var ended []session.ID
	bySubject := make(map[string][]session.ID)
	for i, cmd := range cmds {
		a, err := parseAnswer(cmd, ids[i])
		if err != nil {
			return nil, err
		}
		if a.code == 1 {
			subject := a.record.session.Subject
			ended, bySubject[subject] = append(ended, ids[i]), append(bySubject[subject], ids[i])
		}
	}
	s.leaveSoon(ctx, bySubject)
	return ended, nil
}
