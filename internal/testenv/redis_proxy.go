package testenv

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy forwards TCP connections, until it is told to swallow what comes: connections stay open and nothing arrives, as
// when a firewall drops packets.
type Proxy struct {
	Addr string

	target     string
	listener   net.Listener
	swallowing atomic.Bool
	inspect    atomic.Pointer[func(sent []byte)]
	all        sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// NewProxy starts a proxy to the target address. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, conns: map[net.Conn]bool{}}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.all.Wait()
	})
	return p
}

// Swallow drops everything from now on, in both directions, on old and new connections.
func (p *Proxy) Swallow() { p.swallowing.Store(true) }

// Pass ends Swallow. Old connections have holes in them and are closed.
func (p *Proxy) Pass() {
	p.Cut()
	p.swallowing.Store(false)
}

// Inspect has f see what clients send, a piece at a time and from now on, before it goes on its way. Nothing more of the
// connection does until f returns.
func (p *Proxy) Inspect(f func(sent []byte)) { p.inspect.Store(&f) }

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed by Cleanup
		}
		server, err := net.Dial("tcp", p.target) //nolint:noctx // a loopback address answers at once
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.all.Go(func() { p.forward(gate{p, server, true}, client, server) })
		p.all.Go(func() { p.forward(gate{p, client, false}, server, client) })
	}
}

// forward copies until either side is closed, and closes both.
func (p *Proxy) forward(through gate, from, to net.Conn) {
	_, _ = io.Copy(through, from)
	_, _ = from.Close(), to.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, from)
}

// gate is where packets get lost.
type gate struct {
	proxy *Proxy
	to    io.Writer
	sent  bool // by a client
}

func (g gate) Write(b []byte) (int, error) {
	if f := g.proxy.inspect.Load(); f != nil && g.sent {
		(*f)(b)
	}
	if g.proxy.swallowing.Load() {
		return len(b), nil
	}
	return g.to.Write(b)
}
