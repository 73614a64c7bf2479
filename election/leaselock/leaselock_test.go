package leaselock_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/election/leaselock"
	"github.com/authd-project/authd/internal/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv(candidateEnv) != "" {
		os.Exit(runCandidate())
	}
	goleak.VerifyTestMain(m)
}

// lease is short, and long enough that a busy machine does not lose it.
const lease = 4 * time.Second

// place is a Lease, and how to get there with only the rights that deploy/rbac.yaml gives.
type place struct {
	server     *testenv.KubernetesServer
	namespace  string
	kubeconfig string
}

func newPlace(t testing.TB) place {
	t.Helper()
	s := testenv.Kubernetes(t)
	namespace, kubeconfig := s.Authd(t)
	return place{s, namespace, kubeconfig}
}

// lock makes a candidate with connections of its own, which the test may tamper with.
func (p place) lock(t testing.TB, identity string, tamper ...func(*rest.Config)) *leaselock.Lock {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // several candidates in one process are not to wait for each other
	config.Dial = testenv.Dialer(t)
	for _, f := range tamper {
		f(config)
	}
	client, err := coordinationv1client.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := leaselock.New(leaselock.Config{Client: client, Namespace: p.namespace, Identity: identity, Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// With only the rights that deploy/rbac.yaml gives.
func TestLock(t *testing.T) {
	t.Parallel()
	electiontest.Run(t, func(t *testing.T) electiontest.Backend {
		p := newPlace(t)
		return electiontest.Backend{
			Lease: lease, Patience: time.Minute,
			Candidate: func(identity string) election.Elector { return p.lock(t, identity) },
		}
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	nowhere := func(c *rest.Config) { c.Host = "https://127.0.0.1:1" }
	stranger := func(c *rest.Config) { c.BearerToken = "none" }
	elsewhere := place{p.server, p.server.Namespace(t), p.kubeconfig} // without rights
	for name, l := range map[string]*leaselock.Lock{
		"no server": p.lock(t, "a", nowhere),
		"bad token": p.lock(t, "a", stranger),
		"no rights": elsewhere.lock(t, "a"),
	} {
		if holder, _, err := l.Leader(t.Context()); !errors.Is(err, leaselock.ErrUnavailable) || holder != "" {
			t.Errorf("%s: leader %q, %v; want ErrUnavailable", name, holder, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), lease/2)
		defer cancel()
		err := l.Lead(ctx, func(context.Context) error {
			t.Errorf("%s: elected by nobody", name)
			return nil
		})
		if err != nil {
			t.Errorf("%s: Lead returned %v, want it to go on until its context ended, and then nil", name, err)
		}
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	client, err := coordinationv1client.NewForConfig(&rest.Config{Host: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	good := leaselock.Config{Client: client, Namespace: "authd", Identity: "a"}
	if _, err := leaselock.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*leaselock.Config){
		"no client":             func(c *leaselock.Config) { c.Client = nil },
		"no namespace":          func(c *leaselock.Config) { c.Namespace = "" },
		"no identity":           func(c *leaselock.Config) { c.Identity = "" },
		"short lease":           func(c *leaselock.Config) { c.Lease = 2 * time.Second },
		"lease with a fraction": func(c *leaselock.Config) { c.Lease = 3500 * time.Millisecond },
		"negative lease":        func(c *leaselock.Config) { c.Lease = -4 * time.Second },
	} {
		c := good
		spoil(&c)
		if _, err := leaselock.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
