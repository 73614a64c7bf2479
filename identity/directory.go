package identity

import (
	"context"
	"time"
)

// User is an account as administrators see it.
type User struct {
	Account
	HasPassword bool // without one nobody can log in
	CreatedAt   time.Time
	UpdatedAt   time.Time // of anything but an upgrade of the hash
}

// Directory is a source of users that authd itself manages. Methods may be called concurrently, from several
// processes, and honour ctx. Usernames are taken in any spelling that [NormalizeUsername] makes the same. Errors wrap
// ErrUsername, ErrNotFound, ErrExists, ErrWeakPassword, ErrRoles, ErrBusy or ErrUnavailable; after ErrUnavailable the
// outcome of a change is unknown. A change is durable, and seen by every later call, once it has returned nil.
//
// A directory does not know of sessions: to disable an account, to remove it or to change its password leaves a
// [PendingEnd], made in one step with the change, and who asks for the change has its sessions ended; see package outbox.
type Directory interface {
	Authenticator
	// Add creates an account with a new subject.
	Add(ctx context.Context, username, password string, roles ...string) (Account, error)
	// Import creates an account with a password hash from elsewhere: argon2id in PHC form, bcrypt, or empty for an
	// account without a password. A hash that cannot be used gives ErrHash.
	Import(ctx context.Context, username, passwordHash string, roles ...string) (Account, error)
	// Get returns one account.
	Get(ctx context.Context, username string) (User, error)
	// List returns at most limit accounts in the order of their names' bytes, beginning behind the name after, which
	// need not exist; empty means from the start. A limit of 0 or more than [MaxPage] means MaxPage.
	List(ctx context.Context, after string, limit int) ([]User, error)
	// SetPassword replaces the password and returns whose it was.
	SetPassword(ctx context.Context, username, password string) (Account, error)
	// SetDisabled says whether the account may not log in, and returns it as it is now.
	SetDisabled(ctx context.Context, username string, disabled bool) (Account, error)
	// SetRoles replaces the roles and returns the account as it is now. Tokens issued before keep the old ones.
	SetRoles(ctx context.Context, username string, roles ...string) (Account, error)
	// Remove deletes the account and returns what it was. Its subject is never given to anybody else.
	Remove(ctx context.Context, username string) (Account, error)
}

// MaxPage is how many accounts [Directory.List] returns at most.
const MaxPage = 1000
