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
	// Sealing says under what the ring and the second factors are sealed; absent where nothing is.
	Sealing *Sealing `json:"sealing,omitempty"`
}

// Sealing names key-encryption keys, and tells none.
type Sealing struct {
	// Given are those that this server has, the one that seals first.
	Given []string `json:"given"`
	// Ring is the one that the key ring is sealed under where it is stored.
	Ring string `json:"ring"`
	// Factors is the one that the second factors are sealed under; absent where there are none, or their store does not answer.
	Factors string `json:"factors,omitempty"`
}

// Reloaded names the settings that had changed and were taken over.
type Reloaded struct {
	Changed []string `json:"changed"`
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

// Question asks about an access token.
type Question struct {
	Token string `json:"token"`
}

// Explanation is what a server can say about an access token. It holds neither the token nor its signature.
type Explanation struct {
	// Verdict is accepted, refused, or unavailable: it cannot be told at the moment.
	Verdict string `json:"verdict"`
	// Reason is of a token that is not accepted: malformed, signature, expired, not_yet_valid, issuer, audience,
	// unknown_key, bound (to a key: as a bearer token it is refused), revoked or unavailable.
	Reason  string    `json:"reason,omitempty"`
	Summary string    `json:"summary"` // for people
	At      time.Time `json:"at"`      // by the server's clock
	// Authentic tells that the issuer wrote what the token says. Otherwise anybody may have.
	Authentic bool         `json:"authentic"`
	Checks    []TokenCheck `json:"checks"` // in the order in which a verifier makes them
	// Claims are absent when the token has none that can be read.
	Claims      *TokenClaims        `json:"claims,omitempty"`
	Key         *TokenKey           `json:"key,omitempty"`         // absent when the token names none
	Revocations []TokenRevocation   `json:"revocations,omitempty"` // on all axes; absent when the token cannot be looked up
	Session     *TokenSession       `json:"session,omitempty"`     // absent when the token belongs to none
	Mirror      ExplanationOfMirror `json:"mirror"`
}

// TokenCheck is how one check of a token went.
type TokenCheck struct {
	Name   string `json:"check"`
	Result string `json:"result"` // passed, failed, unavailable or not_reached
	Detail string `json:"detail"` // for people
}

// TokenClaims are the claims that name something. Members that the token lacks are absent.
type TokenClaims struct {
	Issuer    string     `json:"iss,omitempty"`
	Subject   string     `json:"sub,omitempty"`
	Audience  []string   `json:"aud,omitempty"`
	ClientID  string     `json:"client_id,omitempty"`
	Scope     string     `json:"scope,omitempty"`
	ID        string     `json:"jti,omitempty"`
	SessionID string     `json:"sid,omitempty"`
	IssuedAt  *time.Time `json:"iat,omitempty"`
	NotBefore *time.Time `json:"nbf,omitempty"`
	ExpiresAt *time.Time `json:"exp,omitempty"`
	AuthTime  *time.Time `json:"auth_time,omitempty"`
}

// TokenKey is the key that a token names.
type TokenKey struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg,omitempty"` // of the key; absent when it is unknown
	// State is prepared, active, retired, revoked, or unknown: not in this ring, any more or at all.
	State string     `json:"state"`
	Since *time.Time `json:"since,omitempty"` // in this state; absent until confirmed
	// Until is when the state is next due to change by the timetable; absent until the state is confirmed.
	Until *time.Time `json:"until,omitempty"`
	AsOf  *time.Time `json:"as_of,omitempty"` // of the server's view of the ring; absent when it has seen none
}

// TokenRevocation is what the revocation set says about a token on one axis.
type TokenRevocation struct {
	Kind string `json:"kind"` // jti, sid, sub, client_id, kid or all
	// ID is the token's identifier on that axis; absent for all, and where the token has none.
	ID string `json:"id,omitempty"`
	// Result is none (no entry), passed (the token was issued after the cut-off) or hit.
	Result string `json:"result"`
	// NotBefore is the cut-off: tokens issued before are revoked. Absent on the axes without.
	NotBefore *time.Time `json:"not_before,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"` // when the entry may be forgotten
	// WrittenAt is when the entry was written; absent when that is not known.
	WrittenAt *time.Time `json:"written_at,omitempty"`
	// WrittenBy says how that is known: heard (this server heard of it then), session or key (the record of what was
	// revoked has the time), cutoff (it cuts off at the moment it was written).
	WrittenBy string `json:"written_by,omitempty"`
}

// TokenSession is the session that a token belongs to.
type TokenSession struct {
	ID string `json:"id"`
	// State is live; cut_off, when the next refresh ends it; ended; unknown, for one that never was, reached a limit or is
	// forgotten; or unavailable.
	State         string     `json:"state"`
	Subject       string     `json:"sub,omitempty"`
	CreatedAt     *time.Time `json:"created_at,omitempty"`
	LastUsedAt    *time.Time `json:"last_used_at,omitempty"`
	EndedAt       *time.Time `json:"ended_at,omitempty"`
	IdleUntil     *time.Time `json:"idle_until,omitempty"`     // it ends then unless it is used before
	AbsoluteUntil *time.Time `json:"absolute_until,omitempty"` // it ends then in any case
}

// ExplanationOfMirror is how fresh the server's replica of the revocation set was.
type ExplanationOfMirror struct {
	Fresh bool       `json:"fresh"`
	AsOf  *time.Time `json:"as_of,omitempty"` // complete up to then; absent before the first reading
	AgeMS int64      `json:"age_ms"`          // since then; 0 before the first reading
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
