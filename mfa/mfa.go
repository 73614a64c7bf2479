package mfa

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrWrong refuses what was presented: a wrong or used code, or an assertion that is not good.
	ErrWrong = errors.New("second factor is wrong")
	// ErrCloned is the ErrWrong of a passkey whose signature counter did not advance: two authenticators have its key.
	ErrCloned = fmt.Errorf("%w: the passkey's counter did not advance, it may have been cloned", ErrWrong)
	// ErrState refuses the state of an enrolment or a login that is not ours, has expired, is of another user or was used.
	ErrState = errors.New("state of the ceremony is not valid")
	// ErrNotFound means that the subject has no such factor.
	ErrNotFound = errors.New("factor not found")
	// ErrExists refuses a passkey that is registered already.
	ErrExists = errors.New("factor exists")
	// ErrTooMany refuses one factor more than [MaxFactors].
	ErrTooMany = errors.New("too many factors")
	// ErrName refuses a name; the error's text says why, for the person who chose it.
	ErrName = errors.New("name of the factor not accepted")
	// ErrNoPasskeys means that the issuer's host cannot have passkeys: it is an address, and not a name.
	ErrNoPasskeys = errors.New("passkeys need an issuer with a host name")
	// ErrSpent is what a [Store] answers about what was used before.
	ErrSpent = errors.New("used before")
	// ErrConflict is what a [Store] answers when another process was faster.
	ErrConflict = errors.New("changed meanwhile")
	// ErrUnavailable means that the store did not answer; the outcome is unknown.
	ErrUnavailable = errors.New("factor store unavailable")
)

// Kind is a kind of factor, as requests and answers name it.
type Kind string

const (
	TOTP         Kind = "totp"          // one-time passwords of an authenticator app
	Passkey      Kind = "passkey"       // a WebAuthn credential
	RecoveryCode Kind = "recovery_code" // one of a set, each of which works once
)

// MaxFactors is how many factors a subject may have, recovery codes not counted.
const MaxFactors = 20

// Factor is an enrolled factor as its owner sees it.
type Factor struct {
	ID        string // random; names it among those of its owner
	Kind      Kind   // TOTP or Passkey
	Name      string // chosen by its owner
	CreatedAt time.Time
	UsedAt    time.Time // zero if it was never used to log in
}

// Enrolled are all factors of a subject.
type Enrolled struct {
	Factors       []Factor // oldest first
	RecoveryCodes int      // how many are left
}

// Enrolment is a factor that waits to be confirmed. Nothing of it is stored.
type Enrolment struct {
	State  string // to be returned with the confirmation, within [EnrolmentLife]
	Secret string // for an app: what people type, in base32
	URI    string // for an app: what its QR code says
	// Options is for a browser: the argument of navigator.credentials.create, as JSON.
	Options []byte
}

// EnrolmentLife is how long an enrolment waits to be confirmed.
const EnrolmentLife = 10 * time.Minute

// Added is a factor that counts from now on.
type Added struct {
	Factor Factor
	// RecoveryCodes come with the first factor. They are shown once, and cannot be had again.
	RecoveryCodes []string
}

// Wanted is what a user who has given a password must present besides. It is empty for one without factors.
type Wanted struct {
	Kinds []Kind // of which one is enough; the first is what to offer first
	// Challenge is what a passkey must sign, and Options the argument of navigator.credentials.get, as JSON. Both are empty
	// for a user without passkeys.
	Challenge string
	Options   []byte
}

// Presented is what a user shows. Exactly one of Code, RecoveryCode and Assertion is set.
type Presented struct {
	Code         string // of an app
	RecoveryCode string
	Assertion    []byte // the answer of a passkey, as JSON
	Challenge    string // that the assertion answers
}

// Passed tells what was presented, and that it was good.
type Passed struct {
	Subject  string
	Kind     Kind
	FactorID string // empty for a recovery code
	// AMR are the methods by RFC 8176 that this factor stands for.
	AMR []string
	// Left is how many recovery codes are left, if one was used.
	Left int
}
