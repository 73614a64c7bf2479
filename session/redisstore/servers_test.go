package redisstore

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

// replicated starts a primary with one replica that is in step with it.
func replicated(t *testing.T) (primary, replica *redis.Client, replicaServer *testenv.RedisServer) {
	t.Helper()
	addr := testenv.Redis(t, "--repl-diskless-sync-delay", "0")
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	replicaServer = testenv.NewRedis(t, "--replicaof", host, port)
	primary, replica = testenv.ConnectRedis(t, addr), testenv.ConnectRedis(t, replicaServer.Addr)
	// A link that is up does not suffice: after a diskless sync the primary sends nothing before the first REPLCONF ACK.
	conn := primary.Conn()
	defer conn.Close()
	await(t, "the replica is in step", func() bool {
		conn.Set(t.Context(), "in step", 1, 0)
		conn.Del(t.Context(), "in step")
		return conn.Wait(t.Context(), 1, time.Second).Val() == 1
	})
	return primary, replica, replicaServer
}

// promote makes a replica a primary of its own. What its primary accepts from now on is what a failover to a lagging
// replica loses.
func promote(t *testing.T, replica *redis.Client) {
	t.Helper()
	if err := replica.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
}

// lossy forwards connections to a server, and loses answers on demand.
type lossy struct {
	addr  string
	loses atomic.Int64 // the answer that many answers from now on, 1 for the next, is swallowed and its connection cut
}

// newLossy returns a proxy before a server.
func newLossy(t *testing.T, server string) *lossy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &lossy{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed by Cleanup
			}
			upstream, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server)
			if err != nil {
				client.Close()
				return
			}
			go p.forward(client, upstream, nil)
			go p.forward(upstream, client, &p.loses)
		}
	}()
	return p
}

func (p *lossy) forward(from, to net.Conn, loses *atomic.Int64) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || loses != nil && loses.Add(-1) == 0 {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// silentServer accepts connections and answers nothing.
func silentServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // the backlog accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func closedPort(t *testing.T) (addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}
