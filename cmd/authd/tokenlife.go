package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
)

// tokenLife remembers how long tokens may live that were issued before this start. When access-ttl is lowered, tokens of
// the old, longer life live on: their keys and revocations must be kept for them, not for the new ones.
type tokenLife struct {
	AccessTTL time.Duration `json:"access_ttl"` // of the tokens being issued since the last start
	Until     time.Time     `json:"until"`      // when the last token issued before that start is dead
}

// starting is the state when an authd with this access-ttl starts. A token may have been issued a moment ago.
func (l tokenLife) starting(accessTTL time.Duration, now time.Time) tokenLife {
	until := now.Add(l.AccessTTL)
	if l.Until.After(until) {
		until = l.Until
	}
	return tokenLife{AccessTTL: accessTTL, Until: until}
}

// longest is how much longer any token may live, of those alive at start and those issued since.
func (l tokenLife) longest(start time.Time) time.Duration {
	return max(l.AccessTTL, l.Until.Sub(start))
}

// ringTokenLife is how long tokens may live that other authd have issued, or this one with another data folder. A key is
// kept longer than this policy asks for because it signed tokens that live longer. What it is kept for is a little more
// than they live.
func ringTokenLife(ring keys.Ring, policy keys.Policy) (life time.Duration) {
	for _, k := range ring.Keys {
		if k.KeepFor > policy.RetiredFor() {
			life = max(life, k.KeepFor)
		}
	}
	return life
}

// startTokenLife returns the longest life of any token there is or will be, after it noted this start in the embedded
// store, before the first token is issued.
func startTokenLife(ctx context.Context, file *boltfile.File, accessTTL time.Duration, now time.Time) (time.Duration, error) {
	bucket, key := []byte("authd"), []byte("token_life")
	var l tokenLife
	err := file.Update(ctx, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		var stored tokenLife
		if data := b.Get(key); data != nil {
			if err := json.Unmarshal(data, &stored); err != nil {
				return err
			}
		}
		l = stored.starting(accessTTL, now)
		data, err := json.Marshal(l)
		if err != nil {
			return err
		}
		return b.Put(key, data)
	})
	if err != nil {
		return 0, fmt.Errorf("remembering the longest life of a token: %w", err)
	}
	return l.longest(now), nil
}
