// Package redisreplay remembers used DPoP proofs in Redis, for servers that share them: a proof that was used at one is
// refused at all.
//
// A proof is one key, authd:dpop:{DIGEST}, for as long as the proof could be used, set by one SET NX: one round trip, in a
// cluster too. What Redis loses in a failover can be used once more while it is young.
package redisreplay

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/dpop"
)

// Store is dpop.Replays in Redis. Methods may be called concurrently.
type Store struct {
	client  redis.UniversalClient
	timeout time.Duration
}

var _ dpop.Replays = (*Store)(nil)

// New returns a store. The client must have been made with ContextTimeoutEnabled, and stays the caller's to close. timeout
// bounds one question, whatever the client retries; default 1 s.
func New(client redis.UniversalClient, timeout time.Duration) *Store {
	return &Store{client, cmp.Or(timeout, time.Second)}
}

// Spend implements [dpop.Replays]. A question that got lost may be repeated by the client library, and find its own answer:
// such a proof is refused as replayed, and the sender makes another.
func (s *Store) Spend(ctx context.Context, _ string, name dpop.Name, keep time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	key := "authd:dpop:{" + base64.RawURLEncoding.EncodeToString(name[:]) + "}"
	err := s.client.SetArgs(ctx, key, "", redis.SetArgs{Mode: "NX", TTL: keep}).Err()
	switch {
	case errors.Is(err, redis.Nil):
		return dpop.ErrReplayed
	case err != nil:
		return fmt.Errorf("%w: remembering a proof: %w", dpop.ErrUnavailable, err)
	}
	return nil
}
