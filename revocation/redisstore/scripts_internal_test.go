package redisstore

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
)

// add.lua is the join of revocation.Entry.Merge (V3), numbers what is news densely (V4), and what the sorted set and
// the cut-offs say is the union of the stream.
func TestAddScript(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: testenv.Redis(t), ContextTimeoutEnabled: true})
	defer client.Close()
	server, err := newServer(client, patience, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		store := emptyStore(ctx, t, server)
		epoch := store.epoch()
		model := map[name]revocation.Entry{}
		seq := 0
		for range rapid.IntRange(1, 6).Draw(t, "calls") {
			entries := rapid.SliceOfN(rapid.Custom(anyEntry), 1, 12).Draw(t, "entries")
			var want []revocation.Entry
			for _, e := range entries {
				n := name{e.Kind, e.ID}
				old, known := model[n]
				joined := e
				if known {
					joined = old.Merge(e)
				}
				if !known || joined != old {
					model[n] = joined
					want = append(want, e)
					seq++
				}
			}
			got, err := store.write(ctx, epoch, entries, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d entries are news, want %d", len(got), len(want))
			}
		}
		if _, err := store.write(ctx, "another epoch", []revocation.Entry{anyEntry(t)}, 0); !isEpochOver(err) {
			t.Fatalf("a write under another epoch: %v", err)
		}
		checkKept(ctx, t, client, model, seq)
	})
}

// The WAIT behind a repeat that changes nothing must wait for something: the script writes in any case.
func TestAddScriptAlwaysWrites(t *testing.T) {
	store, client := openStore(t)
	e := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 1 << 31}
	var dirty []string
	for range 2 {
		if _, err := store.write(t.Context(), store.epoch(), []revocation.Entry{e}, 0); err != nil {
			t.Fatal(err)
		}
		dirty = append(dirty, infoField(client.Info(t.Context(), "persistence").Val(), "rdb_changes_since_last_save"))
	}
	if dirty[0] == dirty[1] {
		t.Errorf("a repeat leaves the server with %s changes: it has written nothing", dirty[1])
	}
}

// Confirmations may come out of order, from several authds.
func TestConfirmScriptNeverGoesBack(t *testing.T) {
	store, client := openStore(t)
	for _, c := range []struct {
		epoch string
		beat  int
		want  string
	}{
		{store.epoch(), 5, "5"}, {store.epoch(), 4, "5"}, {"another epoch", 6, "5"}, {store.epoch(), 6, "6"},
	} {
		err := store.server.roundTrip(t.Context(), 0, func(ctx context.Context, p pipe) {
			p.run(ctx, confirmScript, c.epoch, c.beat, 1)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := client.HGet(t.Context(), metaKey, "confirmed").Val(); got != c.want {
			t.Errorf("after beat %d of %s: confirmed %s, want %s", c.beat, c.epoch, got, c.want)
		}
	}
}

func openStore(t *testing.T) (*Store, *redis.Client) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: testenv.Redis(t), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	store, err := Open(t.Context(), Config{Client: client, Mirror: revocation.NewMirror(revocation.MirrorConfig{})})
	if err != nil {
		t.Fatal(err)
	}
	return store, client
}

const patience = 30e9 // ns

// emptyStore returns a store on an emptied server, with nothing running.
func emptyStore(ctx context.Context, t *rapid.T, server server) *Store {
	if err := server.client.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, Config{Client: server.client, Timeout: patience, Mirror: revocation.NewMirror(revocation.MirrorConfig{})})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkKept compares what the server keeps with the model.
func checkKept(ctx context.Context, t *rapid.T, client *redis.Client, model map[name]revocation.Entry, seq int) {
	union := map[name]revocation.Entry{}
	changes := client.XRange(ctx, changesKey, "-", "+").Val()
	for i, m := range changes {
		e, err := changeOf(m, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		n := name{e.Kind, e.ID}
		if old, ok := union[n]; ok && old.Merge(e) != e {
			t.Fatalf("change %d weakens %+v to %+v", i+1, old, e)
		}
		union[n] = e
	}
	if got := client.HGet(ctx, metaKey, "seq").Val(); got != strconv.Itoa(seq) || len(changes) != seq {
		t.Fatalf("the sequence is at %s with %d changes, want %d", got, len(changes), seq)
	}
	kept := client.ZRangeWithScores(ctx, entriesKey, 0, -1).Val()
	if len(kept) != len(model) || len(union) != len(model) {
		t.Fatalf("%d entries are kept and %d in the stream, want %d", len(kept), len(union), len(model))
	}
	for _, z := range kept {
		e, err := decodeMember(z.Member.(string))
		if err != nil {
			t.Fatal(err)
		}
		e.Expires = int64(z.Score)
		if hasCutoff(e.Kind) {
			e.NotBefore, _ = client.HGet(ctx, cutoffsKey, z.Member.(string)).Int64()
		}
		n := name{e.Kind, e.ID}
		if e != model[n] || union[n] != model[n] {
			t.Fatalf("kept %+v, in the stream %+v, want %+v", e, union[n], model[n])
		}
	}
}
