package revocation

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// Kind says what an entry revokes: one of five axes, or everything. The strictest entry that applies wins.
type Kind uint8

// The values are part of the stored and the wire format; never renumber them.
const (
	Token      Kind = 1 + iota // one access token, by jti
	Session                    // one session, by sid: all its tokens
	Subject                    // a user, by sub: all tokens issued before a cut-off
	Client                     // a client, by client_id: all tokens issued before a cut-off
	Key                        // a signing key, by kid: all tokens it signed
	Everything                 // all tokens issued before a cut-off
)

// names are those of the claims and headers that the kinds look at; the wire format uses them.
var names = [...]string{Token: "jti", Session: "sid", Subject: "sub", Client: "client_id", Key: "kid", Everything: "all"}

// String returns the name of the claim or header that k looks at.
func (k Kind) String() string {
	if !k.Valid() {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return names[k]
}

// Valid tells whether k is one of the kinds above.
func (k Kind) Valid() bool { return k >= Token && k <= Everything }

// ParseKind is the inverse of [Kind.String].
func ParseKind(s string) (Kind, error) {
	for k := Token; k <= Everything; k++ {
		if names[k] == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown kind of revocation %q", s)
}

// ID names what an entry revokes without telling whom: random identifiers are held as they are, names as a digest.
type ID [16]byte

// IDOf returns the ID under which s is revoked. A jti or sid of 128 random bits in base64url is decoded; everything
// else (names, and identifiers of another shape) is a SHA-256 digest, cut to 128 bits and separated by kind.
func IDOf(k Kind, s string) ID {
	var id ID
	if (k == Token || k == Session) && len(s) == 22 {
		// Strict, because a lenient decoder maps several spellings to one ID.
		if n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s)); err == nil && n == len(id) {
			return id
		}
	}
	// One block of the hash for what most names are, such as a UUID, and nothing on the heap.
	var buf [64]byte
	text := append(append(append(buf[:0], "authd:"...), k.String()...), 0)
	sum := sha256.Sum256(append(text, s...))
	copy(id[:], sum[:])
	return id
}

// Entry is one revocation. The zero NotBefore revokes every token the ID names; otherwise those issued before it.
type Entry struct {
	Kind Kind
	ID   ID // zero for Everything
	// NotBefore is the cut-off in Unix seconds, rounded up: a token with iat < NotBefore is revoked. Zero for Token,
	// Session and Key, which revoke regardless of when a token was issued.
	NotBefore int64
	// Expires, in Unix seconds, is when the last token that the entry can hit is dead, leeway included. The entry may
	// be forgotten then.
	Expires int64
}

// Merge returns the join of two entries for the same Kind and ID: the later cut-off and the later expiry. It is
// commutative, associative and idempotent.
func (e Entry) Merge(o Entry) Entry {
	e.NotBefore = max(e.NotBefore, o.NotBefore)
	e.Expires = max(e.Expires, o.Expires)
	return e
}

// Expired tells whether e can no longer hit a live token.
func (e Entry) Expired(now time.Time) bool { return e.Expires <= now.Unix() }

// Validate reports an entry that no store may accept.
func (e Entry) Validate() error {
	cutoff := e.Kind == Subject || e.Kind == Client || e.Kind == Everything
	switch {
	case !e.Kind.Valid():
		return fmt.Errorf("revocation entry: %v", e.Kind)
	case e.Kind == Everything && e.ID != ID{}:
		return fmt.Errorf("revocation entry: %v takes no id", e.Kind)
	case e.Kind != Everything && e.ID == ID{}: // would hit every token without this claim
		return fmt.Errorf("revocation entry: %v needs an id", e.Kind)
	case cutoff && e.NotBefore <= 0:
		return fmt.Errorf("revocation entry: %v needs a cut-off", e.Kind)
	case !cutoff && e.NotBefore != 0:
		return fmt.Errorf("revocation entry: %v takes no cut-off", e.Kind)
	case e.Expires <= 0 || e.Expires > maxUnix || e.NotBefore > maxUnix:
		return fmt.Errorf("revocation entry: time out of range")
	}
	return nil
}

// maxUnix is the last second that fits the mirror's 32-bit slots (7 February 2106).
const maxUnix = 1<<32 - 1

// Cutoff rounds t up to whole seconds, as "iat" has only those: a token issued in the same second as the cut-off, but
// before it, must not survive.
func Cutoff(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// Claims are the identifiers of one token on all axes, computed once when the token is first verified so that a check
// hashes nothing.
type Claims struct {
	Token, Session, Subject, Client, Key ID
	IssuedAt                             int64 // Unix seconds

	// StatusURI and StatusIndex are where the issuer publishes the token's status; empty when the token says nothing of
	// it. They are for a [Checker] that goes by status lists; those that hold the revocation set need none.
	StatusURI   string
	StatusIndex uint64
}
