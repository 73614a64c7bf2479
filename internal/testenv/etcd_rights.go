package testenv

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdPassword is that of every user in tests.
const etcdPassword = "secret"

// EtcdRestricted gives the server a user with exactly the rights that doc.go of the package under test lists, as lines
// of the form
//
//	etcdctl role grant-permission ROLE [--prefix] readwrite KEY
//
// and requires users from then on. It returns the configuration of a client for that user, and a client that may do
// anything.
func EtcdRestricted(t testing.TB, s *EtcdServer) (user clientv3.Config, admin *clientv3.Client) {
	t.Helper()
	ctx, cancel := contextFor(t, settleTime)
	defer cancel()
	client := EtcdClient(t, clientv3.Config{Endpoints: []string{s.Addr}})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("setting up the users of etcd: %v", err)
		}
	}
	must(client.RoleAdd(ctx, "authd"))
	for _, r := range documentedRights(t) {
		must(client.RoleGrantPermission(ctx, "authd", r.key, r.end, clientv3.PermissionType(clientv3.PermReadWrite)))
	}
	must(client.RoleAdd(ctx, "root"))
	for _, name := range []string{"authd", "root"} {
		must(client.UserAdd(ctx, name, etcdPassword))
		must(client.UserGrantRole(ctx, name, name))
	}
	must(client.AuthEnable(ctx))
	user = clientv3.Config{Endpoints: []string{s.Addr}, Username: "authd", Password: etcdPassword}
	root := user
	root.Username = "root"
	return user, EtcdClient(t, root)
}

// keyRange is a key, or the keys from it to before end.
type keyRange struct{ key, end string }

func documentedRights(t testing.TB) (rights []keyRange) {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(doc)) {
		rest, found := strings.CutPrefix(line, "//\tetcdctl role grant-permission authd ")
		if !found {
			continue
		}
		rest, prefix := strings.CutPrefix(rest, "--prefix ")
		key, found := strings.CutPrefix(strings.TrimSpace(rest), "readwrite ")
		if !found {
			t.Fatalf("the package comment lists a right of another form: %s", line)
		}
		r := keyRange{key: key}
		if prefix {
			r.end = clientv3.GetPrefixRangeEnd(key)
		}
		rights = append(rights, r)
	}
	if len(rights) == 0 {
		t.Fatal("the package comment lists no rights")
	}
	return rights
}

// contextFor also works in a clean-up, when the test's own context has ended.
func contextFor(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), d)
}
