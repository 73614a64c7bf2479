package grpcmw

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

// Unary guards unary RPCs. With [middleware.WhileValid] the context of a long one ends like that of a stream, and so does
// the RPC, unless it succeeds.
func Unary(guard *middleware.Guard, opts ...Option) grpc.UnaryServerInterceptor {
	all := newGates(guard, opts)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		gate := all.of(info.FullMethod)
		if gate == nil {
			return handler(ctx, req)
		}
		claims, err := authorize(ctx, gate)
		if err != nil {
			return nil, refuse(ctx, gate, err)
		}
		admitted, done := gate.Admit(ctx, claims)
		defer done()
		resp, err := handler(admitted, req)
		if why := ended(admitted); err != nil && why != nil {
			return nil, refuse(ctx, gate, why)
		}
		return resp, err
	}
}

// refuse sets the trailer of a unary RPC, and returns its status.
func refuse(ctx context.Context, gate *middleware.Route, err error) error {
	trailer, refused := refusal(gate, err)
	_ = grpc.SetTrailer(ctx, trailer) // it fails only outside of a server, where nobody would read it
	return refused
}

// Stream guards streaming RPCs, from their beginning until their end: as if their routes had [middleware.WhileValid].
//
// Once the token would be refused, the stream's context has ended, and Recv and Send fail; the status that the client
// gets is Unauthenticated, or Unavailable, whatever the method returns. A method that waits for something else must heed
// its context. A message whose RecvMsg failed must not be used for anything else: it may still be written to. A Send that
// waits for the client to read goes on waiting.
func Stream(guard *middleware.Guard, opts ...Option) grpc.StreamServerInterceptor {
	all := newGates(guard, opts)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		gate := all.of(info.FullMethod)
		if gate == nil {
			return handler(srv, ss)
		}
		claims, err := authorize(ss.Context(), gate)
		if err != nil {
			trailer, refused := refusal(gate, err)
			ss.SetTrailer(trailer)
			return refused
		}
		ctx, done := gate.Watch(middleware.WithClaims(ss.Context(), claims), claims)
		defer done()
		err = handler(srv, &stream{ss, ctx})
		if why := ended(ctx); why != nil {
			trailer, refused := refusal(gate, why)
			ss.SetTrailer(trailer)
			return refused
		}
		return err
	}
}

// authorize decides by the RPC's metadata.
func authorize(ctx context.Context, gate *middleware.Route) (*token.Claims, error) {
	return gate.AuthorizeHeader(ctx, metadata.ValueFromIncomingContext(ctx, "authorization"))
}

// stream is a server stream for as long as its token is good.
type stream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *stream) Context() context.Context { return s.ctx }

// ended returns why the token is no longer good, nil as long as it is. That the client or its deadline ended the RPC is for
// gRPC to tell.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, token.ErrInvalid) || errors.Is(cause, token.ErrUnavailable) {
		return cause
	}
	return nil
}

// SendMsg implements grpc.ServerStream.
func (s *stream) SendMsg(m any) error {
	if err := ended(s.ctx); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// RecvMsg implements grpc.ServerStream. Nothing but the end of the RPC interrupts gRPC's own, and the RPC ends when its
// handler returns, so that is what waits in a goroutine: gRPC ends it right after the handler that is woken here.
func (s *stream) RecvMsg(m any) error {
	if err := ended(s.ctx); err != nil {
		return err
	}
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		if why := ended(s.ctx); why != nil {
			return why
		}
		return err
	case <-s.ctx.Done():
	}
	if err := ended(s.ctx); err != nil {
		return err
	}
	return <-received // the client is gone or its deadline over, as gRPC will say itself
}
