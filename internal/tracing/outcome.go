package tracing

import (
	"context"
	"errors"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// answers are errors that are answers: nothing has failed.
func answers() []named {
	return []named{
		{identity.ErrInvalidCredentials, "invalid_credentials"}, {identity.ErrNotFound, "not_found"}, {identity.ErrExists, "exists"},
		{session.ErrReuse, "reuse"}, {session.ErrEnded, "ended"}, {session.ErrNotFound, "not_found"}, {session.ErrExists, "exists"},
		{token.ErrRevoked, "revoked"}, {token.ErrExpired, "expired"}, {token.ErrMalformed, "malformed"},
		{token.ErrSignature, "signature"}, {token.ErrUnknownKey, "unknown_key"}, {token.ErrInvalid, "invalid"},
	}
}

// failures are errors that are none.
func failures() []named {
	return []named{
		{identity.ErrBusy, "busy"}, {keys.ErrStale, "stale"}, {audit.ErrUnconfirmed, "unconfirmed"},
		{context.Canceled, "canceled"}, {context.DeadlineExceeded, "timeout"},
		{identity.ErrUnavailable, "unavailable"}, {session.ErrUnavailable, "unavailable"}, {revocation.ErrUnavailable, "unavailable"},
		{keys.ErrUnavailable, "unavailable"}, {ratelimit.ErrUnavailable, "unavailable"}, {token.ErrUnavailable, "unavailable"},
	}
}

type named struct {
	is   error
	name string
}

// outcome names an error, by one of a fixed set of words. Its text is not for spans.
func outcome(err error) (name string, failed bool) {
	for _, f := range failures() {
		if errors.Is(err, f.is) {
			return f.name, true
		}
	}
	for _, a := range answers() {
		if errors.Is(err, a.is) {
			return a.name, false
		}
	}
	return semconv.ErrorTypeOther.Value.AsString(), true
}
