// Package grpcmw guards the RPCs of a gRPC server, as package middleware does the handlers of net/http:
//
//	rules := []grpcmw.Option{
//		grpcmw.Method("/orders.v1.Orders/Cancel", middleware.Scopes("orders:write")),
//		grpcmw.Exempt(grpcmw.Health),
//	}
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(grpcmw.Unary(guard, rules...)),
//		grpc.ChainStreamInterceptor(grpcmw.Stream(guard, rules...)),
//	)
//	claims, _ := middleware.ClaimsFrom(ctx) // in a method
//
// Every method is guarded but those that are exempt by name. The token comes in the one "authorization" metadata, as
// "Bearer TOKEN". [Check] finds rules that name no method.
//
// A stream ends when its token is revoked or expires: its context is cancelled, and the RPC ends with Unauthenticated,
// also where the method waits in Recv. [middleware.Guard.Watch] says what else ends it.
//
// Refusals have the code Unauthenticated, PermissionDenied or Unavailable, an ErrorInfo of the domain "authd" that says
// why, the challenge of RFC 6750 in the trailer "www-authenticate", and with Unavailable a RetryInfo.
//
// A client sends tokens with [Credentials].
package grpcmw
