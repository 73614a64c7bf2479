package etcdstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/etcdstore"
	"github.com/authd-project/authd/keys/keystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// testTimeout is generous, so that a busy machine is not taken for a broken server.
	testTimeout = 10 * time.Second
	// patience is how long tests wait for what has to happen.
	patience = time.Minute
	ringKey  = "authd/keys"
)

func connect(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	return testenv.EtcdClient(t, clientv3.Config{
		Endpoints: endpoints, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
	})
}

func newStore(t testing.TB, c etcdstore.Config) keys.Store {
	t.Helper()
	if c.Codec == nil {
		c.Codec = keys.NewCodec(keys.GenerateKEK())
	}
	if c.Timeout == 0 {
		c.Timeout = testTimeout
	}
	s, err := etcdstore.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// With only the rights that the package comment lists.
func TestStore(t *testing.T) {
	user, admin := testenv.EtcdRestricted(t, testenv.Etcd(t))
	codec := keys.NewCodec(keys.GenerateKEK())
	keystest.Run(t, func(t testing.TB) (keys.Store, func() keys.Store) {
		if _, err := admin.Delete(t.Context(), "", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		client := testenv.EtcdClient(t, user)
		open := func() keys.Store { return newStore(t, etcdstore.Config{Client: client, Codec: codec}) }
		return open(), open
	})
}

// Rings under two keys are two rings.
func TestKeys(t *testing.T) {
	client := connect(t, testenv.Etcd(t).Addr)
	claim(t, newStore(t, etcdstore.Config{Client: client}))
	if term := claim(t, newStore(t, etcdstore.Config{Client: client, Key: ringKey + "2"})); term != 1 {
		t.Errorf("term %d, want the first of another ring", term)
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	good := etcdstore.Config{Client: connect(t, "127.0.0.1:1"), Codec: keys.NewCodec(keys.GenerateKEK())}
	if _, err := etcdstore.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*etcdstore.Config){
		"no client":         func(c *etcdstore.Config) { c.Client = nil },
		"no codec":          func(c *etcdstore.Config) { c.Codec = nil },
		"codec in clear":    func(c *etcdstore.Config) { c.Codec = keys.NewCodec() },
		"negative view age": func(c *etcdstore.Config) { c.ViewAge = -1 },
		"negative timeout":  func(c *etcdstore.Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := etcdstore.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func claim(t *testing.T, s keys.Store) keys.Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		term, err := s.Claim(ctx, rand.Text())
		if err == nil {
			return term
		}
		if !errors.Is(err, keys.ErrUnavailable) || ctx.Err() != nil { // a connection that broke fails once
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, s keys.Store) (keys.Ring, keys.Version) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		ring, version, err := s.Load(ctx)
		if err == nil {
			return ring, version
		}
		if !errors.Is(err, keys.ErrUnavailable) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func watch(t *testing.T, s keys.Store) <-chan keys.Version {
	t.Helper()
	versions, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return versions
}

// await receives until the wanted version comes.
func await(t *testing.T, versions <-chan keys.Version, want keys.Version) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case v, open := <-versions:
			if !open {
				t.Fatal("the watch ended")
			}
			if v == want {
				return
			}
		case <-deadline:
			t.Fatalf("version %q was not announced", want)
		}
	}
}

// awaitEnd receives until the watch ends.
func awaitEnd(t *testing.T, versions <-chan keys.Version) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case _, open := <-versions:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the watch did not end")
		}
	}
}
