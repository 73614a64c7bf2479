package etcdlock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/etcdlock"
	"github.com/authd-project/authd/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lease is the shortest there is.
const lease = 3 * time.Second

// prefix is where the candidates of the default election are.
const prefix = "authd/election/authd/"

func connect(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	return testenv.EtcdClient(t, clientv3.Config{
		Endpoints: endpoints, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
	})
}

func newLock(t testing.TB, client *clientv3.Client, identity string) *etcdlock.Lock {
	t.Helper()
	l, err := etcdlock.New(etcdlock.Config{Client: client, Identity: identity, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// With only the rights that the package comment lists.
func TestLock(t *testing.T) {
	user, admin := testenv.EtcdRestricted(t, testenv.Etcd(t))
	electiontest.Run(t, func(t *testing.T) electiontest.Backend {
		if _, err := admin.Delete(t.Context(), "", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		return electiontest.Backend{Lease: lease, Patience: electiontest.Patience, Candidate: func(identity string) election.Elector {
			return newLock(t, testenv.EtcdClient(t, user), identity)
		}}
	})
}

// Elections of other names do not disturb each other.
func TestNames(t *testing.T) {
	client := connect(t, testenv.Etcd(t).Addr)
	for _, name := range []string{"a", "ab"} {
		l, err := etcdlock.New(etcdlock.Config{Client: client, Name: name, Identity: name})
		if err != nil {
			t.Fatal(err)
		}
		electiontest.Campaign(t, l).AwaitBegin()
		if holder, _, err := l.Leader(t.Context()); err != nil || holder != name {
			t.Errorf("%q leads, %v; want %s", holder, err, name)
		}
	}
}

func TestUnavailable(t *testing.T) {
	l := newLock(t, connect(t, "127.0.0.1:1"), "a")
	if holder, _, err := l.Leader(t.Context()); !errors.Is(err, etcdlock.ErrUnavailable) || holder != "" {
		t.Errorf("leader %q, %v; want ErrUnavailable", holder, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lease)
	defer cancel()
	err := l.Lead(ctx, func(context.Context) error {
		t.Error("elected by nobody")
		return nil
	})
	if err != nil {
		t.Errorf("Lead returned %v, want it to go on until its context ended, and then nil", err)
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	good := etcdlock.Config{Client: connect(t, "127.0.0.1:1"), Identity: "a"}
	if _, err := etcdlock.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*etcdlock.Config){
		"no client":      func(c *etcdlock.Config) { c.Client = nil },
		"no identity":    func(c *etcdlock.Config) { c.Identity = "" },
		"slash":          func(c *etcdlock.Config) { c.Name = "a/b" },
		"short lease":    func(c *etcdlock.Config) { c.Lease = 2 * time.Second },
		"part of second": func(c *etcdlock.Config) { c.Lease = 3500 * time.Millisecond },
		"negative lease": func(c *etcdlock.Config) { c.Lease = -time.Second },
	} {
		c := good
		spoil(&c)
		if _, err := etcdlock.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
