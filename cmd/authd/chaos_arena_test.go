package main_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/etcdstore"
	keysredis "github.com/authd-project/authd/keys/redisstore"
	"github.com/authd-project/authd/keys/secretstore"
)

// arena is the backend of election and key ring.
type arena struct {
	lines        []line     // one for each authd
	store        keys.Store // the ring, by a way of the test's own
	freeze, thaw func()
	redis        bool // sessions and revocations are there too
}

// line is the way of one authd to the backend.
type line struct {
	flags []string
	proxy *testenv.Proxy
	trap  *trap
}

// fireTimeout is how long the test waits for the backend, which hangs at times.
const fireTimeout = 2 * time.Second

func redisArena(t *testing.T, s *replicaSettings) *arena {
	t.Helper()
	server := testenv.NewRedis(t)
	a := &arena{freeze: server.Freeze, thaw: server.Thaw, redis: true}
	for range s.n {
		a.lines = append(a.lines, plainLine(t, server.Addr, "authd:keys", func(addr string) []string {
			return []string{"--redis", "redis://" + addr}
		}))
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	var err error
	a.store, err = keysredis.New(keysredis.Config{Client: client, Codec: s.codec(t), Timeout: fireTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func etcdArena(t *testing.T, s *replicaSettings) *arena {
	t.Helper()
	server := testenv.Etcd(t)
	a := &arena{freeze: server.Freeze, thaw: server.Thaw}
	for range s.n {
		a.lines = append(a.lines, plainLine(t, server.Addr, "authd/keys", func(addr string) []string {
			return []string{"--election=etcd", "--keys=etcd", "--etcd", "http://" + addr}
		}))
	}
	client := testenv.EtcdClient(t, clientv3.Config{Endpoints: []string{server.Addr}})
	var err error
	a.store, err = etcdstore.New(etcdstore.Config{Client: client, Codec: s.codec(t), Timeout: fireTimeout})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *replicaSettings) codec(t *testing.T) *keys.Codec {
	t.Helper()
	text, err := os.ReadFile(s.kek)
	if err != nil {
		t.Fatal(err)
	}
	keks, err := keys.ParseKEKs(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return keys.NewCodec(keks...)
}

// plainLine is one without TLS: what names the ring's key and is as long as a ring is a write of it.
func plainLine(t *testing.T, server, key string, flags func(addr string) []string) line {
	t.Helper()
	const longerThanQuestions = 600
	l := line{proxy: testenv.NewProxy(t, server), trap: new(trap)}
	l.flags = flags(l.proxy.Addr)
	l.proxy.Inspect(func(sent []byte) {
		if len(sent) > longerThanQuestions && bytes.Contains(sent, []byte(key)) {
			l.trap.pass()
		}
	})
	return l
}

func kubernetesArena(t *testing.T, s *replicaSettings) *arena {
	t.Helper()
	cluster := testenv.NewKubernetes(t) // of its own, as it will hang
	namespace, kubeconfig := cluster.Authd(t)
	a := &arena{freeze: func() { cluster.Freeze(t) }, thaw: func() { cluster.Thaw(t) }}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for range s.n {
		a.lines = append(a.lines, kubernetesLine(t, config, kubeconfig))
	}
	config.QPS = -1
	config.Dial = testenv.Dialer(t)
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	a.store, err = secretstore.New(secretstore.Config{
		Client: client, Namespace: namespace, Codec: s.codec(t), Timeout: fireTimeout, Poll: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// kubernetesLine ends TLS once more between authd and the API server, as writes could not be told from the rest.
func kubernetesLine(t *testing.T, config *rest.Config, kubeconfig string) line {
	t.Helper()
	l := line{trap: new(trap)}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/secrets/authd-keys") {
			body, err := io.ReadAll(r.Body) // all of it has left authd when the trap takes hold
			if err != nil {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			l.trap.pass()
		}
		forward.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that were cut
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	l.proxy = testenv.NewProxy(t, server.Listener.Addr().String())
	l.flags = []string{"--election=kubernetes", "--keys=kubernetes", "--kubeconfig", redirected(t, kubeconfig, l.proxy.Addr, server)}
	return l
}

// redirected returns a kubeconfig that leads through a proxy.
func redirected(t *testing.T, kubeconfig, addr string, server *httptest.Server) (path string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server = "https://" + addr
		cluster.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	}
	path = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}
