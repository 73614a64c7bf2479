package redisstore

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/authd-project/authd/internal/redisscript"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

// stoppedClock goes before a script, which then takes the time from its last argument, in Unix microseconds.
const stoppedClock = `
local server = redis
local redis = {error_reply = server.error_reply, call = function(command, ...)
	if command == "TIME" then
		local now = ARGV[#ARGV]
		return {string.sub(now, 1, -7), string.sub(now, -6)}
	end
	return server.call(command, ...)
end}
`

// The script computes exactly what session.Decide does, from any chain and at any time, to the microsecond. So all that
// is tested of Decide holds for the script.
func TestScriptEqualsDecide(t *testing.T) {
	client := testenv.ConnectRedis(t, testenv.Redis(t))
	store := newStore(t, Config{Client: client})
	store.scripts.refresh = redis.NewScript(stoppedClock + refreshSource)
	began := client.Time(t.Context()).Val()
	rapid.Check(t, func(rt *rapid.T) {
		l := drawLimits(rt)
		now := began
		want := drawLive(rt, now, l)
		write(rt, client, want)
		for range rapid.IntRange(1, 4).Draw(rt, "calls") {
			presented := drawPresented(rt, want.Chain.Generation)
			use := session.Use{Address: rapid.String().Draw(rt, "address")}
			previous := want.Address
			a := refresh(rt, store, want.ID, presented, use, l, now)
			var outcome session.Outcome
			if !want.Expired(now, l) {
				var chain session.Chain
				chain, outcome = session.Decide(want.Chain, presented, now, l)
				if outcome != session.Reused {
					want.Chain, want.LastUsedAt, want.Address = chain, now, use.Address
				}
			}
			if session.Outcome(a.code) != outcome || !reflect.DeepEqual(a.record.session, want) {
				rt.Fatalf("%d presented at %v with %+v:\nredis %v, %+v\ngo    %v, %+v",
					presented, now, l, session.Outcome(a.code), a.record.session, outcome, want)
			}
			if outcome != 0 && a.previous != previous {
				rt.Fatalf("previous address %q, want %q", a.previous, previous)
			}
			wantStored(rt, client, want, outcome, now, l)
			if outcome == 0 || outcome == session.Reused {
				return
			}
			now = now.Add(drawStep(rt, l))
		}
	})
}

// refresh is Store.Refresh with all that the script answers.
func refresh(t *rapid.T, s *Store, id session.ID, presented uint64, use session.Use, l session.Limits,
	now time.Time,
) answer {
	args, err := refreshArgs(presented, use, l, s.keepEnded)
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := s.redis.Run(context.Background(), redisscript.Call{
		Script: s.scripts.refresh, Key: recordKey(id), Args: append(args, now.UnixMicro()),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := parseAnswer(cmd, id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantStored checks what a refresh left in the server, and when the server will delete it.
func wantStored(t *rapid.T, client *redis.Client, want session.Session, o session.Outcome, now time.Time, l session.Limits) {
	const keepEnded = time.Hour // the default
	key := recordKey(want.ID)
	stored, err := parseRecord(want.ID, client.Get(context.Background(), key).Val())
	if err != nil {
		t.Fatal(err)
	}
	wantRecord, wantExpiry := record{stateLive, want}, want.Expires(l).Add(keepEnded)
	if o == session.Reused {
		wantRecord = record{stateEnded, session.Session{
			ID: want.ID, Subject: want.Subject, EndedAt: time.UnixMicro(now.UnixMicro()),
		}}
		wantExpiry = now.Add(keepEnded)
	}
	if !reflect.DeepEqual(stored, wantRecord) {
		t.Fatalf("after %v: stored %+v\nwant %+v", o, stored, wantRecord)
	}
	if o == 0 {
		return // it was not written, so when it goes was not set
	}
	expiry := time.UnixMilli(client.PExpireTime(context.Background(), key).Val().Milliseconds())
	if late := expiry.Sub(wantExpiry); late < 0 || late > time.Millisecond+time.Microsecond {
		t.Fatalf("after %v: expires at %v, want %v", o, expiry, wantExpiry)
	}
}

// drawLimits draws limits that are no round numbers, as rounding them is a part of what is tested.
func drawLimits(t *rapid.T) session.Limits {
	nanos := func(name string, least, most time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(int64(least), int64(most)).Draw(t, name))
	}
	l := session.Limits{
		Idle:       nanos("idle", time.Second, 30*24*time.Hour),
		Grace:      rapid.SampledFrom([]time.Duration{1, 999, 30 * time.Second}).Draw(t, "grace") + nanos("more", 0, time.Hour),
		MaxReplays: rapid.IntRange(1, 3).Draw(t, "replays"),
	}
	l.Absolute = l.Idle + nanos("absolute", 0, 300*24*time.Hour)
	return l
}

// drawLive draws a session, which may be at one of its limits, its grace may be over any moment, and it may be ahead of
// a clock that was set back.
func drawLive(t *rapid.T, now time.Time, l session.Limits) session.Session {
	ago := func(name string, around time.Duration) time.Time {
		off := time.Duration(rapid.Int64Range(-2, 2).Draw(t, name+" off by µs")) * time.Microsecond
		return time.UnixMicro(now.Add(-around - off).UnixMicro())
	}
	some := func(name string, of ...time.Duration) time.Duration { return rapid.SampledFrom(of).Draw(t, name) }
	s := session.Session{
		ID: session.ID{1}, Subject: rapid.String().Draw(t, "subject"), UserAgent: rapid.String().Draw(t, "agent"),
		AuthTime:   time.Unix(1_700_000_000, 0),
		CreatedAt:  ago("created", some("created", 0, l.Absolute/2, l.Absolute)),
		LastUsedAt: ago("used", some("used", 0, l.Idle/2, l.Idle)),
	}
	s.Chain = session.Chain{
		Generation: rapid.OneOf(rapid.Uint64Range(1, 5), rapid.Uint64Range(maxGeneration-9, maxGeneration-5)).Draw(t, "generation"),
		Since:      ago("since", some("since", 0, l.Grace/2, l.Grace, 2*l.Grace, -l.Grace/2, -l.Grace, -2*l.Grace)),
		Replays:    rapid.IntRange(0, l.MaxReplays).Draw(t, "replays"),
	}
	return s
}

// drawStep draws a time between two calls, none or about the grace.
func drawStep(t *rapid.T, l session.Limits) time.Duration {
	step := rapid.SampledFrom([]time.Duration{0, l.Grace / 2, l.Grace, l.Grace + time.Microsecond}).Draw(t, "step")
	return step.Truncate(time.Microsecond)
}

func drawPresented(t *rapid.T, generation uint64) uint64 {
	return uint64(max(0, int64(generation)+rapid.Int64Range(-3, 1).Draw(t, "presented")))
}

// write stores a session as it is.
func write(t *rapid.T, client *redis.Client, n session.Session) {
	described, err := describe(n)
	if err != nil {
		t.Fatal(err)
	}
	stored := fmt.Sprintf("live %d %d %d %d %d\n%s", n.Chain.Generation, n.Chain.Since.UnixMicro(), n.Chain.Replays,
		n.CreatedAt.UnixMicro(), n.LastUsedAt.UnixMicro(), described)
	if err := client.Set(context.Background(), recordKey(n.ID), stored, 0).Err(); err != nil {
		t.Fatal(err)
	}
}
