package testenv

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// KubernetesServer is a real kube-apiserver with an etcd of its own. There is nothing else of a cluster: no pod runs,
// nothing is garbage-collected, and a namespace that is deleted never goes away. Methods may be called concurrently.
type KubernetesServer struct {
	Addr       string // host and port, for TLS
	Kubeconfig string // a file with which to be administrator

	dir    string
	caPEM  []byte
	admin  *http.Client
	server *exec.Cmd
	etcd   *exec.Cmd
	reaper *exec.Cmd // ends both and removes dir once its input ends, be it that this process was killed
	alive  interface{ Close() error }
}

// sharedKubernetes is started by the first test that asks for it, as a start takes seconds.
var sharedKubernetes = sync.OnceValues(func() (*KubernetesServer, error) { return startKubernetes() })

// Kubernetes returns a server that all tests of the process share and that ends with the process. Tests keep out of each
// other's way by namespaces, see [KubernetesServer.Namespace].
func Kubernetes(t testing.TB) *KubernetesServer {
	t.Helper()
	s, err := sharedKubernetes()
	if err != nil {
		t.Fatalf("starting a Kubernetes API server: %v", err)
	}
	return s
}

// NewKubernetes starts a server of the test's own with further flags of kube-apiserver, such as
// --authentication-config=FILE. It ends with the test.
func NewKubernetes(t testing.TB, flags ...string) *KubernetesServer {
	t.Helper()
	s, err := startKubernetes(flags...)
	if err != nil {
		t.Fatalf("starting a Kubernetes API server: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Freeze stops the server in the middle of what it does: connections stay open, nothing is answered. It thaws when the
// test ends, if not before.
func (s *KubernetesServer) Freeze(t testing.TB) {
	t.Helper()
	if err := freeze(s.server.Process.Pid); err != nil {
		t.Fatalf("freezing kube-apiserver: %v", err)
	}
	t.Cleanup(func() { s.Thaw(t) })
}

// Thaw lets a frozen server go on. Thawing it twice does no harm.
func (s *KubernetesServer) Thaw(t testing.TB) {
	t.Helper()
	if err := s.server.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatalf("thawing kube-apiserver: %v", err)
	}
}

// startKubernetes starts a server and waits until it is ready.
func startKubernetes(flags ...string) (*KubernetesServer, error) {
	const attempts = 5 // somebody else may take the port between our choosing it and the server's binding it
	var err error
	for range attempts {
		var s *KubernetesServer
		if s, err = tryKubernetes(flags); err == nil {
			return s, nil
		}
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	return nil, err
}

func tryKubernetes(flags []string) (_ *KubernetesServer, err error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kube") // short: the path of a Unix socket may have 107 bytes
	if err != nil {
		return nil, err
	}
	s := &KubernetesServer{Addr: "127.0.0.1:" + port, dir: dir}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.identify(); err != nil {
		return nil, err
	}
	if s.etcd, err = s.start("etcd", etcdFlags(dir)...); err != nil {
		return nil, err
	}
	if s.server, err = s.start("kube-apiserver", append(apiServerFlags(dir, port), flags...)...); err != nil {
		return nil, err
	}
	if err := s.startReaper(); err != nil {
		return nil, err
	}
	return s, s.awaitReady()
}

// identify makes the certificates and the administrator's kubeconfig.
func (s *KubernetesServer) identify() error {
	ca, err := newKubernetesCA(s.dir)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	for _, name := range []string{"server", "serviceaccounts"} {
		if _, _, err := ca.issue(name); err != nil {
			return fmt.Errorf("making certificates: %w", err)
		}
	}
	cert, key, err := ca.issue("admin", "system:masters")
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	s.caPEM = ca.pem
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	s.admin = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, // leaves no goroutine behind
	}}
	s.Kubeconfig = filepath.Join(s.dir, "admin.kubeconfig")
	return s.writeKubeconfig(s.Kubeconfig, "default", map[string]any{
		"client-certificate-data": cert, "client-key-data": key, // []byte becomes base64, as is wanted
	})
}

func etcdFlags(dir string) []string {
	const nowhere = "http://127.0.0.1:1" // nobody else is told of this member, but what it would tell must be an address
	return []string{
		"--name", "test", "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "error",
		"--listen-client-urls", "unix://" + etcdSocket(dir), "--advertise-client-urls", nowhere,
		"--listen-peer-urls", "unix://" + filepath.Join(dir, "p"), "--initial-advertise-peer-urls", nowhere,
		"--initial-cluster", "test=" + nowhere,
	}
}

func etcdSocket(dir string) string { return filepath.Join(dir, "c") }

func apiServerFlags(dir, port string) []string {
	file := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"--bind-address=127.0.0.1", "--secure-port=" + port, "--etcd-servers=unix://" + etcdSocket(dir),
		"--client-ca-file=" + file("ca.crt"),
		"--tls-cert-file=" + file("server.crt"), "--tls-private-key-file=" + file("server.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + file("serviceaccounts.crt"),
		"--service-account-signing-key-file=" + file("serviceaccounts.key"),
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
		"--disable-admission-plugins=ServiceAccount", "--allow-privileged=false",
	}
}

// start starts one of the programs; what it prints goes to a file.
func (s *KubernetesServer) start(name string, args ...string) (*exec.Cmd, error) {
	binary, err := assetPath(name)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(binary, args...) //nolint:noctx // it ends with the reaper's input
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the terminal is for the test
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return cmd, nil
}

// startReaper starts the process that ends the servers. No clean-up of a test's own runs when a test is killed or panics.
func (s *KubernetesServer) startReaper() error {
	script := fmt.Sprintf("cat; kill -9 %d %d; rm -rf '%s'", s.server.Process.Pid, s.etcd.Process.Pid, s.dir)
	s.reaper = exec.Command("sh", "-c", script) //nolint:noctx // it ends with its input
	s.reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := s.reaper.StdinPipe()
	if err != nil {
		return err
	}
	s.alive = alive
	if err := s.reaper.Start(); err != nil {
		return fmt.Errorf("starting the reaper: %w", err)
	}
	return nil
}

// Stop ends a server of the test's own without notice, and removes its files. Stopping it twice does no harm.
func (s *KubernetesServer) Stop() {
	if s.alive != nil {
		_ = s.alive.Close()
		_ = s.reaper.Wait() // fails when a server had ended by itself
	}
	for _, cmd := range []*exec.Cmd{s.server, s.etcd} {
		if cmd != nil {
			_ = cmd.Process.Kill() // if there is no reaper yet
			_ = cmd.Wait()         // "signal: killed"
		}
	}
	_ = os.RemoveAll(s.dir)
}

var errPortTaken = errors.New("address already in use")

// awaitReady waits until the server says that it is.
func (s *KubernetesServer) awaitReady() error {
	const patience = 3 * time.Minute // on a machine that compiles besides
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var status syscall.WaitStatus
		if pid, _ := syscall.Wait4(s.server.Process.Pid, &status, syscall.WNOHANG, nil); pid != 0 {
			break // it has ended
		}
		if _, err := s.do(http.MethodGet, "/readyz", nil); err == nil {
			return nil
		}
	}
	return s.failure()
}

// failure tells why the server did not become ready.
func (s *KubernetesServer) failure() error {
	err := errors.New("kube-apiserver did not become ready")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		log, readErr := os.ReadFile(filepath.Join(s.dir, name+".log"))
		const tail = 4000
		err = errors.Join(err, readErr, fmt.Errorf("%s: %s", name, log[max(0, len(log)-tail):]))
		if bytes.Contains(log, []byte(errPortTaken.Error())) {
			err = errors.Join(err, errPortTaken)
		}
	}
	return err
}
