package testenv

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// EtcdServer is an etcd that a test can hurt. It ends with the test. Methods are called from one goroutine at a time.
type EtcdServer struct {
	Addr string // host:port for clients; also what clientv3.Config.Endpoints takes

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	log  io.Reader
	done chan struct{} // closed when all the server's output has been read
}

// Etcd starts an etcd of the test's own on free loopback ports, with data of its own.
func Etcd(t testing.TB) *EtcdServer {
	t.Helper()
	return etcdMembers(t, 1)[0]
}

// EtcdSet is a cluster of three members.
type EtcdSet struct {
	Members []*EtcdServer
}

// EtcdCluster starts a cluster, which ends with the test. Its members elect a new leader a second or two after the old
// one has gone silent.
func EtcdCluster(t testing.TB) *EtcdSet {
	t.Helper()
	return &EtcdSet{Members: etcdMembers(t, 3)}
}

// Addrs returns the addresses of all members.
func (s *EtcdSet) Addrs() (list []string) {
	for _, m := range s.Members {
		list = append(list, m.Addr)
	}
	return list
}

// Leader returns the member that leads the cluster, once one of the members that answer says so of itself.
func (s *EtcdSet) Leader(t testing.TB) *EtcdServer {
	t.Helper()
	for deadline := time.Now().Add(settleTime); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, m := range s.Members {
			if m.leads(t) {
				return m
			}
		}
	}
	t.Fatalf("no leader of the etcd cluster within %v", settleTime)
	return nil
}

// etcdMembers starts members that know each other from the start.
func etcdMembers(t testing.TB, n int) []*EtcdServer {
	t.Helper()
	const attempts = 5 // somebody else may take a port between our choosing it and the server's binding it
	var err error
	for range attempts {
		var members []*EtcdServer
		if members, err = newEtcdMembers(t, n); err != nil {
			break
		}
		if err = startEtcd(members); err == nil {
			for _, m := range members {
				t.Cleanup(m.Kill)
			}
			return members
		}
		for _, m := range members {
			m.Kill()
		}
	}
	t.Fatalf("starting etcd: %v", err)
	return nil
}

func newEtcdMembers(t testing.TB, n int) ([]*EtcdServer, error) {
	members := make([]*EtcdServer, n)
	peers := make([]string, n)
	for i := range members {
		client, err := freePort()
		if err != nil {
			return nil, err
		}
		peer, err := freePort()
		if err != nil {
			return nil, err
		}
		addr, own := net.JoinHostPort("127.0.0.1", client), "http://"+net.JoinHostPort("127.0.0.1", peer)
		peers[i] = fmt.Sprintf("member%d=%s", i, own)
		members[i] = &EtcdServer{Addr: addr, t: t, args: []string{
			"--name", fmt.Sprintf("member%d", i), "--data-dir", t.TempDir(),
			"--listen-client-urls", "http://" + addr, "--advertise-client-urls", "http://" + addr,
			"--listen-peer-urls", own, "--initial-advertise-peer-urls", own,
			"--log-outputs", "stdout",
			"--unsafe-no-fsync", // a machine that crashes ends the test anyway
			"--bcrypt-cost", "4",
		}}
	}
	for _, m := range members {
		m.args = append(m.args, "--initial-cluster", strings.Join(peers, ","))
	}
	return members, nil
}

// startEtcd starts all members before it waits for any, as none is ready without a majority.
func startEtcd(members []*EtcdServer) error {
	for _, m := range members {
		if err := m.launch(); err != nil {
			return err
		}
	}
	for _, m := range members {
		if err := m.await(); err != nil {
			return err
		}
	}
	return nil
}

func (s *EtcdServer) launch() error {
	binary, err := assetPath("etcd")
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, s.args...) //nolint:noctx // lives as long as the test: Kill ends it
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("connecting to the server's output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", binary, err)
	}
	s.cmd, s.log, s.done = cmd, stdout, make(chan struct{})
	return nil
}

// await waits until a server that was launched answers clients.
func (s *EtcdServer) await() error {
	log, ok := awaitReady(s.log, "ready to serve client requests")
	s.drain()
	if !ok {
		return fmt.Errorf("the server did not become ready:\n%s", log)
	}
	return nil
}

// drain reads the rest of the server's output, so that it does not wait for a reader.
func (s *EtcdServer) drain() {
	log, done := s.log, s.done
	s.log = nil
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, log)
	}()
}

// Kill ends the server without notice. Its data stay. Killing it twice does no harm.
func (s *EtcdServer) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended already
	if s.log != nil {
		s.drain()
	}
	<-s.done
	_ = s.cmd.Wait() // "signal: killed"
	s.cmd = nil
}

// Restart starts a server that was killed, on the same ports and data. One of a cluster is ready only when a majority is.
func (s *EtcdServer) Restart() {
	s.t.Helper()
	s.Kill()
	if err := startEtcd([]*EtcdServer{s}); err != nil {
		s.t.Fatalf("restarting etcd: %v", err)
	}
}

// Freeze stops the server in the middle of what it does: connections stay open, nothing is answered. It returns once the
// server has stopped.
func (s *EtcdServer) Freeze() {
	s.t.Helper()
	if err := freeze(s.cmd.Process.Pid); err != nil {
		s.t.Fatalf("freezing etcd: %v", err)
	}
}

// Thaw lets a frozen server go on.
func (s *EtcdServer) Thaw() { s.signal(syscall.SIGCONT) }

func (s *EtcdServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signalling etcd: %v", err)
	}
}

// leads tells whether the member answers that it leads its cluster.
func (s *EtcdServer) leads(t testing.TB) bool {
	client := EtcdClient(t, clientv3.Config{Endpoints: []string{s.Addr}})
	defer client.Close() //nolint:errcheck // it was only asked
	ctx, cancel := contextFor(t, time.Second)
	defer cancel()
	status, err := client.Status(ctx, s.Addr)
	return err == nil && status.Leader == status.Header.MemberId
}

// EtcdClient returns a client that is silent and ends with the test. A Config needs no more than endpoints.
func EtcdClient(t testing.TB, c clientv3.Config) *clientv3.Client {
	t.Helper()
	c.Logger = zap.NewNop()
	if c.DialTimeout == 0 {
		c.DialTimeout = settleTime // of the authentication; without a user nothing is dialled yet
	}
	client, err := clientv3.New(c)
	if err != nil {
		t.Fatalf("connecting to etcd: %v", err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, client.Ctx().Err()) {
			t.Errorf("closing a client of etcd: %v", err)
		}
	})
	return client
}
