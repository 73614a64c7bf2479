package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/httpapi/extauthz"
)

// ExtAuthzConfig says where Envoy may ask.
type ExtAuthzConfig struct {
	ExtAuthzListen string
}

func (c *ExtAuthzConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.ExtAuthzListen, "ext-authz-listen", "", "address of Envoy's external authorization over gRPC, without TLS (default: none)")
}

func (c *ExtAuthzConfig) validate() error {
	if c.ExtAuthzListen == "" {
		return nil
	}
	return address("ext-authz-listen", c.ExtAuthzListen)
}

// openExtAuthz listens for Envoy and says where. It returns what answers questions until its context ends; that must be
// called, and does nothing when Envoy is not to be served.
func (a *app) openExtAuthz(ctx context.Context, stdout io.Writer) (serve func(context.Context) error, err error) {
	if a.cfg.ExtAuthzListen == "" {
		return func(context.Context) error { return nil }, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.ExtAuthzListen)
	if err != nil {
		return nil, fmt.Errorf("ext-authz-listen: %w", err)
	}
	fmt.Fprintf(stdout, "  ext_authz   %s\n", l.Addr())
	// The public API's own handler, so Envoy is answered as other proxies are.
	s := extauthz.New(extauthz.Config{Verify: a.public, Connections: a.cfg.MaxConnections, Drain: a.cfg.DrainTimeout})
	return func(ctx context.Context) error {
		later, cancel := lingering(ctx, a.cfg.ShutdownDelay)
		defer cancel()
		return s.Serve(later, l)
	}, nil
}

// lingering returns a context that ends some time after ctx.
func lingering(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return later, cancel
}
