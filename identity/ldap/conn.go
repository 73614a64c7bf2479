package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// Connections end, so that after a failover or a change of an address everybody moves on, and before a firewall that has
// seen nothing for a while forgets them.
const (
	maxIdle = time.Minute
	maxLife = 30 * time.Minute
)

// conn is a connection with the socket below it. The library takes no contexts: closing the socket is what makes its
// calls return.
type conn struct {
	*goldap.Conn
	socket net.Conn
	made   time.Time
	used   time.Time
}

// close never waits for the server.
func (c *conn) close() {
	_ = c.socket.Close() // closed is all that it shall be
	_ = c.Close()
}

// within runs f, which fails at the latest when ctx ends.
func (c *conn) within(ctx context.Context, f func(*goldap.Conn) error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.socket.Close() })
	err := f(c.Conn)
	if !stop() { // the socket is closed, or about to be
		return errors.Join(context.Cause(ctx), notAnswer(err))
	}
	return err
}

// notAnswer keeps an error from being taken for the directory's answer to what was asked.
func notAnswer(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(err.Error())
}

// dialer makes connections.
type dialer struct {
	c    Config
	last atomic.Int64 // index of the URL that answered last
}

// connectBound connects and binds as authd's own account.
func (d *dialer) connectBound(ctx context.Context) (*conn, error) {
	return d.any(ctx, func(ctx context.Context, u string) (*conn, error) {
		c, err := d.open(ctx, u)
		if err != nil || d.c.BindDN == "" {
			return c, err
		}
		err = c.within(ctx, func(l *goldap.Conn) error { return l.Bind(d.c.BindDN, d.c.BindPassword) })
		if err != nil {
			c.close()
			return nil, fmt.Errorf("binding as %q: %w", d.c.BindDN, err)
		}
		return c, nil
	})
}

// connect connects only.
func (d *dialer) connect(ctx context.Context) (*conn, error) { return d.any(ctx, d.open) }

// any tries the URLs until one works, each for its share of the time.
func (d *dialer) any(ctx context.Context, connect func(ctx context.Context, u string) (*conn, error)) (*conn, error) {
	n := len(d.c.URLs)
	first := int(d.last.Load())
	var failed []error
	for i := range n {
		at := (first + i) % n
		share, cancel := context.WithTimeoutCause(ctx, d.c.Timeout/time.Duration(n), errNoAnswer)
		c, err := connect(share, d.c.URLs[at])
		cancel()
		if err == nil {
			d.last.Store(int64(at))
			return c, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", d.c.URLs[at], err))
	}
	return nil, errors.Join(failed...)
}

// open opens a connection to one server, encrypted as the configuration says.
func (d *dialer) open(ctx context.Context, text string) (*conn, error) {
	network, address, host, err := target(text)
	if err != nil {
		return nil, err
	}
	var plain net.Dialer
	socket, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: d.c.CA, ServerName: host, MinVersion: tls.VersionTLS12}
	encrypted := strings.HasPrefix(text, "ldaps:")
	carrier := socket
	if encrypted {
		secured := tls.Client(socket, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = socket.Close() // the handshake's error tells
			return nil, err
		}
		carrier = secured
	}
	now := d.c.Now()
	c := &conn{Conn: goldap.NewConn(carrier, encrypted), socket: socket, made: now, used: now}
	c.Start()
	if d.c.StartTLS && network != "unix" {
		if err := c.within(ctx, func(l *goldap.Conn) error { return l.StartTLS(config) }); err != nil {
			c.close()
			return nil, fmt.Errorf("start_tls: %w", notAnswer(err))
		}
	}
	return c, nil
}

// target says where a URL leads.
func target(text string) (network, address, host string, err error) {
	if socket, ok := strings.CutPrefix(text, "ldapi://"); ok {
		path, err := url.PathUnescape(socket)
		return "unix", path, "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", "", errors.New("malformed URL")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": goldap.DefaultLdapPort, "ldaps": goldap.DefaultLdapsPort}[u.Scheme]
	}
	return "tcp", net.JoinHostPort(u.Hostname(), port), u.Hostname(), nil
}

// pool lends connections, a bounded number at a time.
type pool struct {
	c       Config
	connect func(ctx context.Context) (*conn, error)
	slots   chan struct{} // holds one element for each connection that is lent

	mu     sync.Mutex
	idle   []*conn // used last at the end
	closed bool
	lent   map[*conn]bool
}

func newPool(c Config, connect func(ctx context.Context) (*conn, error)) *pool {
	return &pool{c: c, connect: connect, slots: make(chan struct{}, c.Connections), lent: map[*conn]bool{}}
}

// do runs f with a connection. Where one that had been idle turns out to be dead, as all are when the server has been
// restarted, f runs again with a new one.
func (p *pool) do(ctx context.Context, f func(*goldap.Conn) error) error {
	ctx, cancel := p.c.bounded(ctx)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for a connection: %w", context.Cause(ctx))
	}
	if c := p.takeIdle(); c != nil {
		err := c.within(ctx, f)
		p.put(c, err)
		if !broken(err) || ctx.Err() != nil {
			return err
		}
	}
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	if !p.lend(c) {
		return errClosed
	}
	err = c.within(ctx, f)
	p.put(c, err)
	return err
}

var errClosed = errors.New("the source is closed")

// broken reports whether a connection is of no more use after an error: it is not the directory's answer, or its last.
func broken(err error) bool {
	if err == nil {
		return false
	}
	var answer *goldap.Error
	return !errors.As(err, &answer) || answer.ResultCode >= goldap.ErrorNetwork ||
		answer.ResultCode == goldap.LDAPResultUnavailable || answer.ResultCode == goldap.LDAPResultServerDown
}

// takeIdle lends the connection that was used last, if it is fresh enough, and ends those that are not.
func (p *pool) takeIdle() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.c.Now()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if now.Sub(c.used) < maxIdle && now.Sub(c.made) < maxLife && !c.IsClosing() {
			p.lent[c] = true
			return c
		}
		c.close()
	}
	return nil
}

// lend records a new connection; false, and it is closed, when the pool is.
func (p *pool) lend(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.close()
		return false
	}
	p.lent[c] = true
	return true
}

// put takes a connection back.
func (p *pool) put(c *conn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lent, c)
	if p.closed || broken(err) {
		c.close()
		return
	}
	c.used = p.c.Now()
	p.idle = append(p.idle, c)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
	for c := range p.lent {
		_ = c.socket.Close() // whoever has it gives it back
	}
}
