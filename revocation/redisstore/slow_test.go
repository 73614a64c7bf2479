package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// The stream is trimmed to nothing again and again, while one mirror is cut off and comes back.
func TestTrimmedPastSlowMirror(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	s := newScenario(t, 0, dialer(addr))
	proxy := testenv.NewProxy(t, addr)
	feed, err := redisstore.NewFeed(connect(t, proxy.Addr), redisstore.FeedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	slow := startMirror(t, feed)
	w := &witness{name: "slow mirror", t: t, ledger: &s.ledger}
	s.check = append(s.check, w)
	look := func() { w.judge(slow, bound); w.judgeProof(slow) }
	for range 3 {
		eventually(t, "slow mirror that is fresh", func() bool { look(); return slow.Status().Fresh })
		at := slow.Status().Position
		proxy.Swallow()
		s.traffic() // more than fits one node of the stream, which goes whole or not at all
		s.traffic()
		for range 2 { // the first sets a mark, the second trims to it
			if err := s.authds[0].store.Sweep(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "slow mirror that says so", func() bool { look(); return !slow.Status().Fresh })
		number, _, _ := strings.Cut(connect(t, addr).XInfoStream(t.Context(), "{authd:rev}:changes").Val().FirstEntry.ID, "-")
		if oldest, err := strconv.ParseUint(number, 10, 64); err != nil || oldest <= at.Seq+1 {
			t.Fatalf("the stream begins at %q, so the mirror at %v has lost nothing: %v", number, at, err)
		}
		proxy.Pass()
	}
	eventually(t, "slow mirror that is fresh", func() bool { look(); return slow.Status().Fresh })
	s.finish()
}

// lots is how many revocations a mirror is behind.
const lots = 1_000_000

// revokeLots adds many entries as others would, on the server itself, in steps that let it answer in between.
func revokeLots(t *testing.T, client *redis.Client, from int) {
	t.Helper()
	const step = 10_000
	script := redis.NewScript(`
local expires = tonumber(ARGV[3])
local seq = tonumber(redis.call("HGET", KEYS[1], "seq"))
for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do
	local member = string.char(2) .. string.format("lots %011d", i)
	redis.call("ZADD", KEYS[2], expires, member)
	seq = seq + 1
	redis.call("XADD", KEYS[3], string.format("%.0f-0", seq), "e", member .. struct.pack(">I4I4", 0, expires))
end
redis.call("HSET", KEYS[1], "seq", string.format("%.0f", seq))
return seq`)
	keys := []string{"{authd:rev}:meta", "{authd:rev}:entries", "{authd:rev}:changes"}
	for i := 0; i < lots; i += step {
		if err := script.Run(t.Context(), client, keys, from+i, step, time.Now().Add(time.Hour).Unix()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// one of them.
func one(i int) revocation.Claims {
	var id revocation.ID
	copy(id[:], fmt.Sprintf("lots %011d", i))
	return revocation.Claims{Session: id, IssuedAt: time.Now().Unix()}
}

// A mirror that comes back a million entries behind says that it is stale until it has caught up.
func TestMillionBehind(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthdWithoutMirror(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	feed, err := redisstore.NewFeed(client, redisstore.FeedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: bound, History: -1})
	ctx, cancel := context.WithCancel(t.Context())
	var first errgroup.Group
	first.Go(func() error { return m.Run(ctx, feed) })
	eventually(t, "mirror that accepts", func() bool { return m.Check(t.Context(), live) == nil })
	cancel()
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	revokeLots(t, client, 0)
	eventually(t, "mirror that is stale", func() bool { return m.Check(t.Context(), live) != nil })
	runMirror(t, m, feed)

	behind := 0
	for deadline := time.Now().Add(10 * patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		err := m.Check(t.Context(), live)
		n := m.Status().Entries[revocation.Session]
		switch {
		case err == nil && denied(m, one(0)) && denied(m, one(lots/2)) && denied(m, one(lots-1)) && n == lots:
			if behind == 0 {
				t.Error("it was never seen catching up, so this shows nothing")
			}
			return
		case err == nil:
			t.Fatalf("it vouches for a set of which it has %d entries", n)
		case !errors.Is(err, revocation.ErrUnavailable):
			t.Fatal(err)
		case n > 0 && n < lots:
			behind++
		}
	}
	t.Fatalf("it has %d entries after %v", m.Status().Entries[revocation.Session], 10*patience)
}
