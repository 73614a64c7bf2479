package main_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// ringPlace is where a ring is kept, and how it gets lost there.
type ringPlace struct {
	name  string
	flags []string
	lose  func()
	has   func() bool
}

func ringInRedis(t *testing.T) ringPlace {
	t.Helper()
	addr := testenv.Redis(t)
	client := testenv.ConnectRedis(t, addr)
	return ringPlace{"redis", []string{"--redis", "redis://" + addr}, func() {
		if n, err := client.Del(t.Context(), "authd:keys").Result(); err != nil || n != 1 {
			t.Fatalf("deleted %d rings: %v", n, err)
		}
	}, func() bool { return client.Exists(t.Context(), "authd:keys").Val() == 1 }}
}

func ringInEtcd(t *testing.T) ringPlace {
	t.Helper()
	server := testenv.Etcd(t)
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{server.Addr}})
	flags := []string{"--redis", "redis://" + testenv.Redis(t), "--etcd", "http://" + server.Addr, "--election", "etcd", "--keys", "etcd"}
	return ringPlace{"etcd", flags, func() {
		if r, err := client.Delete(t.Context(), "authd/keys"); err != nil || r.Deleted != 1 {
			t.Fatalf("deleted %v: %v", r, err)
		}
	}, func() bool {
		r, err := client.Get(t.Context(), "authd/keys")
		return err == nil && r.Count == 1
	}}
}

func ringInSecret(t *testing.T) ringPlace {
	t.Helper()
	cluster := testenv.Kubernetes(t)
	namespace, kubeconfig := cluster.Authd(t)
	flags := []string{"--kubeconfig", kubeconfig, "--redis", "redis://" + testenv.Redis(t), "--election", "kubernetes", "--keys", "kubernetes"}
	return ringPlace{"kubernetes", flags, func() {
		if out, err := cluster.Kubectl(t, cluster.Kubeconfig, "--namespace", namespace, "delete", "secret", "authd-keys"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cluster.Apply(t, namespace) // as docs/disasters.md says
	}, func() bool {
		out, err := cluster.Kubectl(t, cluster.Kubeconfig, "--namespace", namespace, "get", "secret", "authd-keys", "--output", "jsonpath={.data}")
		return err == nil && out != ""
	}}
}

// The place of the ring loses it. Whoever runs puts it back; when nobody does, a backup brings it back; without a backup there is
// a new ring, and every token is refused.
func TestDrillRingLost(t *testing.T) {
	t.Parallel()
	for _, open := range []func(*testing.T) ringPlace{ringInRedis, ringInEtcd, ringInSecret} {
		place := open(t)
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			drillRing(t, place)
		})
	}
}

func drillRing(t *testing.T, place ringPlace) {
	r := startReplicas(t, 2, place.flags...)
	r.awaitLeader(0)
	g := r.servers[0].login(t, "alice", alicesPassword)
	jwks := r.servers[0].jwks(t)
	file := filepath.Join(t.TempDir(), "ring.tar")
	if out := r.servers[1].authd(t, "", "keys", "backup", file); !strings.Contains(out, "ring.json") {
		t.Fatalf("keys backup said\n%s", out)
	}

	began := time.Now()
	place.lose()
	until(t, "the ring that was put back", place.has)
	outcome(t, "ring lost in "+place.name+", authd running: put back", began)
	_, term := r.awaitLeader(0)
	stop := func() {
		for _, s := range r.servers {
			s.terminate(t)
		}
	}
	restart := func() {
		for i, s := range r.servers {
			r.servers[i] = serve(t, s.Data, r.args...)
		}
	}
	stop()
	restart()
	r.awaitLeader(term)
	for i, s := range r.servers {
		if status := s.verify(t, g.AccessToken); status != http.StatusOK || s.jwks(t) != jwks {
			t.Errorf("authd %d answers %d; JWKS\n%s\nwas\n%s", i, status, s.jwks(t), jwks)
		}
	}

	stop()
	began = time.Now()
	restoreArgs := append(documentedRestore(t, file), r.args...)
	if out, err := command(t.Context(), "", restoreArgs...); err == nil || !strings.Contains(out, "there is a key ring") {
		t.Errorf("a ring was restored over another: %v\n%s", err, out)
	}
	place.lose()
	if out, err := command(t.Context(), "", restoreArgs...); err != nil || !strings.Contains(out, "restored the ring") {
		t.Fatalf("keys restore: %v\n%s", err, out)
	}
	restart()
	outcome(t, "ring lost in "+place.name+", nobody running: restored from a backup and serving", began)
	if status := r.servers[0].verify(t, g.AccessToken); status != http.StatusOK {
		t.Errorf("with the ring of the backup a token is answered %d", status)
	}
	if _, status := r.servers[1].refresh(t, g.RefreshToken); status != http.StatusOK {
		t.Errorf("with the ring of the backup a refresh is answered %d", status)
	}

	stop()
	began = time.Now()
	place.lose()
	restart()
	outcome(t, "ring lost in "+place.name+", no backup: a new ring and serving", began)
	if status := r.servers[0].verify(t, g.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("with a new ring an old token is answered %d", status)
	}
	if _, status := r.servers[1].refresh(t, g.RefreshToken); status != http.StatusUnauthorized {
		t.Errorf("with a new ring an old refresh token is answered %d", status)
	}
	if again := r.servers[1].login(t, "alice", alicesPassword); r.servers[0].verify(t, again.AccessToken) != http.StatusOK {
		t.Error("with a new ring a new token is refused")
	}
}

// documentedRestore is the command that docs/backup.md gives, without the settings that say where.
func documentedRestore(t *testing.T, file string) (args []string) {
	t.Helper()
	command, _, _ := strings.Cut(docs.Text(t, "docs/backup.md", "sh", 0), " --redis ")
	for _, word := range strings.Fields(command)[1:] {
		args = append(args, strings.ReplaceAll(word, "ring.tar", file))
	}
	return append(args, "--data", t.TempDir())
}

// The Lease is lost: nobody leads until it is made again, and people notice nothing.
func TestDrillLeaseLost(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	namespace, kubeconfig := cluster.Authd(t)
	r := startReplicas(t, 2, "--kubeconfig", kubeconfig, "--redis", "redis://"+testenv.Redis(t), "--election", "kubernetes", "--keys", "kubernetes")
	_, term := r.awaitLeader(0)
	if out, err := cluster.Kubectl(t, cluster.Kubeconfig, "--namespace", namespace, "delete", "lease", "authd-leader"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	began := time.Now()
	until(t, "the end of the leadership", func() bool {
		return !slices.ContainsFunc(r.servers, func(s *server) bool { return s.leader(t).Self })
	})
	outcome(t, "Lease lost: nobody leads", began)
	g := r.servers[0].login(t, "alice", alicesPassword)
	if status := r.servers[1].verify(t, g.AccessToken); status != http.StatusOK {
		t.Errorf("without a leader a token is answered %d", status)
	}
	r.servers[1].logout(t, g, "session")
	cluster.Apply(t, namespace)
	made := time.Now()
	r.awaitLeader(term)
	outcome(t, "Lease made again: another term", made)
}
