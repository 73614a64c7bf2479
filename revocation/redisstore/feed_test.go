package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// listen follows feed from a position until a batch proves something, and returns all that came.
func listen(t *testing.T, feed revocation.Feed, from revocation.Position) (entries []revocation.Entry, at revocation.Position) {
	t.Helper()
	enough := errors.New("enough")
	at = from
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := feed.Follow(ctx, from, func(b revocation.Batch) error {
		entries = append(entries, b.Entries...)
		if b.Position != (revocation.Position{}) {
			at = b.Position
		}
		if !b.AsOf.IsZero() {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("Follow: %v", err)
	}
	return entries, at
}

// many returns entries of sessions with these names' prefix.
func many(prefix string, n int) (entries []revocation.Entry) {
	for _, name := range names(prefix, n) {
		e, _ := session(name)
		entries = append(entries, e)
	}
	return entries
}

func add(t *testing.T, a *authd, entries ...revocation.Entry) {
	t.Helper()
	if err := a.store.Add(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
}

// A follower for which the stream no longer reaches back gets everything, and one for which it does gets the rest.
func TestTrimmedPastFollower(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	add(t, a, many("early", 500)...)
	_, early := listen(t, a.store, revocation.Position{})
	add(t, a, many("middle", 500)...)
	_, middle := listen(t, a.store, revocation.Position{})
	// A mark that another server's clock has left in the future is not waited for.
	future := time.Now().Add(24 * time.Hour).UnixMilli()
	if err := client.HSet(t.Context(), "{authd:rev}:meta", "mark_ms", future, "mark_seq", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first sets the mark, the second trims to it
		if err := a.store.Sweep(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.XLen(t.Context(), "{authd:rev}:changes").Val(); n > 100 { // a node of the stream may stay
		t.Fatalf("%d changes are left in the stream", n)
	}
	add(t, a, many("late", 5)...)

	entries, at := listen(t, a.store, early)
	if len(entries) < 1005 || at.Seq != 1005 {
		t.Errorf("a follower at %v got %d entries and is at %v; want all 1005", early, len(entries), at)
	}
	entries, at = listen(t, a.store, middle)
	if len(entries) != 5 || at.Seq != 1005 {
		t.Errorf("a follower at %v got %d entries and is at %v; want the latest 5", middle, len(entries), at)
	}
}

// A follower that is behind gets no proof before it has caught up with where the set was when it asked.
func TestNoProofWhileBehind(t *testing.T) {
	t.Parallel()
	a := startAuthd(t, redisstore.Config{Client: connect(t, testenv.Redis(t)), Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	_, at := listen(t, a.store, revocation.Position{})
	const missed = 3500 // several pages
	add(t, a, many("missed", missed)...)
	entries, at := listen(t, a.store, at)
	if len(entries) != missed || at.Seq != missed {
		t.Errorf("the first proof came with %d entries at %v, want %d", len(entries), at, missed)
	}
}

// Sweeping forgets what has expired a while ago, with its cut-off, and nothing else.
func TestSweepForgetsExpired(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	kept := many("kept", 3)
	var expired []revocation.Entry
	for i, name := range names("expired", 2500) { // more than a page
		expired = append(expired, revocation.Entry{
			Kind: revocation.Subject, ID: revocation.IDOf(revocation.Subject, name), NotBefore: 1,
			Expires: time.Now().Add(-2*time.Minute).Unix() - int64(i),
		})
	}
	justNow := many("just now", 1)
	justNow[0].Expires = time.Now().Unix()
	add(t, a, expired...)
	add(t, a, kept...)
	add(t, a, justNow...)
	if err := a.store.Sweep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := client.ZCard(t.Context(), "{authd:rev}:entries").Val(); n != 4 {
		t.Errorf("%d entries are left, want 4", n)
	}
	if n := client.HLen(t.Context(), "{authd:rev}:cutoffs").Val(); n != 0 {
		t.Errorf("%d cut-offs are left, want none", n)
	}
}

// A stream with a hole, which no failure known makes, is noticed all the same.
func TestHoleInStream(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	add(t, a, many("first", 3)...)
	_, at := listen(t, a.store, revocation.Position{})
	entries := many("second", 3)
	add(t, a, entries...)
	if err := client.XDel(t.Context(), "{authd:rev}:changes", fmt.Sprintf("%d-0", at.Seq+2)).Err(); err != nil {
		t.Fatal(err)
	}
	got, at := listen(t, a.store, at)
	if len(got) < 6 || at.Seq != 6 {
		t.Errorf("got %d entries and the position %v, want everything", len(got), at)
	}
}

// What cannot be read ends Follow: to go on without it would be to forget a revocation.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*redis.Client) error{
		"member": func(c *redis.Client) error {
			return c.ZAdd(t.Context(), "{authd:rev}:entries", redis.Z{Score: 1e10, Member: "short"}).Err()
		},
		"kind": func(c *redis.Client) error {
			return c.ZAdd(t.Context(), "{authd:rev}:entries", redis.Z{Score: 4e9, Member: "\x09aaaaaaaaaaaaaaaa"}).Err()
		},
		"no cut-off": func(c *redis.Client) error {
			return c.ZAdd(t.Context(), "{authd:rev}:entries", redis.Z{Score: 4e9, Member: "\x03aaaaaaaaaaaaaaaa"}).Err()
		},
		"expiry": func(c *redis.Client) error {
			return c.ZAdd(t.Context(), "{authd:rev}:entries", redis.Z{Score: 4e9 + 0.5, Member: "\x02aaaaaaaaaaaaaaaa"}).Err()
		},
		"type": func(c *redis.Client) error {
			return errors.Join(c.Del(t.Context(), "{authd:rev}:entries").Err(), c.Set(t.Context(), "{authd:rev}:entries", "x", 0).Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, testenv.Redis(t))
			a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
			eventually(t, "live set", isLive(a))
			if err := spoil(client); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := a.store.Follow(ctx, revocation.Position{}, func(b revocation.Batch) error {
				if !b.AsOf.IsZero() {
					return errors.New("it vouches for garbage")
				}
				return nil
			})
			if !errors.Is(err, revocation.ErrUnavailable) || ctx.Err() != nil {
				t.Errorf("Follow returned %v, want %v", err, revocation.ErrUnavailable)
			}
		})
	}
}

// While nobody has begun an epoch, a follower hears that the feed lives, and nothing else.
func TestNoAuthdYet(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	feed, err := redisstore.NewFeed(client, redisstore.FeedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := startMirror(t, feed)
	n := 0
	enough := errors.New("enough")
	err = feed.Follow(t.Context(), revocation.Position{}, func(b revocation.Batch) error {
		if len(b.Entries) > 0 || !b.AsOf.IsZero() || b.Position != (revocation.Position{}) {
			t.Errorf("got %+v from an empty server", b)
		}
		if n++; n == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	if err := m.Check(t.Context(), live); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("a mirror vouches for an empty server: %v", err)
	}
	startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "mirror that accepts", func() bool { return m.Check(t.Context(), live) == nil })
}
