package httpapi

import (
	"context"
	"net/netip"
	"time"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/statuslist"
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
	// VerifyBound verifies a token of which a proof of a key came along. Nil revocations are the configured ones.
	VerifyBound(ctx context.Context, raw, thumbprint string, revocations revocation.Checker) (*token.Claims, error)
	// VerifyUnproved takes bound tokens too, only to tell what they say or to end them.
	VerifyUnproved(ctx context.Context, raw string, revocations revocation.Checker) (*token.Claims, error)
}

// StatusLists publishes the status of tokens; see [statuslist.Publisher].
type StatusLists interface {
	// List returns a list that is ready to be sent, or an error that wraps statuslist.ErrNotFound.
	List(ctx context.Context, name string) (*statuslist.Published, error)
	// URIs returns where all lists are.
	URIs(ctx context.Context) ([]string, error)
}

// Logins limits failed logins; see [ratelimit.LoginGuard]. Each attempt that Before allows is settled by exactly one of the
// others.
type Logins interface {
	Before(ctx context.Context, account string, address netip.Addr) (*ratelimit.Attempt, error)
	Succeeded(ctx context.Context, a *ratelimit.Attempt) error
	Failed(a *ratelimit.Attempt)
	Cancelled(ctx context.Context, a *ratelimit.Attempt) error
}

// RateLimiter is the part of [ratelimit.Limiter] that routes need; see [ratelimit.Fallback] too.
type RateLimiter interface {
	Allow(ctx context.Context, key string, n int) (ratelimit.Decision, error)
	Policy() ratelimit.Policy
}

// LoginAdmin is the part of [ratelimit.LoginGuard] that administrators use.
type LoginAdmin interface {
	// Forgive gives an account its whole budget of failed logins again.
	Forgive(ctx context.Context, account string) error
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

// Users are the accounts that authd manages; see [identity.Directory].
type Users interface {
	Add(ctx context.Context, username, password string, roles ...string) (identity.Account, error)
	Get(ctx context.Context, username string) (identity.User, error)
	List(ctx context.Context, after string, limit int) ([]identity.User, error)
	SetPassword(ctx context.Context, username, password string) (identity.Account, error)
	SetDisabled(ctx context.Context, username string, disabled bool) (identity.Account, error)
	SetRoles(ctx context.Context, username string, roles ...string) (identity.Account, error)
	Remove(ctx context.Context, username string) (identity.Account, error)
}

// SessionAdmin is the part of [session.Service] that administrators use. Each End method returns once the revocation is
// durable and merged into this process's mirror.
type SessionAdmin interface {
	List(ctx context.Context, subject string) ([]session.Session, error)
	Standing(ctx context.Context, id session.ID) (session.Standing, error)
	EndSessions(ctx context.Context, ids ...session.ID) error
	EndSubject(ctx context.Context, subject string) error
	EndClient(ctx context.Context, clientID string) error
	EndEverything(ctx context.Context) error
}

// AccountEnds ends the sessions of accounts that were changed; see [outbox.Outbox].
type AccountEnds interface {
	// Finish ends the sessions of an account that has just been disabled, removed or given another password, by the note
	// that the change has left. After an error the sessions end later.
	Finish(ctx context.Context, subject string) error
}

// KeyRing is this process's view of the key ring; see [keys.View].
type KeyRing interface {
	Ring() (ring keys.Ring, asOf time.Time, err error)
}

// Explainer is the part of [token.Verifier] that tells people about a token.
type Explainer interface {
	Explain(ctx context.Context, raw string) token.Explanation
}

// AdminKeyRing is a KeyRing that tells where a single key stands.
type AdminKeyRing interface {
	KeyRing
	Standing(kid string) (keys.Standing, error)
}

// Sealing tells which key-encryption keys the process has, and which one second factors are sealed under.
type Sealing interface {
	Sealing(ctx context.Context) adminapi.Sealing
}

// AdminMirror is a RevocationMirror that tells what it holds about a token.
type AdminMirror interface {
	RevocationMirror
	Holdings(c revocation.Claims) []revocation.Holding
}

// Leadership tells who leads; see [election.Observer].
type Leadership interface {
	Sight() election.Sight
}

// KeyAdmin changes the key ring; see [keys.Rotator].
type KeyAdmin interface {
	Rotate(ctx context.Context) (kid string, err error)
	Revoke(ctx context.Context, kid string) (keys.RevokeResult, error)
	// BlastRadius tells what Revoke would do, and changes nothing.
	BlastRadius(ctx context.Context, kid string) (keys.RevokeResult, error)
}
