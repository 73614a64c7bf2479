package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// Limits bound what clients can take. Zero values mean the defaults.
type Limits struct {
	Connections   int           // open at once; more wait to be accepted; default 4096
	HeaderBytes   int           // of a request; default 16 KiB
	HeaderTimeout time.Duration // to send a request's header; default 5 s
	ReadTimeout   time.Duration // to send a whole request; default 15 s
	WriteTimeout  time.Duration // from the end of a request's header to the end of the answer; default 30 s
	IdleTimeout   time.Duration // between requests of a connection; default 2 min
	// Drain is how long running requests may take once the server stops. Default 10 s.
	Drain time.Duration
	// Linger is how long the server goes on after it was told to stop, each answer closing its connection. Default 0.
	Linger time.Duration
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Connections, 4096)
	setDefault(&l.HeaderBytes, 16<<10)
	setDefault(&l.HeaderTimeout, 5*time.Second)
	setDefault(&l.ReadTimeout, 15*time.Second)
	setDefault(&l.WriteTimeout, 30*time.Second)
	setDefault(&l.IdleTimeout, 2*time.Minute)
	setDefault(&l.Drain, 10*time.Second)
	return l
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Server is one listener's handler together with its limits. It may serve several listeners, or none: as an
// [http.Handler] it also answers requests of the same process.
type Server struct {
	site   atomic.Pointer[site]
	limits Limits
}

func newServer(s *site, l Limits) *Server {
	server := &Server{limits: l.withDefaults()}
	server.site.Store(s)
	return server
}

// Replace has s answer as other does from the next request on, within its own limits. Requests that are being answered are
// not touched. It may be called at any time.
func (s *Server) Replace(other *Server) { s.site.Store(other.site.Load()) }

// ServeHTTP answers one request, without the limits that belong to connections.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site := s.site.Load()
	if r.Method == http.MethodOptions {
		site.options(w, r)
		return
	}
	site.echo.ServeHTTP(w, r)
}

// Serve answers connections of l until ctx ends, and for Limits.Linger after that. Then it accepts no more, ends the
// streams, lets the other requests finish for Limits.Drain, cuts off the rest, and returns nil, or an error when requests
// had to be cut off. It closes l.
//
// No request is lost if within Limits.Linger its sender either notices that it should send none, or closes connections that
// it does not use. For a connection that is refused or closed in an answer leaves no doubt whether a request was
// heard, and one that the server closes at its own time does. On Linux that needs a listener without Multipath TCP, which
// [net.ListenConfig] uses unless told otherwise.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	drain, startDraining := context.WithCancel(context.WithoutCancel(ctx))
	defer startDraining()
	requests, cut := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), drainKey{}, drain))
	defer cut()
	hs := &http.Server{
		Handler:           closing(ctx, s),
		ReadHeaderTimeout: s.limits.HeaderTimeout,
		ReadTimeout:       s.limits.ReadTimeout,
		WriteTimeout:      s.limits.WriteTimeout,
		IdleTimeout:       s.limits.IdleTimeout,
		MaxHeaderBytes:    s.limits.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.site.Load().log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(netutil.LimitListener(l, s.limits.Connections)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	if err := s.linger(l, served); err != nil {
		return err
	}
	startDraining()
	err := s.drain(hs, cut)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	if err != nil {
		return fmt.Errorf("stopping %s: %w", l.Addr(), err)
	}
	return nil
}

// closing has each answer close its connection once ctx has ended, so that the next request finds another server.
func closing(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// settle is how long connections get to be accepted that were being made when the port stopped taking new ones: longer
// than a packet travels there and back.
const settle = 200 * time.Millisecond

// linger goes on for Limits.Linger, and then lets nobody connect any more.
func (s *Server) linger(l net.Listener, served <-chan error) error {
	if s.limits.Linger <= 0 {
		return nil
	}
	if err := goOn(l, served, s.limits.Linger); err != nil {
		return err
	}
	refuse(l)
	return goOn(l, served, settle)
}

func goOn(l net.Listener, served <-chan error, d time.Duration) error {
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-time.After(d):
		return nil
	}
}

// drain waits for the running requests; those that outlast the limit lose their context and their connection.
func (s *Server) drain(hs *http.Server, cut context.CancelFunc) error {
	deadline, cancel := context.WithTimeout(context.Background(), s.limits.Drain)
	defer cancel()
	err := hs.Shutdown(deadline)
	if err == nil {
		return nil
	}
	cut()
	return errors.Join(fmt.Errorf("requests outlasted %v: %w", s.limits.Drain, err), hs.Close())
}

// drainKey finds, in a request's context, the context that ends when the server stops.
type drainKey struct{}

// draining returns a context that ends when the server begins to drain; for a request of the same process, never.
func draining(request context.Context) context.Context {
	if ctx, ok := request.Value(drainKey{}).(context.Context); ok {
		return ctx
	}
	return context.Background()
}
