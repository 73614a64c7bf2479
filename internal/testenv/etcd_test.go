package testenv_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/internal/testenv"
)

// patience is how long servers may take for what they do, on a busy machine.
const patience = time.Minute

func put(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, err := client.Put(ctx, key, value)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("writing: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // the election of a leader takes a while
	}
}

func count(t *testing.T, client *clientv3.Client) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := client.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return resp.Count
}

func TestEtcd(t *testing.T) {
	server := testenv.Etcd(t)
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{server.Addr}})
	put(t, client, "key", "value")
	server.Kill()
	server.Restart()
	if n := count(t, client); n != 1 {
		t.Errorf("%d keys after a restart, want what was written", n)
	}
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.Get(ctx, "key"); err == nil {
		t.Error("a frozen server answers")
	}
	server.Thaw()
	put(t, client, "key", "value")
	backup := server.Backup()
	put(t, client, "another", "value")
	server.RestartEmpty()
	if n := count(t, client); n != 0 {
		t.Errorf("%d keys after the loss of the disk", n)
	}
	server.RestartFrom(backup)
	if n := count(t, client); n != 1 {
		t.Errorf("%d keys after a restart from the backup, want what was in it", n)
	}
}

func TestEtcdCluster(t *testing.T) {
	cluster := testenv.EtcdCluster(t)
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: cluster.Addrs()})
	put(t, client, "a", "value")
	first := cluster.Leader(t)
	first.Kill()
	put(t, client, "b", "value")
	if next := cluster.Leader(t); next == first {
		t.Error("who was killed still leads")
	}
	first.Restart()
	single := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{first.Addr}})
	if n := count(t, single); n != 2 {
		t.Errorf("who came back has %d keys, want 2", n)
	}
}
