package identity

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrInvalidCredentials is the one answer to an unknown user, a wrong password and a disabled account.
	ErrInvalidCredentials = errors.New("invalid username or password")
	// ErrNotFound means that no account has this subject or name. It is for administrators and refreshes, never an
	// answer to a login.
	ErrNotFound = errors.New("account not found")
	// ErrExists means that an account has this name already.
	ErrExists = errors.New("account exists")
	// ErrWeakPassword refuses a new password; the error's text says why, for the person who chose it.
	ErrWeakPassword = errors.New("password not accepted")
	// ErrBusy means that too many passwords are being hashed; try again in a moment.
	ErrBusy = errors.New("too many logins at once")
	// ErrUnavailable means that the source of users did not answer.
	ErrUnavailable = errors.New("user store unavailable")
)

// Account is a user as the rest of authd sees it.
type Account struct {
	Subject  string // stable and never reused; the "sub" claim
	Username string
	Roles    []string // the "roles" claim (RFC 9068 section 2.2.3.1)
	Disabled bool
	// PasswordChangedAt is when the password became what it is, by the clock of its source; zero when that is not known.
	// Sessions whose user authenticated before end at their next refresh.
	PasswordChangedAt time.Time
}

// Authenticator checks logins. Methods may be called concurrently and honour ctx.
type Authenticator interface {
	// Authenticate returns the account, or ErrInvalidCredentials, ErrBusy or ErrUnavailable.
	Authenticate(ctx context.Context, username, password string) (Account, error)
	// Account returns the account as it is now, or ErrNotFound; each refresh asks it.
	Account(ctx context.Context, subject string) (Account, error)
}
