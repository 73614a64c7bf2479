package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// port is where the public API is, or will be: it is opened once requests can be answered. A load balancer sends what a
// closed port refuses to another authd, whatever the request is; an answer of 503 it would have to hand on.
type port struct {
	addr     string
	listener net.Listener // nil until it is opened
	opened   atomic.Bool
}

// newPort opens a port only when the system is to choose it, as nobody knows it otherwise.
func newPort(ctx context.Context, listen string) (*port, error) {
	addr, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return nil, err
	}
	p := &port{addr: addr.String()}
	if addr.Port != 0 {
		return p, nil
	}
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	p.addr = p.listener.Addr().String()
	return p, nil
}

func (p *port) open(ctx context.Context) (err error) {
	if p.listener == nil {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false) // or the server cannot refuse connections before it closes the port
		p.listener, err = lc.Listen(ctx, "tcp", p.addr)
		p.opened.Store(err == nil)
	}
	return err
}

// check fails until the port is open, or /readyz would call clients to a closed one.
func (p *port) check() error {
	if !p.opened.Load() {
		return fmt.Errorf("%s is not open yet", p.addr)
	}
	return nil
}

func (p *port) close() error {
	if p.listener == nil {
		return nil
	}
	return p.listener.Close()
}

// servePublic serves the public API until ctx ends, and prints "ready" once requests can be answered.
func (a *app) servePublic(ctx context.Context, p *port, stdout io.Writer) error {
	servers, serving := errgroup.WithContext(ctx)
	if p.listener != nil { // until then they are answered 503
		servers.Go(func() error { return a.public.Serve(serving, p.listener) })
	}
	servers.Go(func() error {
		if a.awaitReady(serving) != nil {
			return nil // it was stopped before
		}
		isOpen := p.listener != nil
		if err := p.open(serving); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		fmt.Fprintln(stdout, "ready")
		if isOpen {
			return nil
		}
		return a.public.Serve(serving, p.listener)
	})
	return servers.Wait()
}
