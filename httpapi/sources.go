package httpapi

import (
	"context"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Sessions is the part of [session.Service] that people use.
type Sessions interface {
	Login(ctx context.Context, r session.LoginRequest) (session.Grant, error)
	Refresh(ctx context.Context, refreshToken string, use session.Use) (session.Grant, error)
	// Logout returns once the revocation is durable and merged into this process's mirror.
	Logout(ctx context.Context, subject string, current session.ID, scope session.LogoutScope) error
	List(ctx context.Context, subject string) ([]session.Session, error)
	// End ends a session of the subject; session.ErrNotFound for anybody else's.
	End(ctx context.Context, subject string, id session.ID) error
	RevokeRefreshToken(ctx context.Context, refreshToken string) error
	// InspectRefreshToken changes nothing; expires is when the session's refresh tokens stop working if unused.
	InspectRefreshToken(ctx context.Context, refreshToken string) (s session.Session, expires time.Time, err error)
}

// Verifier is the part of [token.Verifier] that the public listener needs.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*token.Claims, error)
	// VerifyWith asks another checker about revocation than the configured one.
	VerifyWith(ctx context.Context, raw string, revocations revocation.Checker) (*token.Claims, error)
}

// Accounts finds the present state of an account; see [identity.Authenticator].
type Accounts interface {
	Account(ctx context.Context, subject string) (identity.Account, error)
}

// KeySet is the published key set; see [keys.View].
type KeySet interface {
	JWKS(ctx context.Context) (keys.JWKS, error)
}

// RevocationLog makes revocations durable; see [revocation.Store].
type RevocationLog interface {
	Add(ctx context.Context, entries ...revocation.Entry) error
}

// RevocationMirror is this process's replica of the revocation set; see [revocation.Mirror].
type RevocationMirror interface {
	// Merge puts entries in force here before the feed brings them.
	Merge(entries ...revocation.Entry)
	Status() revocation.Status
}
