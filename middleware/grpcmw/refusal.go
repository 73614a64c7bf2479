package grpcmw

import (
	"net/http"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/authd-project/authd/middleware"
)

// Domain is that of the ErrorInfo in refusals.
const Domain = "authd"

// retryAfter is when to try again what could not be decided: the guard's sources do so within seconds.
const retryAfter = time.Second

// refusal is what the client gets: the trailer, and the status.
func refusal(gate *middleware.Route, err error) (trailer metadata.MD, refused error) {
	answer := gate.Answer(err)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason(err), Domain: Domain}}
	code := codes.Unauthenticated
	switch answer.Status {
	case http.StatusForbidden:
		code = codes.PermissionDenied
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	st := status.New(code, answer.Detail)
	if detailed, err := st.WithDetails(details...); err == nil { // it cannot fail: the details are ours
		st = detailed
	}
	if answer.Challenge != "" {
		trailer = metadata.Pairs("www-authenticate", answer.Challenge)
	}
	return trailer, st.Err()
}

// reason names the outcome, as far as answers over HTTP do: what exactly is wrong with a forged token is for the log.
func reason(err error) string {
	outcome := middleware.OutcomeOf(err)
	switch outcome {
	case middleware.NoCredentials, middleware.BadRequest, middleware.Expired, middleware.Revoked, middleware.Forbidden,
		middleware.InsufficientScope, middleware.InsufficientAuthentication, middleware.Unavailable:
		return strings.ToUpper(string(outcome))
	}
	return "INVALID_TOKEN"
}
