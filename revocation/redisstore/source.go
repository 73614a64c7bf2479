package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/redisurl"
	"github.com/authd-project/authd/revocation"
)

// SourceConfig may be left zero.
type SourceConfig struct {
	// MaxStaleness is for direct checks where replicas confirm: how long ago they may have confirmed, for the last time,
	// that the server that answers is the primary. Default 5 s.
	MaxStaleness time.Duration
	Timeout      time.Duration    // for one round trip; default 1 s
	Logger       *slog.Logger     // default: discards
	Now          func() time.Time // default time.Now; must carry a monotonic reading
}

// Source is what a service that may read the set verifies tokens by: a [revocation.Feed] for its mirror and a
// [revocation.Checker] for what it would rather ask about. It only reads, whatever the rights of its user: services come
// and go by the hundred, and an authd that waited for each of them to write back what it held would be in their hands.
type Source struct {
	feed    *Feed
	checker *Checker
	own     redis.UniversalClient // to be closed; nil when it was given
}

var (
	_ revocation.Feed    = (*Source)(nil)
	_ revocation.Checker = (*Source)(nil)
)

// OpenSource returns a source for the servers that a URL names, as docs/redis.md describes it. It does not connect yet;
// it fails only for an invalid URL or configuration. Errors never contain a password.
func OpenSource(url string, cfg SourceConfig) (*Source, error) {
	client, err := redisurl.Open(url)
	if err != nil {
		return nil, err
	}
	s, err := NewSource(client, cfg)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	s.own = client
	return s, nil
}

// NewSource is OpenSource over a client that stays the caller's to close, after the source. It must be as for [NewFeed].
func NewSource(client redis.UniversalClient, cfg SourceConfig) (*Source, error) {
	feed, err := NewFeed(client, FeedConfig{Timeout: cfg.Timeout, Logger: cfg.Logger, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	checker, err := NewChecker(client, CheckerConfig{MaxStaleness: cfg.MaxStaleness, Timeout: cfg.Timeout})
	if err != nil {
		return nil, err
	}
	return &Source{feed: feed, checker: checker}, nil
}

// Close waits for the checks under way and closes what OpenSource has opened. Whoever follows or asks the source, such
// as a guard, is closed first.
func (s *Source) Close() error {
	s.checker.Close()
	if s.own == nil {
		return nil
	}
	if err := s.own.Close(); err != nil {
		return fmt.Errorf("closing the connections to redis: %w", err)
	}
	return nil
}

// Follow implements [revocation.Feed]; see [Feed.Follow].
func (s *Source) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return s.feed.Follow(ctx, from, apply)
}

// Check implements [revocation.Checker]; see [Checker.Check].
func (s *Source) Check(ctx context.Context, c revocation.Claims) error {
	return s.checker.Check(ctx, c)
}
