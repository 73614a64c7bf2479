package etcdlock_test

import (
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/election/electiontest"
)

// queue returns the keys of the candidates, oldest first.
func queue(t *testing.T, admin *clientv3.Client) *clientv3.GetResponse {
	t.Helper()
	resp, err := admin.Get(t.Context(), prefix, clientv3.WithPrefix(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// awaitQueue waits until the candidates of these identities stand, oldest first.
func awaitQueue(t *testing.T, admin *clientv3.Client, want ...string) *clientv3.GetResponse {
	t.Helper()
	for deadline := time.Now().Add(electiontest.Patience); ; time.Sleep(5 * time.Millisecond) {
		resp := queue(t, admin)
		var names []string
		for _, kv := range resp.Kvs {
			names = append(names, string(kv.Value))
		}
		if strings.Join(names, " ") == strings.Join(want, " ") {
			return resp
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q stand for election, want %q", names, want)
		}
	}
}
