// Package adminapi holds the JSON shapes of the admin API, shared by the server and its Go client. The contract is
// httpapi/openapi-admin.yaml; a test holds both against it.
package adminapi

import "time"

// User is an account.
type User struct {
	Subject           string     `json:"sub"`
	Username          string     `json:"username"`
	Roles             []string   `json:"roles"`
	Disabled          bool       `json:"disabled"`
	HasPassword       bool       `json:"has_password"`
	CreatedAt         time.Time  `json:"created_at"`
	UpdatedAt         time.Time  `json:"updated_at"`
	PasswordChangedAt *time.Time `json:"password_changed_at,omitempty"`
}

// UserList is one page of users in the order of their names.
type UserList struct {
	Users []User `json:"users"`
	// Next is what to ask for next, as "after"; empty on the last page.
	Next string `json:"next,omitempty"`
}

// NewUser is an account to be made.
type NewUser struct {
	Username string   `json:"username"`
	Password string   `json:"password"`
	Roles    []string `json:"roles,omitempty"`
}

// Password replaces a user's password.
type Password struct {
	Password string `json:"password"`
}

// Roles replaces a user's roles.
type Roles struct {
	Roles []string `json:"roles"`
}

// Session is somebody's live session.
type Session struct {
	ID         string    `json:"id"`
	Subject    string    `json:"sub"`
	Username   string    `json:"username"`
	ClientID   string    `json:"client_id"`
	Scope      string    `json:"scope"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	Address    string    `json:"address"`
	UserAgent  string    `json:"user_agent"`
}

// SessionList is all live sessions of one subject, the most recently used first.
type SessionList struct {
	Sessions []Session `json:"sessions"`
}

// Revocation says what to revoke.
type Revocation struct {
	// Kind is jti, sid, sub, username, client_id, kid or all.
	Kind string `json:"kind"`
	// ID is the identifier of that kind; empty for all.
	ID string `json:"id,omitempty"`
}

// RevocationStatus is the state of the server's mirror of the revocation set.
type RevocationStatus struct {
	Fresh bool `json:"fresh"`
	// AsOf is the moment up to which the mirror is complete; absent before the first reading.
	AsOf *time.Time `json:"as_of,omitempty"`
	// Epoch and Seq are the position in the feed.
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
	// Entries in memory, by kind.
	Entries map[string]int `json:"entries"`
}

// Key is a signing key, without its secret.
type Key struct {
	ID        string     `json:"kid"`
	Algorithm string     `json:"alg"`
	State     string     `json:"state"`           // prepared, active, retired or revoked
	Since     *time.Time `json:"since,omitempty"` // in this state; absent until confirmed
	CreatedAt time.Time  `json:"created_at"`
}

// KeyList is the ring as this server sees it.
type KeyList struct {
	Epoch  string    `json:"epoch"`
	Term   uint64    `json:"term"`
	Holder string    `json:"holder"`
	AsOf   time.Time `json:"as_of"`
	Keys   []Key     `json:"keys"` // oldest first
}

// Rotated names the key that signs from now on.
type Rotated struct {
	ID string `json:"kid"`
}

// KeyRevocation asks for the emergency removal of a key.
type KeyRevocation struct {
	DryRun bool `json:"dry_run,omitempty"` // tell the consequences only
}

// KeyRevoked tells the consequences of revoking a key.
type KeyRevoked struct {
	ID     string `json:"kid"`
	DryRun bool   `json:"dry_run"`
	State  string `json:"state"` // before; "revoked" when it was already
	// Successor is the kid that signs afterwards.
	Successor string `json:"successor"`
	// UnknownFor is for how many seconds verifiers with a cached JWKS may refuse the successor's tokens.
	UnknownFor int64 `json:"unknown_for"`
	// TokensUntil is when the last honest token of the key would have expired; absent if it signed nothing.
	TokensUntil *time.Time `json:"tokens_until,omitempty"`
	// RevokedUntil is how long the revocation set keeps the kid.
	RevokedUntil *time.Time `json:"revoked_until,omitempty"`
	// Pending means that the tokens are refused already, and that the leader, another server, is still to replace the key.
	Pending bool `json:"pending"`
}

// Leader names who leads.
type Leader struct {
	Name string `json:"name"` // empty when nobody does, or it cannot be told
	Self bool   `json:"self"` // it is the server that answered
	// Term is the leader's in the key ring; 0 while it has not claimed one.
	Term uint64 `json:"term"`
	// ValidForMS is after how many milliseconds the name becomes empty if nothing more is heard.
	ValidForMS int64 `json:"valid_for_ms"`
}

// Problem is how every error is answered (RFC 9457).
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Code      string       `json:"code"`
	RequestID string       `json:"request_id"`
	Errors    []FieldError `json:"errors,omitempty"`
	// ViolatedPolicies names the rate limits that are used up, of a 429.
	ViolatedPolicies []string `json:"violated-policies,omitempty"`
}

// FieldError says what is wrong with one member of a request.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}
