package grpcmw_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/middleware/grpcmw"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/token"
)

// orders is a service; any generated one will do.
type orders struct {
	pb.UnimplementedTestServiceServer
}

func (orders) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	claims, _ := middleware.ClaimsFrom(ctx)
	return &pb.SimpleResponse{Username: claims.Subject}, nil
}

// FullDuplexCall waits for messages, and need not know of logouts.
func (orders) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

func Example() {
	issuer := middlewaretest.NewOffline("orders") // stands in for an authd
	guard := issuer.Guard(middleware.Options{})

	rules := []grpcmw.Option{
		grpcmw.Method("/grpc.testing.TestService/EmptyCall", middleware.Scopes("orders:write")),
		grpcmw.Exempt(grpcmw.Health),
	}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcmw.Unary(guard, rules...)),
		grpc.ChainStreamInterceptor(grpcmw.Stream(guard, rules...)),
	)
	pb.RegisterTestServiceServer(server, orders{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	if err := grpcmw.Check(server.GetServiceInfo(), rules...); err != nil {
		fmt.Println(err) // a name is misspelt
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()

	raw := issuer.Mint(token.Claims{Subject: "alice"})
	conn, err := grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // on loopback
		grpc.WithPerRPCCredentials(grpcmw.Credentials{
			Token:    func(context.Context) (string, error) { return raw, nil },
			Insecure: true,
		}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, client := context.Background(), pb.NewTestServiceClient(conn)
	resp, _ := client.UnaryCall(ctx, &pb.SimpleRequest{})
	fmt.Println(resp.GetUsername())
	_, err = client.EmptyCall(ctx, &pb.Empty{})
	fmt.Println(status.Code(err))

	stream, _ := client.FullDuplexCall(ctx)
	_ = stream.Send(&pb.StreamingOutputCallRequest{})
	_, err = stream.Recv()
	fmt.Println(status.Code(err))
	issuer.Logout(raw) // the method waits in Recv
	_, err = stream.Recv()
	fmt.Println(err)

	_ = conn.Close()
	server.GracefulStop()
	fmt.Println(<-done)
	// Output:
	// alice
	// PermissionDenied
	// OK
	// rpc error: code = Unauthenticated desc = The access token was revoked.
	// <nil>
}
