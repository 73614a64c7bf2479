package grpcmw

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Credentials send an access token with each RPC of a client, or of one call:
//
//	grpc.NewClient(target, grpc.WithPerRPCCredentials(grpcmw.Credentials{Token: tokens.Current}), …)
//
// They implement [credentials.PerRPCCredentials].
type Credentials struct {
	// Token returns the token to send. It is called for every RPC, concurrently, so it should keep a token until shortly
	// before it expires. With an error the RPC fails, as Unauthenticated unless the error is or wraps a gRPC status or the end
	// of ctx; its text is shown, so it must hold no secret.
	Token func(ctx context.Context) (string, error)
	// Insecure sends tokens also over connections without TLS, where everybody on the way can read and use them.
	Insecure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (c Credentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if !c.Insecure {
		info, _ := credentials.RequestInfoFromContext(ctx)
		if err := credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
			return nil, status.Errorf(codes.Unauthenticated, "an access token is not sent in the clear: %v", err)
		}
	}
	raw, err := c.Token(ctx)
	if err != nil {
		code := codes.Unauthenticated
		if st, ok := status.FromError(err); ok {
			code = st.Code()
		} else if st := status.FromContextError(err); st.Code() != codes.Unknown {
			code = st.Code()
		}
		return nil, status.Errorf(code, "getting an access token: %v", err)
	}
	if !sendable(raw) {
		return nil, status.Error(codes.Unauthenticated, "getting an access token: it is empty or has characters that no token has")
	}
	return map[string]string{"authorization": "Bearer " + raw}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (c Credentials) RequireTransportSecurity() bool { return !c.Insecure }

// sendable tells whether raw is visible ASCII: a line break, say, must not get into the metadata.
func sendable(raw string) bool {
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return raw != ""
}
