package main_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
)

// A region is lost with all that is in it: authd, the Redis that takes writes, the leader. The other region has a replica of that
// Redis, a service, and the key-encryption key. Its replica is promoted, authd is started there, and what was acknowledged
// before holds: with redis-replicas 1 all of it.
func TestDrillRegionLost(t *testing.T) {
	t.Parallel()
	one, other := testenv.NewRedis(t), testenv.NewRedis(t)
	replica := testenv.ConnectRedis(t, other.Addr)
	host, port, err := net.SplitHostPort(one.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	front := freeAddress(t) // what DNS leads to: one region, then the other
	folders := sharedUsers(t, 3)
	kek := newKEK(t)
	args := []string{"--kek-file", kek, "--issuer", "http://" + front, "--election-lease", lease.String(), "--redis-replicas", "1"}
	a := serve(t, folders[0], append(args, "--listen", front, "--redis", "redis://"+one.Addr)...)
	a2 := serve(t, folders[1], append(args, "--redis", "redis://"+one.Addr)...)
	service := follow(t, a.URL) // in the other region
	stays, leaves := a.login(t, "alice", alicesPassword), a.login(t, "alice", alicesPassword)
	until(t, "a token at the service", func() bool { return service.ask(stays) == http.StatusOK })
	jwks := a.jwks(t)
	a2.logout(t, leaves, "session")
	until(t, "the logout at the service", func() bool { return service.ask(leaves) == http.StatusUnauthorized })
	late := a.login(t, "alice", alicesPassword)
	a2.logout(t, late, "session") // acknowledged: the Redis of the other region has it, if perhaps no verifier

	a.kill()
	a2.kill()
	one.Kill()
	began := time.Now()
	never := func() {
		t.Helper()
		if status := service.ask(leaves); status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
			t.Fatalf("the service answers %d to who logged out", status)
		}
	}
	until(t, "a service that cannot tell any more", func() bool { never(); return service.ask(stays) == http.StatusServiceUnavailable })
	outcome(t, "region lost: verifiers elsewhere went on", began)
	leaves = late // which may have been accepted until now, within max-staleness, and is never again

	if err := replica.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	promoted := time.Now()
	// With no replica behind it any more, no write can be confirmed by one.
	b := serve(t, folders[2], "--kek-file", kek, "--issuer", "http://"+front, "--election-lease", lease.String(),
		"--listen", front, "--redis", "redis://"+other.Addr)
	until(t, "the service again", func() bool { never(); return service.ask(stays) == http.StatusOK })
	outcome(t, "region lost: serving in the other one, from the promotion on", promoted)
	if b.jwks(t) != jwks {
		t.Error("the keys are others")
	}
	if _, status := b.refresh(t, stays.RefreshToken); status != http.StatusOK {
		t.Errorf("a session goes on with %d", status)
	}
	if _, status := b.refresh(t, leaves.RefreshToken); status != http.StatusUnauthorized {
		t.Errorf("a session that ended goes on with %d", status)
	}
	if status := b.verify(t, leaves.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("the token of a session that ended is answered %d", status)
	}
	g := b.login(t, "alice", alicesPassword)
	until(t, "a new token at the service", func() bool { return service.ask(g) == http.StatusOK })
	b.logout(t, g, "session")
	until(t, "a new logout at the service", func() bool { return service.ask(g) == http.StatusUnauthorized })
	never()
}
