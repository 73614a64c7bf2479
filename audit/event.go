package audit

import (
	"slices"
	"time"
)

// Version is that of the schema: the member "v" of a line. A release that only adds members or types keeps it.
const Version = 1

// Type says what happened, or what was attempted.
type Type string

// The types.
const (
	Login           Type = "login"             // somebody logged in, or failed to
	LoginNewAddress Type = "login_new_address" // a login from an address that the account has not logged in from before
	Logout          Type = "logout"            // a user logged out; details.scope says where
	SessionEnded    Type = "session_ended"     // a session has ended, by whatever way but its time limits; reason says why
	RefreshReused   Type = "refresh_reused"    // an old refresh token came: it was stolen, or its thief was first
	RefreshMoved    Type = "refresh_elsewhere" // a refresh token was retried from another address or program

	TokenRevoked      Type = "token_revoked"      // one access token
	SubjectRevoked    Type = "subject_revoked"    // everything that a user has
	ClientRevoked     Type = "client_revoked"     // everything that was issued to a client
	EverythingRevoked Type = "everything_revoked" // everything

	UserAdded       Type = "user_added"
	UserRemoved     Type = "user_removed"
	UserDisabled    Type = "user_disabled"
	UserEnabled     Type = "user_enabled"
	UserForgiven    Type = "user_forgiven" // failed logins were forgotten
	PasswordChanged Type = "password_changed"
	RolesChanged    Type = "roles_changed"
	FactorAdded     Type = "factor_added"   // a user has a new second factor
	FactorRemoved   Type = "factor_removed" // a user removed one
	FactorsReset    Type = "factors_reset"  // an administrator removed all of a user's

	KeyRotated    Type = "key_rotated"    // an administrator let the standby key take over
	KeyActive     Type = "key_active"     // another key signs from now on; recorded where the leader is
	KeyRevoked    Type = "key_revoked"    // a signing key was revoked, and with it all its tokens
	LeaderChanged Type = "leader_changed" // as this process saw it

	ClientRefused Type = "client_refused" // wrong credentials of a client
	AdminRefused  Type = "admin_refused"  // no admin token, or a wrong one
	RateLimited   Type = "rate_limited"   // requests beyond the limit of a route; details.limit names it

	BackupMade Type = "backup_made" // an administrator took a backup; details say whether with the key-encryption key

	ConfigReloaded Type = "config_reloaded" // the settings were read again; details.settings names those that changed
	Started        Type = "started"         // authd begins to serve, with the configuration in details, without secrets
	AuditLost      Type = "audit_lost"      // count events did not reach this sink
)

// Types returns all types.
func Types() []Type {
	return []Type{
		Login, LoginNewAddress, Logout, SessionEnded, RefreshReused, RefreshMoved,
		TokenRevoked, SubjectRevoked, ClientRevoked, EverythingRevoked,
		UserAdded, UserRemoved, UserDisabled, UserEnabled, UserForgiven, PasswordChanged, RolesChanged,
		FactorAdded, FactorRemoved, FactorsReset,
		KeyRotated, KeyActive, KeyRevoked, LeaderChanged,
		ClientRefused, AdminRefused, RateLimited,
		BackupMade, ConfigReloaded, Started, AuditLost,
	}
}

// Known tells whether t is of the list.
func (t Type) Known() bool { return slices.Contains(Types(), t) }

// Outcome says what came of it.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure" // refused, or not done; reason says why
)

// ActorType says what kind of party acted.
type ActorType string

// The types of actors.
const (
	Anonymous ActorType = "anonymous" // nobody that is known, such as one who fails to log in
	User      ActorType = "user"
	Client    ActorType = "client" // a program with credentials of its own
	Admin     ActorType = "admin"  // who holds the admin token
	System    ActorType = "system" // authd itself
)

// Actor is who acted.
type Actor struct {
	Type ActorType `json:"type"`
	ID   string    `json:"id,omitempty"` // a user's subject, a client's id, the name of a process
}

// Event is one security event. Its zero members are left out of the line. A Log sets ID and Time where they are zero, and
// takes from the [Origin] in the context what is not set.
type Event struct {
	ID      string // unique; 22 characters of base64url
	Time    time.Time
	Type    Type    // required
	Outcome Outcome // default Success
	Reason  string  // a word of a closed list, such as "invalid_credentials"; never a text that somebody sent
	Actor   Actor   // default System
	Subject string  // whom it is about, as "sub" in tokens
	// Username is the account's name as authd knows it. What was typed into a login form is never put here unless an account
	// has that name: people type passwords there.
	Username  string
	ClientID  string
	SessionID string // "sid"
	Address   string // of the client
	UserAgent string
	RequestID string
	Count     int               // how many alike events this one stands for, if not one
	Details   map[string]string // by type; names are [a-z_]+
}
