package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/session"
)

// Config configures a [Store].
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client redis.UniversalClient
	// Limits tell how long the server keeps a session that was just created: the same limits as the service's. Zero
	// fields mean the defaults.
	Limits session.Limits
	// KeepEnded is how long an ended session is remembered; default 1 h. It must exceed the life of an access token by
	// the leeway of verifiers, or an interrupted logout that is repeated may miss a live token.
	KeepEnded time.Duration
	// Replicas is how many replicas must have what Create, End and EndSubject wrote before they return, in a cluster
	// those of the shard; default none. All that can be promoted is the number that makes sure.
	Replicas int
	// Timeout bounds one round trip, whatever the client retries; default 1 s. Replicas have a third of it, and with
	// replicas it must be at least 600 ms.
	Timeout time.Duration
	// Revoked yields the sessions that this process knows to be revoked; optional. [Store.Run] ends them again where a
	// server may have lost their end.
	Revoked func() iter.Seq[session.ID]
	Logger  *slog.Logger // default: none
}

// Store is a session.Store in Redis. Methods may be called concurrently.
type Store struct {
	redis     *redisscript.Runner
	client    redis.UniversalClient
	scripts   scripts
	limits    session.Limits
	keepEnded time.Duration
	timeout   time.Duration
	revoked   func() iter.Seq[session.ID]
	lookEvery time.Duration
	log       *slog.Logger
}

var _ session.Store = (*Store)(nil)

// New returns a store. It does not talk to the server yet; it fails only for an invalid configuration.
func New(c Config) (*Store, error) {
	runner, err := redisscript.New(redisscript.Config{Client: c.Client, Replicas: c.Replicas, Timeout: c.Timeout})
	if c.KeepEnded < 0 {
		err = errors.Join(err, fmt.Errorf("keep ended %v: must not be negative", c.KeepEnded))
	}
	if err != nil {
		return nil, fmt.Errorf("session store: %w", err)
	}
	s := &Store{
		redis:     runner,
		client:    c.Client,
		scripts:   newScripts(),
		limits:    c.Limits.WithDefaults(),
		keepEnded: cmp.Or(c.KeepEnded, time.Hour),
		timeout:   cmp.Or(c.Timeout, redisscript.DefaultTimeout),
		revoked:   c.Revoked,
		lookEvery: lookEvery,
		log:       c.Logger,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, n session.Session) (session.Session, error) {
	const doing = "creating a session"
	described, err := describe(n)
	if err != nil {
		return session.Session{}, fmt.Errorf("%s: %w", doing, err)
	}
	// The index comes first: a session that is not in it would be missed by EndSubject.
	if _, err := s.redis.Confirm(ctx, s.enter(n.Subject, s.longestLife(), n.ID)); err != nil {
		return session.Session{}, unavailable(doing, err)
	}
	life := min(s.limits.Idle, s.limits.Absolute) + s.keepEnded
	cmds, err := s.redis.Confirm(ctx, redisscript.Call{
		Script: s.scripts.create, Key: recordKey(n.ID), Args: []any{described, microsUp(life)},
	})
	if err != nil {
		return session.Session{}, unavailable(doing, err)
	}
	a, err := parseAnswer(cmds[0], n.ID)
	switch {
	case err != nil:
		return session.Session{}, unavailable(doing, err)
	case a.code == 0:
		return session.Session{}, fmt.Errorf("%s: %w: %v", doing, session.ErrExists, n.ID)
	}
	return a.record.session, nil
}

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, id session.ID, l session.Limits) (session.Session, error) {
	const doing = "reading a session"
	cmd, err := s.redis.Run(ctx, redisscript.Call{Script: s.scripts.get, Key: recordKey(id)})
	if err != nil {
		return session.Session{}, unavailable(doing, err)
	}
	a, err := parseAnswer(cmd, id)
	if err != nil {
		return session.Session{}, unavailable(doing, err)
	}
	return a.live(l)
}

// Refresh implements [session.Store]. It is one round trip; more follow when it ends the session for reuse, and one when
// it rotates in a cluster.
func (s *Store) Refresh(ctx context.Context, id session.ID, presented uint64, use session.Use, l session.Limits) (
	session.Session, session.Outcome, error,
) {
	const doing = "refreshing a session"
	args, err := refreshArgs(presented, use, l, s.keepEnded)
	if err != nil {
		return session.Session{}, 0, fmt.Errorf("%s: %w", doing, err)
	}
	cmd, err := s.redis.Run(ctx, redisscript.Call{Script: s.scripts.refresh, Key: recordKey(id), Args: args})
	if err != nil {
		return session.Session{}, 0, unavailable(doing, err)
	}
	a, err := parseAnswer(cmd, id)
	if err != nil {
		return session.Session{}, 0, unavailable(doing, err)
	}
	a.record.session.PreviousAddress = a.previous
	switch outcome := session.Outcome(a.code); outcome {
	case 0:
		n, err := a.live(l)
		if err == nil {
			err = unavailable(doing, errors.New("the script did not refresh a live session"))
		}
		return n, 0, err
	case session.Reused:
		if err := s.End(ctx, id); err != nil { // it has ended already; this lets replicas confirm it
			return session.Session{}, 0, err
		}
		return a.record.session, outcome, nil
	case session.Rotated, session.Adopted:
		s.enterAgain(ctx, a.record.session)
		return a.record.session, outcome, nil
	default:
		return a.record.session, outcome, nil
	}
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, subject string, l session.Limits) ([]session.Session, error) {
	const doing = "listing sessions"
	ids, err := s.members(ctx, subject)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	calls := make([]redisscript.Call, len(ids))
	for i, id := range ids {
		calls[i] = redisscript.Call{Script: s.scripts.get, Key: recordKey(id)}
	}
	cmds, err := s.redis.RunAll(ctx, calls...)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var list []session.Session
	for i, cmd := range cmds {
		a, err := parseAnswer(cmd, ids[i])
		if err != nil {
			return nil, unavailable(doing, err)
		}
		if n, err := a.live(l); err == nil {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b session.Session) int {
		return cmp.Or(b.LastUsedAt.Compare(a.LastUsedAt), slices.Compare(a.ID[:], b.ID[:]))
	})
	return list, nil
}

// unavailable marks an error of the server, or the end of the caller's context, as one whose outcome is unknown.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, session.ErrUnavailable, err)
}
