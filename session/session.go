package session

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrInvalidGrant refuses a refresh: the session ended, expired or never existed, or the token is not ours.
	ErrInvalidGrant = errors.New("invalid grant")
	// ErrReuse is an ErrInvalidGrant that has just ended the session: an old refresh token was presented, so two
	// parties hold the chain.
	ErrReuse = fmt.Errorf("%w: refresh token reused, session ended", ErrInvalidGrant)
	// ErrNotFound means that no live session has this ID.
	ErrNotFound = errors.New("session not found")
	// ErrEnded is the ErrNotFound of a session that was ended not long ago.
	ErrEnded = fmt.Errorf("%w: it has ended", ErrNotFound)
	// ErrExists means that a session with this ID was created before, whether it is live or has ended.
	ErrExists = errors.New("session id exists")
	// ErrStale means that a revocation came after the user authenticated: the user must authenticate again.
	ErrStale = errors.New("authentication is too old")
	// ErrScope refuses a scope that is wider than what it is to be taken from.
	ErrScope = errors.New("scope exceeds what was granted")
	// ErrInvalidRequest refuses a login whose client id or scope is not of the form that RFC 6749 appendix A gives them.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrUnavailable means that the store could not be reached or did not confirm; the outcome is unknown, repeat.
	ErrUnavailable = errors.New("session store unavailable")
)

// ID is the random identifier of a session: the "sid" claim, 128 bits.
type ID [16]byte

// String returns the base64url form that tokens carry.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// MarshalText implements [encoding.TextMarshaler] with the form of [ID.String], for JSON and logs.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler], the inverse of MarshalText.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// ParseID is the inverse of [ID.String].
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 22 {
		return ID{}, fmt.Errorf("session id: want 22 characters of base64url, have %d", len(s))
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("session id: %w", err)
	}
	return id, nil
}

// Session is one login on one device, or what a client was given on the strength of one.
type Session struct {
	ID ID
	// Parent is the session of the browser in which the user was logged in when a client's session began, and whose end is
	// the end of this one; zero for a session that began with an authentication of its own.
	Parent   ID
	Subject  string   // the account's stable identifier, the "sub" claim
	Username string   // as it was at login; for lists
	ClientID string   // the client that logged in, the "client_id" claim
	Scope    string   // space-separated, as granted at login
	AMR      []string // how the user authenticated (RFC 8176), e.g. "pwd"
	ACR      string   // how strong that was, see Authentication; empty for sessions from before it was recorded
	// AuthTime is when the user authenticated, in whole seconds and not below the cut-offs that were known then: the
	// "auth_time" claim. A later cut-off ends the session at its next refresh.
	AuthTime time.Time
	// KeyThumbprint names the key that the session's tokens are bound to (RFC 7638); empty for bearer tokens.
	KeyThumbprint string

	CreatedAt  time.Time
	LastUsedAt time.Time // login or the last refresh
	Address    string    // of the client at LastUsedAt
	UserAgent  string    // at login, cut to 256 bytes; the "device" of lists
	// EndedAt is when the session was ended; zero for one that is live.
	EndedAt time.Time
	// PreviousAddress is of the client at the use before the refresh that has just been made. Only Store.Refresh sets it.
	PreviousAddress string

	Chain Chain
}
