package keys

import (
	"crypto"
	"time"
)

// State is where a key stands in its life.
type State string

const (
	Prepared State = "prepared" // published, does not sign yet
	Active   State = "active"   // signs
	Retired  State = "retired"  // published for the tokens it signed, signs no more
	Revoked  State = "revoked"  // removed in an emergency: not published, its kid is in the revocation set
)

// Ring is the whole set of keys as the leader writes it: one document, one version. It is a value; a change makes a new
// one.
type Ring struct {
	Epoch  string // random, set once when the ring is made; the first part of every kid
	Term   Term   // of the leader that wrote it
	Holder string // that leader's name, for people
	Keys   []Key  // oldest first
	MACs   []MACKey
}

// Key is one signing key.
type Key struct {
	ID        string // kid: ring epoch, '-', prefix of the RFC 7638 thumbprint
	Algorithm string // the one JOSE algorithm it is used with: ES256, EdDSA or RS256
	Private   crypto.Signer
	State     State
	// Since is when the key entered State, stamped by a second write after the first was read back. It is zero until
	// then; an unconfirmed key neither activates nor ages.
	Since     time.Time
	CreatedAt time.Time
}

// MACKey makes and checks refresh tokens.
type MACKey struct {
	ID        uint32
	Secret    []byte // 32 bytes
	State     State
	Since     time.Time // as for Key
	CreatedAt time.Time
}
