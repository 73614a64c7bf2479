package hostileissuer

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Network is where issuers listen, and by which their clients reach them: [Loopback] or [Pipes].
type Network struct {
	listen func() (l net.Listener, host string, err error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Loopback is real TCP on 127.0.0.1, each issuer on a free port.
func Loopback() Network {
	return Network{
		listen: func() (net.Listener, string, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // takes no time
			if err != nil {
				return nil, "", fmt.Errorf("listening on loopback: %w", err)
			}
			return l, l.Addr().String(), nil
		},
		dial: new(net.Dialer).DialContext,
	}
}

// Pipes is a network in memory. In a testing/synctest bubble no time passes in it but what somebody waits for.
func Pipes() Network {
	p := &pipes{listeners: map[string]*pipeListener{}}
	return Network{listen: p.listen, dial: p.dial}
}

type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener // by host and port
}

func (p *pipes) listen() (net.Listener, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := fmt.Sprintf("issuer%d.test", len(p.listeners)+1)
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.listeners[net.JoinHostPort(host, "80")] = l
	return l, host, nil
}

func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	l, ok := p.listeners[address]
	p.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("dialing %s: connection refused", address)
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, fmt.Errorf("dialing %s: connection refused", address)
	case <-ctx.Done():
		return nil, fmt.Errorf("dialing %s: %w", address, ctx.Err())
	}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "issuer", Net: "pipe"} }
