package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/session"
)

// indexSlack is by how much an entry of the index outlives its record, as their servers' clocks may differ.
const indexSlack = time.Hour

// longestLife is how long a record can exist after it was created.
func (s *Store) longestLife() time.Duration { return s.limits.Absolute + s.keepEnded }

// enter is the call that keeps sessions in the index of their subject for as long as a record can live from now on.
func (s *Store) enter(subject string, life time.Duration, ids ...session.ID) redisscript.Call {
	args := []any{(life + indexSlack).Milliseconds()}
	for _, id := range ids {
		args = append(args, id[:])
	}
	return redisscript.Call{Script: s.scripts.index, Key: indexKey(subject), Args: args}
}

// enterAgain repairs the index where it can have lost what the record has not: on another server of a cluster. A failure
// is none of the refresh; the next one tries again.
func (s *Store) enterAgain(ctx context.Context, n session.Session) {
	if !s.redis.Cluster() {
		return
	}
	if _, err := s.redis.Run(ctx, s.enter(n.Subject, s.longestLife(), n.ID)); err != nil {
		s.log.WarnContext(ctx, "session not entered into its subject's index", "sid", n.ID, "err", err)
	}
}

// leaveSoon lets the index forget sessions that have ended when their tombstones go. When it fails they stay until
// the longest session is over, which costs space and nothing else.
func (s *Store) leaveSoon(ctx context.Context, bySubject map[string][]session.ID) {
	var calls []redisscript.Call
	for subject, ids := range bySubject {
		calls = append(calls, s.enter(subject, s.keepEnded, ids...))
	}
	if _, err := s.redis.RunAll(ctx, calls...); err != nil {
		s.log.WarnContext(ctx, "ended sessions stay in their subject's index", "err", err)
	}
}

// members returns the sessions in the index of a subject.
func (s *Store) members(ctx context.Context, subject string) ([]session.ID, error) {
	cmd, err := s.redis.Run(ctx, redisscript.Call{Script: s.scripts.members, Key: indexKey(subject)})
	if err != nil {
		return nil, err
	}
	members, err := cmd.StringSlice()
	if err != nil {
		return nil, fmt.Errorf("index of a subject: %w", err)
	}
	ids := make([]session.ID, len(members))
	for i, member := range members {
		if copy(ids[i][:], member) != len(member) || len(member) != len(ids[i]) {
			return nil, fmt.Errorf("index of a subject: entry of %d bytes, want a session id", len(member))
		}
	}
	return ids, nil
}
