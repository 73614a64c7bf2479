// Package extauthz lets Envoy ask authd about requests: its external authorization over gRPC (envoy.service.auth.v3).
//
// A question becomes GET /v1/verify, and what the public API answers becomes the answer, so that both ways of asking have
// one set of checks, limits, metrics and logs:
//
//	err := extauthz.New(extauthz.Config{Verify: public}).Serve(ctx, listener)
package extauthz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
)

// Config says who answers, and what askers can take. Zero values mean the defaults.
type Config struct {
	Verify      http.Handler  // required; answers GET /v1/verify, and does not panic
	Connections int           // open at once; more wait to be accepted; default 1024
	Streams     uint32        // questions at once on a connection; default 1000
	Drain       time.Duration // how long questions may take once the server stops; default 10 s
}

// Server answers the questions of any number of Envoys. Its methods may be called concurrently.
type Server struct {
	authv3.UnimplementedAuthorizationServer

	cfg Config
}

// New makes a server, which needs no closing.
func New(c Config) *Server {
	if c.Connections == 0 {
		c.Connections = 1024
	}
	if c.Streams == 0 {
		c.Streams = 1000
	}
	if c.Drain == 0 {
		c.Drain = 10 * time.Second
	}
	return &Server{cfg: c}
}

// maxQuestion bounds a question, in bytes: Envoy takes headers of 60 KiB at most, and need not send the body.
const maxQuestion = 128 << 10

// Serve answers questions on l until ctx ends. Then it lets those that have begun finish for Config.Drain, cuts off the
// rest, and returns nil. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxQuestion),
		grpc.MaxHeaderListSize(16<<10),
		grpc.MaxConcurrentStreams(s.cfg.Streams),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	authv3.RegisterAuthorizationServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(netutil.LimitListener(l, s.cfg.Connections)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	cut := time.AfterFunc(s.cfg.Drain, g.Stop)
	defer cut.Stop()
	g.GracefulStop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("stopping %s: %w", l.Addr(), err)
	}
	return nil
}

// Check answers one question. It returns no error: whatever is wrong is an answer, or Envoy's status_on_error would
// decide.
func (s *Server) Check(ctx context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/v1/verify"}, RequestURI: "/v1/verify",
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: credentials(q), Body: http.NoBody,
	}).WithContext(ctx)
	if p, ok := peer.FromContext(ctx); ok {
		r.RemoteAddr = p.Addr.String()
	}
	if from := q.GetAttributes().GetSource().GetAddress().GetSocketAddress().GetAddress(); from != "" {
		r.Header.Set("X-Forwarded-For", from) // believed only when Envoy is a trusted proxy
	}
	var a answer
	s.cfg.Verify.ServeHTTP(&a, r)
	return a.translated(), nil
}

// answer is what a handler writes.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
