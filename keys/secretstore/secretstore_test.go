package secretstore_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
	"github.com/authd-project/authd/keys/secretstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what has to happen, on a busy machine; also the timeout of stores whose server is
// not hurt.
const patience = time.Minute

// place is a Secret, and how to get there with only the rights that deploy/rbac.yaml gives.
type place struct {
	server     *testenv.KubernetesServer
	namespace  string
	kubeconfig string
	codec      *keys.Codec
}

func newPlace(t testing.TB) place {
	t.Helper()
	s := testenv.Kubernetes(t)
	namespace, kubeconfig := s.Authd(t)
	return place{s, namespace, kubeconfig, keys.NewCodec(keys.GenerateKEK())}
}

// client has connections of its own, which the test may tamper with.
func (p place) client(t testing.TB, kubeconfig string, tamper ...func(*rest.Config)) corev1client.SecretsGetter {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // several processes in one are not to wait for each other
	config.Dial = testenv.Dialer(t)
	for _, f := range tamper {
		f(config)
	}
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// admin may do anything to the Secret.
func (p place) admin(t testing.TB) corev1client.SecretInterface {
	return p.client(t, p.server.Kubeconfig).Secrets(p.namespace)
}

// store opens the ring. Watches are on their own, unless c says how often they poll.
func (p place) store(t testing.TB, c secretstore.Config, tamper ...func(*rest.Config)) keys.Store {
	t.Helper()
	c.Client, c.Namespace, c.Codec = p.client(t, p.kubeconfig, tamper...), p.namespace, p.codec
	if c.Timeout == 0 {
		c.Timeout = patience
	}
	if c.Poll == 0 {
		c.Poll = time.Hour
	}
	s, err := secretstore.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// With only the rights that deploy/rbac.yaml gives.
func TestStore(t *testing.T) {
	keystest.Run(t, func(t testing.TB) (keys.Store, func() keys.Store) {
		p := newPlace(t)
		open := func() keys.Store { return p.store(t, secretstore.Config{}) }
		return open(), open
	})
}

func claim(t *testing.T, s keys.Store) keys.Term {
	t.Helper()
	term, err := s.Claim(t.Context(), "somebody")
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func load(t *testing.T, s keys.Store) (keys.Ring, keys.Version) {
	t.Helper()
	ring, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ring, version
}

func TestUnavailable(t *testing.T) {
	p := newPlace(t)
	elsewhere := p
	elsewhere.namespace = p.server.Namespace(t) // without rights
	for name, s := range map[string]keys.Store{
		"no server": p.store(t, secretstore.Config{}, func(c *rest.Config) { c.Host = "https://127.0.0.1:1" }),
		"bad token": p.store(t, secretstore.Config{}, func(c *rest.Config) { c.BearerToken = "none" }),
		"no rights": elsewhere.store(t, secretstore.Config{}),
	} {
		allUnavailable(t, name, s)
	}
	if out, err := p.server.Kubectl(t, p.server.Kubeconfig, "delete", "secret", "authd-keys", "-n", p.namespace); err != nil {
		t.Fatal(err, out)
	}
	_, _, err := p.store(t, secretstore.Config{}).Load(t.Context())
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "deploy/rbac.yaml") {
		t.Errorf("no Secret: %v, want ErrUnavailable, which says what to do", err)
	}
}

// allUnavailable checks every method.
func allUnavailable(t *testing.T, name string, s keys.Store) {
	t.Helper()
	for call, err := range map[string]error{
		"Load":   errorOf2(s.Load(t.Context())),
		"Claim":  errorOf(s.Claim(t.Context(), "a")),
		"Update": errorOf(s.Update(t.Context(), 1, "v", keys.Ring{})),
		"Watch":  errorOf(s.Watch(t.Context())),
	} {
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrStale) {
			t.Errorf("%s: %s: %v, want ErrUnavailable", name, call, err)
		}
	}
}

func errorOf[T any](_ T, err error) error          { return err }
func errorOf2[T, U any](_ T, _ U, err error) error { return err }

func TestNewRefusesBadConfigurations(t *testing.T) {
	client, err := corev1client.NewForConfig(&rest.Config{Host: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	good := secretstore.Config{Client: client, Namespace: "authd", Codec: keys.NewCodec(keys.GenerateKEK())}
	if _, err := secretstore.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*secretstore.Config){
		"no client":         func(c *secretstore.Config) { c.Client = nil },
		"no namespace":      func(c *secretstore.Config) { c.Namespace = "" },
		"no codec":          func(c *secretstore.Config) { c.Codec = nil },
		"codec in clear":    func(c *secretstore.Config) { c.Codec = keys.NewCodec() },
		"negative view age": func(c *secretstore.Config) { c.ViewAge = -1 },
		"negative poll":     func(c *secretstore.Config) { c.Poll = -1 },
		"negative timeout":  func(c *secretstore.Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := secretstore.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// transport tampers with requests.
type transport func(req *http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

func tampered(f func(next http.RoundTripper, req *http.Request) (*http.Response, error)) func(*rest.Config) {
	return func(c *rest.Config) {
		c.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return transport(func(req *http.Request) (*http.Response, error) { return f(next, req) })
		})
	}
}

// await receives until the wanted version comes.
func await(t *testing.T, versions <-chan keys.Version, want keys.Version) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case v, open := <-versions:
			if !open {
				t.Fatal("the watch ended")
			}
			if v == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("version %q was not announced within %v", want, patience)
		}
	}
}

// awaitEnd receives until the watch ends.
func awaitEnd(t *testing.T, versions <-chan keys.Version) {
	t.Helper()
	const patience = 20 * time.Second // client-go itself notices a dead connection after 45 s
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case _, open := <-versions:
			if !open {
				return
			}
		case <-ctx.Done():
			t.Fatalf("the watch did not end within %v", patience)
		}
	}
}
