package etcdstore_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/etcdstore"
)

// An etcd that lost its disk gets the ring back from whoever has it, whatever is asked of him first.
func TestLostRingIsPutBack(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	s := newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	fresh := newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	for want := keys.Term(1); want <= 2; want++ {
		if got := claim(t, s); got != want {
			t.Fatalf("term %d, want %d", got, want)
		}
		before, version := load(t, s)
		server.RestartEmpty()
		after, now := load(t, s)
		if after.Term != want || after.Holder != before.Holder || now != version {
			t.Errorf("put back %v, version %s; want %v, version %s", after, now, before, version)
		}
		server.RestartEmpty()
	}
	if ring, version := load(t, fresh); version != "" {
		t.Errorf("who has seen nothing loads %v", ring)
	}
}

// Of many that find the ring deleted one puts it back, and the others see that it is there.
func TestLostRingIsPutBackOnce(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	admin := connect(t, server.Addr)
	stores := make([]keys.Store, 8)
	for i := range stores {
		stores[i] = newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	}
	claim(t, stores[0])
	for range 10 {
		for _, s := range stores {
			load(t, s)
		}
		if _, err := admin.Delete(t.Context(), ringKey); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, s := range stores {
			wg.Go(func() {
				if ring, _, err := s.Load(t.Context()); err != nil || ring.Term != 1 {
					t.Errorf("got %v, %v; want the ring of term 1", ring, err)
				}
			})
		}
		wg.Wait()
	}
}

// An older ring, as of a backup, is not taken for the current one by who has seen that.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	s := newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	claim(t, s)
	backup := server.Backup()
	claim(t, s)
	claim(t, s)
	server.RestartFrom(backup)
	if ring, _ := load(t, newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})); ring.Term != 1 {
		t.Fatalf("the backup has term %d, want 1", ring.Term)
	}
	if term := claim(t, s); term != 4 {
		t.Errorf("term %d after the backup was restored, want 4", term)
	}
}

// A version from before a backup was restored means nothing after it, although etcd gives the same revisions again.
func TestVersionsAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	server, codec := testenv.Etcd(t), keys.NewCodec(keys.GenerateKEK())
	admin := connect(t, server.Addr)
	open := func() keys.Store { // as another process that knows nothing yet
		return newStore(t, etcdstore.Config{Client: connect(t, server.Addr), Codec: codec})
	}
	claim(t, open())
	backup := server.Backup()
	claim(t, open())
	_, version := load(t, open())
	revision := revisionOf(t, admin)

	server.RestartFrom(backup)
	term := claim(t, open())
	if again := revisionOf(t, admin); again != revision {
		t.Fatalf("revision %d, want %d again", again, revision)
	}
	if _, now := load(t, open()); now == version {
		t.Errorf("version %s names two rings", version)
	}
	if _, err := open().Update(t.Context(), term, version, keys.Ring{}); !errors.Is(err, keys.ErrStale) {
		t.Errorf("a write on a version from before: %v, want ErrStale", err)
	}
}

// A ring that went back is not restored from an old sight, nor is an old sight taken for an empty store.
func TestOldRingIsNotPutBack(t *testing.T) {
	t.Parallel()
	admin := connect(t, testenv.Etcd(t).Addr)
	now := time.Unix(1_700_000_000, 0)
	s := newStore(t, etcdstore.Config{Client: admin, ViewAge: time.Minute, Now: func() time.Time { return now }})
	claim(t, s)
	if _, err := admin.Delete(t.Context(), ringKey); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute + 1)
	_, _, err := s.Load(t.Context())
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "lost the key ring") {
		t.Errorf("load: %v, want ErrUnavailable, which says why", err)
	}
	if _, err := s.Claim(t.Context(), "somebody"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("claim: %v, want ErrUnavailable", err)
	}
	if revision := revisionOf(t, admin); revision != 0 {
		t.Errorf("a ring was written at revision %d", revision)
	}
}

// A ring that is seen again stays fresh, also when it was put back.
func TestSightStaysFresh(t *testing.T) {
	t.Parallel()
	admin := connect(t, testenv.Etcd(t).Addr)
	now := time.Unix(1_700_000_000, 0)
	s := newStore(t, etcdstore.Config{Client: admin, ViewAge: time.Minute, Now: func() time.Time { return now }})
	claim(t, s)
	lost := func() {
		t.Helper()
		now = now.Add(time.Minute)
		if _, err := admin.Delete(t.Context(), ringKey); err != nil {
			t.Fatal(err)
		}
		if ring, _ := load(t, s); ring.Term != 1 {
			t.Errorf("got %v, want the ring of term 1 back", ring)
		}
	}
	lost()
	lost()
	now = now.Add(time.Minute)
	load(t, s)
	lost()
}

// What somebody wrote by hand is not taken for a ring without a version that authd could have given it.
func TestForeignValue(t *testing.T) {
	t.Parallel()
	admin, codec := connect(t, testenv.Etcd(t).Addr), keys.NewCodec(keys.GenerateKEK())
	claim(t, newStore(t, etcdstore.Config{Client: admin, Codec: codec}))
	resp, err := admin.Get(t.Context(), ringKey)
	if err != nil {
		t.Fatal(err)
	}
	_, ring, _ := strings.Cut(string(resp.Kvs[0].Value), "\n")
	for line, good := range map[string]bool{
		"7.A\n": true, "": false, "\n": false, "7\n": false, "7.\n": false, "0.A\n": false, "x.A\n": false, "-1.A\n": false,
	} {
		if _, err := admin.Put(t.Context(), ringKey, line+ring); err != nil {
			t.Fatal(err)
		}
		if _, _, err := newStore(t, etcdstore.Config{Client: admin, Codec: codec}).Load(t.Context()); (err == nil) != good {
			t.Errorf("after %q: %v", line, err)
		}
	}
}
