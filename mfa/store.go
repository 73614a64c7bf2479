package mfa

import (
	"context"
	"time"
)

// Record is a factor as the store keeps it.
type Record struct {
	ID      string // random, unique
	Subject string
	Kind    Kind // TOTP or Passkey
	Name    string
	// Credential is a passkey's own id, unique among all users; nil for others.
	Credential []byte
	Sealed     []byte // the secret of an app, the public key of a passkey; for [Service] alone
	// Counter is the last step of an app or the signature counter of a passkey.
	Counter   int64
	CreatedAt time.Time // in whole microseconds
	UsedAt    time.Time // zero for never
}

// Name of something that is used once: a digest.
type Name [16]byte

// Store keeps factors. Methods may be called concurrently, from several processes, and honour ctx. A change is durable, and
// seen by every later call, once it has returned nil. Errors of the backend wrap ErrUnavailable; after one the outcome
// is unknown.
type Store interface {
	// Factors returns the factors of a subject, oldest first, and how many recovery codes are left.
	Factors(ctx context.Context, subject string) ([]Record, int, error)
	// Credential returns the passkey with this id, or ErrNotFound.
	Credential(ctx context.Context, id []byte) (Record, error)
	// Add stores a factor; ErrTooMany when the subject has that many already, ErrExists when the credential is there.
	Add(ctx context.Context, r Record, most int) error
	// Rename renames a subject's factor, or returns ErrNotFound.
	Rename(ctx context.Context, subject, id, name string) error
	// Remove removes a subject's factor, or returns ErrNotFound. With the last one the recovery codes go; if keep is set,
	// the last one stays and the error is ErrConflict.
	Remove(ctx context.Context, subject, id string, keep bool) error
	// Clear removes all factors and recovery codes of a subject, and returns how many factors that were.
	Clear(ctx context.Context, subject string) (int, error)
	// Use moves the counter of a subject's factor forward, in one atomic step: to a larger value, or from 0 to 0 for an
	// authenticator that does not count. Otherwise it is ErrSpent; ErrNotFound when the factor is gone.
	Use(ctx context.Context, subject, id string, counter int64, at time.Time) error

	// SetRecoveryCodes replaces the recovery codes of a subject who has factors; ErrNotFound for one who has none. With
	// fresh set, codes that are there stay, and the error is ErrExists.
	SetRecoveryCodes(ctx context.Context, subject string, digests [][]byte, fresh bool) error
	// UseRecoveryCode removes a code and returns how many are left, or ErrNotFound.
	UseRecoveryCode(ctx context.Context, subject string, digest []byte) (left int, err error)

	// Spend returns nil for the first call with a name, and ErrSpent for all others until then.
	Spend(ctx context.Context, name Name, until time.Time) error

	// DataKey returns the sealed key of the factors, or ErrNotFound.
	DataKey(ctx context.Context) (DataKey, error)
	// SwapDataKey replaces the sealed key, the zero one when there is none; ErrConflict when old is not what is there.
	SwapDataKey(ctx context.Context, old, key DataKey) error
}
