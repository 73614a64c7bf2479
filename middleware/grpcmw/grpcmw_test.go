package grpcmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/grpcmw"
	"github.com/authd-project/authd/middleware/internal/surfacetest"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	unaryCall  = "/grpc.testing.TestService/UnaryCall"
	duplexCall = "/grpc.testing.TestService/FullDuplexCall"
)

// service answers who calls.
type service struct {
	pb.UnimplementedTestServiceServer
	ended  chan error // why the latest stream's context ended
	duplex func(pb.TestService_FullDuplexCallServer) error
}

func subject(ctx context.Context) *pb.Payload {
	claims, ok := middleware.ClaimsFrom(ctx)
	if !ok {
		return &pb.Payload{Body: []byte("nobody")}
	}
	return &pb.Payload{Body: []byte(claims.Subject)}
}

func (s *service) UnaryCall(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if req.ResponseSize != 0 { // hold it until it is ended
		<-ctx.Done()
		s.ended <- context.Cause(ctx)
		return nil, ctx.Err()
	}
	return &pb.SimpleResponse{Payload: subject(ctx)}, nil
}

// FullDuplexCall answers each request, and waits for the next in Recv without looking at its context.
func (s *service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	if s.duplex != nil {
		return s.duplex(stream)
	}
	for {
		if _, err := stream.Recv(); err != nil {
			s.ended <- context.Cause(stream.Context())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: subject(stream.Context())}); err != nil {
			return err
		}
	}
}

// serve runs a real server with these rules on loopback, and returns a connection to it that sends no token.
func serve(t testing.TB, guard *middleware.Guard, svc *service, rules ...grpcmw.Option) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcmw.Unary(guard, rules...)), grpc.ChainStreamInterceptor(grpcmw.Stream(guard, rules...)),
	)
	if svc.ended == nil {
		svc.ended = make(chan error, 100)
	}
	pb.RegisterTestServiceServer(server, svc)
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	return connect(t, server, insecure.NewCredentials())
}

func connect(t testing.TB, server *grpc.Server, creds credentials.TransportCredentials, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), append(opts, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// with returns a context whose RPCs carry these authorization metadata.
func with(ctx context.Context, authorization ...string) context.Context {
	md := metadata.MD{}
	md.Append("authorization", authorization...)
	return metadata.NewOutgoingContext(ctx, md)
}

// refusal is how an RPC ended.
type refusal struct {
	code      codes.Code
	reason    string // of the ErrorInfo
	challenge string
	retry     time.Duration
}

func refusalOf(t *testing.T, err error, trailer metadata.MD) refusal {
	t.Helper()
	r := refusal{code: status.Code(err), challenge: strings.Join(trailer.Get("www-authenticate"), "|")}
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if r.reason = d.Reason; d.Domain != grpcmw.Domain {
				t.Errorf("domain %q", d.Domain)
			}
		case *errdetails.RetryInfo:
			r.retry = d.RetryDelay.AsDuration()
		}
	}
	return r
}

// call makes an RPC of one of the two forms, and returns who was seen and how it ended.
func call(ctx context.Context, conn *grpc.ClientConn, streaming bool) (who string, trailer metadata.MD, err error) {
	if !streaming {
		resp, err := pb.NewTestServiceClient(conn).UnaryCall(ctx, &pb.SimpleRequest{}, grpc.Trailer(&trailer))
		return string(resp.GetPayload().GetBody()), trailer, err
	}
	stream, err := pb.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		return "", nil, err
	}
	_ = stream.Send(&pb.StreamingOutputCallRequest{}) // whether it was refused is for Recv to tell
	resp, err := stream.Recv()
	if err == nil {
		_ = stream.CloseSend()
		if _, end := stream.Recv(); !errors.Is(end, io.EOF) {
			return "", nil, fmt.Errorf("at the end: %w", end)
		}
	}
	return string(resp.GetPayload().GetBody()), stream.Trailer(), err
}

func TestSurface(t *testing.T) {
	for _, streaming := range []bool{false, true} {
		t.Run(map[bool]string{false: "unary", true: "stream"}[streaming], func(t *testing.T) {
			surfacetest.Run(t, func(t *testing.T, guard *middleware.Guard, opts ...middleware.Option) func(...string) surfacetest.Reply {
				conn := serve(t, guard, &service{}, grpcmw.All(opts...))
				return func(authorization ...string) surfacetest.Reply {
					who, trailer, err := call(with(t.Context(), authorization...), conn, streaming)
					r := refusalOf(t, err, trailer)
					return surfacetest.Reply{Subject: who, Body: r.reason, Status: map[codes.Code]int{
						codes.OK: http.StatusOK, codes.PermissionDenied: http.StatusForbidden, codes.Unavailable: http.StatusServiceUnavailable,
						codes.Unauthenticated: map[bool]int{false: http.StatusUnauthorized, true: http.StatusBadRequest}[r.reason == "BAD_REQUEST"],
					}[r.code]}
				}
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	issuer, other := middlewaretest.NewOffline("orders"), middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	conn := serve(t, guard, &service{}, grpcmw.All(middleware.Scopes("a", "b")))
	good, gone := "Bearer "+issuer.Mint(token.Claims{Scope: "a b"}), issuer.Mint(token.Claims{Scope: "a b"})
	issuer.Logout(gone)
	const bare = `Bearer realm="orders"`
	invalid := func(detail string) string {
		return bare + `, error="invalid_token", error_description="` + detail + `"`
	}
	for name, c := range map[string]struct {
		authorization []string
		outage        time.Duration
		want          refusal
	}{
		"none": {nil, 0, refusal{codes.Unauthenticated, "NO_CREDENTIALS", bare, 0}},
		"two": {[]string{good, good}, 0, refusal{codes.Unauthenticated, "BAD_REQUEST",
			bare + `, error="invalid_request", error_description="There must be one set of credentials."`, 0}},
		"another issuer's": {[]string{"Bearer " + other.Mint(token.Claims{})}, 0,
			refusal{codes.Unauthenticated, "INVALID_TOKEN", invalid("The access token is not valid."), 0}},
		"garbage": {[]string{"Bearer garbage"}, 0,
			refusal{codes.Unauthenticated, "INVALID_TOKEN", invalid("The access token is not valid."), 0}},
		"expired": {[]string{"Bearer " + issuer.MintExpired(token.Claims{})}, 0,
			refusal{codes.Unauthenticated, "EXPIRED", invalid("The access token expired."), 0}},
		"revoked": {[]string{"Bearer " + gone}, 0,
			refusal{codes.Unauthenticated, "REVOKED", invalid("The access token was revoked."), 0}},
		"no scope": {[]string{"Bearer " + issuer.Mint(token.Claims{Scope: "a"})}, 0,
			refusal{codes.PermissionDenied, "INSUFFICIENT_SCOPE", bare + `, error="insufficient_scope", scope="a b"`, 0}},
		"outage": {[]string{good}, time.Hour, refusal{codes.Unavailable, "UNAVAILABLE", "", time.Second}},
	} {
		for _, streaming := range []bool{false, true} {
			issuer.Outage(c.outage)
			_, trailer, err := call(with(t.Context(), c.authorization...), conn, streaming)
			if have := refusalOf(t, err, trailer); have != c.want {
				t.Errorf("%s, stream %v: have %+v, want %+v", name, streaming, have, c.want)
			}
			if strings.Contains(fmt.Sprint(err), good[len(good)-20:]) {
				t.Errorf("%s: the token is in %v", name, err)
			}
		}
	}
}

// What a method requires is what the most telling name says, and methods that nobody named are guarded.
func TestRules(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	admin := middleware.Roles("admin")
	user := "Bearer " + issuer.Mint(token.Claims{})
	for name, c := range map[string]struct {
		rules         []grpcmw.Option
		unary, stream codes.Code // with a user's token
		bare          codes.Code // the unary method without any
	}{
		"default":               {nil, codes.OK, codes.OK, codes.Unauthenticated},
		"all":                   {[]grpcmw.Option{grpcmw.All(admin)}, codes.PermissionDenied, codes.PermissionDenied, codes.Unauthenticated},
		"method":                {[]grpcmw.Option{grpcmw.Method(unaryCall, admin)}, codes.PermissionDenied, codes.OK, codes.Unauthenticated},
		"service":               {[]grpcmw.Option{grpcmw.Method("/grpc.testing.TestService/", admin)}, codes.PermissionDenied, codes.PermissionDenied, codes.Unauthenticated},
		"method before service": {[]grpcmw.Option{grpcmw.Method(unaryCall), grpcmw.Method("/grpc.testing.TestService/", admin)}, codes.OK, codes.PermissionDenied, codes.Unauthenticated},
		"method before all":     {[]grpcmw.Option{grpcmw.Method(duplexCall), grpcmw.All(admin)}, codes.PermissionDenied, codes.OK, codes.Unauthenticated},
		"exempt":                {[]grpcmw.Option{grpcmw.Exempt(unaryCall), grpcmw.All(admin)}, codes.OK, codes.PermissionDenied, codes.OK},
		"the last of one name":  {[]grpcmw.Option{grpcmw.Exempt(unaryCall), grpcmw.Method(unaryCall)}, codes.OK, codes.OK, codes.Unauthenticated},
		"like a prefix":         {[]grpcmw.Option{grpcmw.Exempt("/grpc.testing.Test/", "/grpc.testing.TestService/Unary")}, codes.OK, codes.OK, codes.Unauthenticated},
	} {
		conn := serve(t, guard, &service{}, c.rules...)
		_, _, unary := call(with(t.Context(), user), conn, false)
		_, _, stream := call(with(t.Context(), user), conn, true)
		_, _, bare := call(t.Context(), conn, false)
		if have := [...]codes.Code{status.Code(unary), status.Code(stream), status.Code(bare)}; have != [...]codes.Code{c.unary, c.stream, c.bare} {
			t.Errorf("%s: have %v, want %v", name, have, [...]codes.Code{c.unary, c.stream, c.bare})
		}
	}
}

// The health and reflection services are guarded like others until they are exempt.
func TestHealthAndReflection(t *testing.T) {
	guard := middlewaretest.NewOffline("orders").Guard(middleware.Options{})
	for want, rules := range map[codes.Code][]grpcmw.Option{
		codes.Unauthenticated: nil, codes.OK: {grpcmw.Exempt(grpcmw.Health, grpcmw.Reflection, grpcmw.ReflectionLegacy)},
	} {
		conn := serve(t, guard, &service{}, rules...)
		_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if status.Code(err) != want {
			t.Errorf("Check: %v, want %v", err, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != want {
			t.Errorf("Watch: %v, want %v", err, want)
		}
		info, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err == nil {
			_ = info.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
			_, err = info.Recv()
		}
		if status.Code(err) != want {
			t.Errorf("reflection: %v, want %v", err, want)
		}
		cancel()
	}
}

func TestNames(t *testing.T) {
	server := grpc.NewServer()
	pb.RegisterTestServiceServer(server, &service{})
	info := server.GetServiceInfo()
	good := []grpcmw.Option{grpcmw.All(), grpcmw.Method(unaryCall), grpcmw.Exempt("/grpc.testing.TestService/")}
	if err := grpcmw.Check(info, good...); err != nil {
		t.Error(err)
	}
	bad := append(good, grpcmw.Method(unaryCall+"s"), grpcmw.Exempt(grpcmw.Health))
	const want = "grpcmw: the server has no /grpc.health.v1.Health/, /grpc.testing.TestService/UnaryCalls"
	if err := grpcmw.Check(info, bad...); err == nil || err.Error() != want {
		t.Errorf("have %v, want %s", err, want)
	}
	for _, name := range []string{"", "/", "UnaryCall", "/UnaryCall", "//UnaryCall", "grpc.testing.TestService/UnaryCall", unaryCall + "/x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken for a name", name)
				}
			}()
			_ = grpcmw.Check(info, grpcmw.Method(name))
		}()
	}
}

// A stream that waits in Recv ends with Unauthenticated when its user logs out, at a service that follows its issuer over
// HTTP, and others go on.
func TestStreamEndsWithLogout(t *testing.T) {
	issuer := middlewaretest.NewIssuer("orders")
	defer issuer.Close()
	guard, err := middleware.New(t.Context(), issuer.URL, middleware.Options{Audience: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	svc := &service{ended: make(chan error, 1)}
	conn := serve(t, guard, svc)
	open := func(raw string) pb.TestService_FullDuplexCallClient {
		stream, err := pb.NewTestServiceClient(conn).FullDuplexCall(with(t.Context(), "Bearer "+raw))
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, stream)
		return stream
	}
	raw := issuer.Mint(token.Claims{})
	gone, other := open(raw), open(issuer.Mint(token.Claims{}))
	issuer.Logout(raw)
	_, err = gone.Recv()
	want := refusal{codes.Unauthenticated, "REVOKED", `Bearer realm="orders", error="invalid_token", error_description="The access token was revoked."`, 0}
	if have := refusalOf(t, err, gone.Trailer()); have != want {
		t.Errorf("have %+v, want %+v", have, want)
	}
	if cause := <-svc.ended; !errors.Is(cause, token.ErrRevoked) {
		t.Errorf("the method saw its context ended by %v", cause)
	}
	exchange(t, other)
	_ = other.CloseSend()
	if _, err := other.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the other ended with %v", err)
	}
}

func exchange(t *testing.T, stream pb.TestService_FullDuplexCallClient) {
	t.Helper()
	if err := stream.Send(&pb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if resp, err := stream.Recv(); err != nil || string(resp.Payload.Body) != "alice" {
		t.Fatalf("have %v, %v", resp, err)
	}
}

// Whatever a method makes of the end, and whatever it waits for, the client is told the reason; and nothing more is sent
// or received.
func TestStreamEndsWhateverTheMethodDoes(t *testing.T) {
	for name, c := range map[string]struct {
		wait   func(pb.TestService_FullDuplexCallServer) error
		outage time.Duration
		want   codes.Code
	}{
		"heeds its context":  {func(s pb.TestService_FullDuplexCallServer) error { <-s.Context().Done(); return s.Context().Err() }, 0, codes.Unauthenticated},
		"calls it a success": {func(s pb.TestService_FullDuplexCallServer) error { <-s.Context().Done(); return nil }, 0, codes.Unauthenticated},
		"has its own status": {func(s pb.TestService_FullDuplexCallServer) error {
			<-s.Context().Done()
			return status.Error(codes.Aborted, "")
		}, 0, codes.Unauthenticated},
		"goes on to send":        {func(s pb.TestService_FullDuplexCallServer) error { return untilFails(s, send) }, 0, codes.Unauthenticated},
		"goes on to receive":     {func(s pb.TestService_FullDuplexCallServer) error { return untilFails(s, receive) }, 0, codes.Unauthenticated},
		"cannot be told":         {func(s pb.TestService_FullDuplexCallServer) error { return untilFails(s, receive) }, time.Hour, codes.Unavailable},
		"sends after the end":    {func(s pb.TestService_FullDuplexCallServer) error { <-s.Context().Done(); return send(s) }, 0, codes.Unauthenticated},
		"receives after the end": {func(s pb.TestService_FullDuplexCallServer) error { <-s.Context().Done(); return receive(s) }, 0, codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := middlewaretest.NewOffline("orders")
			result := make(chan error, 1)
			conn := serve(t, issuer.Guard(middleware.Options{}), &service{duplex: func(s pb.TestService_FullDuplexCallServer) error {
				if err := send(s); err != nil {
					return err
				}
				err := c.wait(s)
				result <- err
				return err
			}})
			raw := issuer.Mint(token.Claims{})
			stream, err := pb.NewTestServiceClient(conn).FullDuplexCall(with(t.Context(), "Bearer "+raw))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			if c.outage != 0 {
				issuer.Outage(c.outage)
			} else {
				issuer.Logout(raw)
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != c.want {
				t.Errorf("have %v, want %v", err, c.want)
			}
			err = <-result
			if strings.Contains(name, "send") || strings.Contains(name, "receive") {
				if !errors.Is(err, token.ErrRevoked) {
					t.Errorf("the method saw %v", err)
				}
			}
		})
	}
}

func send(s pb.TestService_FullDuplexCallServer) error {
	return s.Send(&pb.StreamingOutputCallResponse{})
}

func receive(s pb.TestService_FullDuplexCallServer) error {
	_, err := s.Recv()
	return err
}

func untilFails(s pb.TestService_FullDuplexCallServer, f func(pb.TestService_FullDuplexCallServer) error) error {
	for {
		if err := f(s); err != nil {
			return err
		}
	}
}

// What ends a stream otherwise is told as gRPC tells it.
func TestDeadlineAndCancellation(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	svc := &service{ended: make(chan error, 1)}
	conn := serve(t, issuer.Guard(middleware.Options{}), svc)
	for want, start := range map[codes.Code]func() (context.Context, context.CancelFunc){
		codes.DeadlineExceeded: func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 100*time.Millisecond)
		},
		codes.Canceled: func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		ctx, cancel := start()
		stream, err := pb.NewTestServiceClient(conn).FullDuplexCall(with(ctx, "Bearer "+issuer.Mint(token.Claims{})))
		if err == nil {
			_, err = stream.Recv()
		}
		if have := status.Code(err); have != want {
			t.Errorf("have %v, want %v", err, want)
		}
		cancel()
		if cause := <-svc.ended; errors.Is(cause, token.ErrInvalid) || !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("%v: the method saw its context ended by %v", want, cause)
		}
	}
}

// A unary RPC ends early only where its rule says so.
func TestUnaryWhileValid(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	svc := &service{ended: make(chan error, 1)}
	conn := serve(t, issuer.Guard(middleware.Options{}), svc, grpcmw.All(middleware.WhileValid()))
	raw := issuer.Mint(token.Claims{SessionID: "s1"})
	time.AfterFunc(20*time.Millisecond, func() { issuer.Revoke(revocation.Session, "s1") })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := pb.NewTestServiceClient(conn).UnaryCall(with(ctx, "Bearer "+raw), &pb.SimpleRequest{ResponseSize: 1})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("have %v", err)
	}
	if cause := <-svc.ended; !errors.Is(cause, token.ErrRevoked) {
		t.Errorf("the method saw its context ended by %v", cause)
	}
}

func TestCredentials(t *testing.T) {
	issuer := middlewaretest.NewOffline("orders")
	guard := issuer.Guard(middleware.Options{})
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(web.TLS)), grpc.UnaryInterceptor(grpcmw.Unary(guard)))
	pb.RegisterTestServiceServer(server, &service{})
	roots := web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conn := connect(t, server, credentials.NewTLS(roots))

	ctx := context.WithValue(t.Context(), asked{}, "yes")
	for name, c := range map[string]struct {
		source func(context.Context) (string, error)
		want   codes.Code
	}{
		"good": {func(ctx context.Context) (string, error) {
			if ctx.Value(asked{}) != "yes" {
				return "", errors.New("not the call's context")
			}
			return issuer.Mint(token.Claims{}), nil
		}, codes.OK},
		"none to be had": {func(context.Context) (string, error) { return "", errors.New("login failed") }, codes.Unauthenticated},
		"no issuer":      {func(context.Context) (string, error) { return "", status.Error(codes.Unavailable, "down") }, codes.Unavailable},
		"too late": {func(context.Context) (string, error) {
			return "", fmt.Errorf("refreshing: %w", context.DeadlineExceeded)
		}, codes.DeadlineExceeded},
		"empty":      {func(context.Context) (string, error) { return "", nil }, codes.Unauthenticated},
		"line break": {func(context.Context) (string, error) { return "a\r\nx: y", nil }, codes.Unauthenticated},
	} {
		creds := grpcmw.Credentials{Token: c.source}
		_, err := pb.NewTestServiceClient(conn).UnaryCall(ctx, &pb.SimpleRequest{}, grpc.PerRPCCredentials(creds))
		if status.Code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Without TLS nothing is sent, neither by all calls of a connection nor by one, unless it was asked for.
	source := func(context.Context) (string, error) { return issuer.Mint(token.Claims{}), nil }
	safe := grpcmw.Credentials{Token: source}
	if _, err := grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(safe)); err == nil {
		t.Error("a connection without TLS was to carry tokens")
	}
	plain := serve(t, guard, &service{})
	for insecurely, want := range map[bool]codes.Code{false: codes.Unauthenticated, true: codes.OK} {
		var asked bool
		creds := grpcmw.Credentials{Insecure: insecurely, Token: func(ctx context.Context) (string, error) { asked = true; return source(ctx) }}
		_, err := pb.NewTestServiceClient(plain).UnaryCall(t.Context(), &pb.SimpleRequest{}, grpc.PerRPCCredentials(creds))
		if status.Code(err) != want || asked != insecurely {
			t.Errorf("insecure %v: %v, and the token was asked for: %v", insecurely, err, asked)
		}
	}
	if _, err := safe.GetRequestMetadata(t.Context()); err == nil {
		t.Error("a token for nobody knows what connection")
	}
}

type asked struct{}

func TestServerHasWhatRulesName(t *testing.T) {
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	names := []string{grpcmw.Health, grpcmw.Reflection, grpcmw.ReflectionLegacy}
	if err := grpcmw.Check(server.GetServiceInfo(), grpcmw.Exempt(names...)); err != nil || slices.Contains(names, "") {
		t.Error(err)
	}
}
