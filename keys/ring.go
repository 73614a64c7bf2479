package keys

import (
	"crypto"
	"encoding/json"
	"fmt"
	"slices"
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

// signs tells whether a key in this state signs, or is going to.
func (s State) signs() bool { return s == Prepared || s == Active }

// Ring is the whole set of keys as the leader writes it: one document, one version. It is a value; a change makes a new
// one and shares no slice with the old.
type Ring struct {
	Epoch  string // random, set once when the ring is made; the first part of every kid
	Term   Term   // of the leader that wrote it
	Holder string // that leader's name, for people
	Keys   []Key  // oldest first
	MACs   []MACKey
	// KEK names the key-encryption key that the ring was found sealed under; empty for none. It says nothing of how a ring is
	// written, which is the codec's to decide.
	KEK string
}

// Key is one signing key. Formatting and JSON leave the private key out.
type Key struct {
	ID        string // kid: ring epoch, '-', prefix of the RFC 7638 thumbprint; see [KeyID]
	Algorithm string // the one JOSE algorithm it is used with: ES256, EdDSA or RS256
	// Private signs. It is nil once the key is revoked, and in what [View.Ring] answers.
	Private crypto.Signer
	State   State
	// Since is when the key entered State, stamped by a second write after the first was read back. It is zero until
	// then; an unconfirmed key neither activates nor ages. For a revoked key it is when the revocation set had
	// acknowledged the kid.
	Since     time.Time
	CreatedAt time.Time
	// KeepFor is the longest [Policy.RetiredFor] of any policy under which the key was published before it retired. It
	// outlasts a policy with shorter tokens, as those made before live on.
	KeepFor time.Duration
}

// MACKey makes and checks refresh tokens. Formatting and JSON leave the secret out.
type MACKey struct {
	ID        uint32
	Secret    []byte // 32 bytes
	State     State
	Since     time.Time // as for Key
	CreatedAt time.Time
	KeepFor   time.Duration // as for Key, with the longest time that a session may be idle
}

// published tells whether the JWKS shows the key.
func (k Key) published() bool { return k.State != Revoked }

// key returns the key with this kid.
func (r Ring) key(kid string) (Key, bool) {
	for _, k := range r.Keys {
		if k.ID == kid {
			return k, true
		}
	}
	return Key{}, false
}

// active returns the key that signs.
func (r Ring) active() (Key, bool) {
	for _, k := range r.Keys {
		if k.State == Active {
			return k, true
		}
	}
	return Key{}, false
}

// without returns a copy of r that lacks some keys.
func (r Ring) without(gone func(Key) bool) Ring {
	r.Keys = slices.DeleteFunc(slices.Clone(r.Keys), gone)
	return r
}

// Format writes what may be seen of the key, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[key %s %s %s]", k.ID, k.Algorithm, k.State)
}

// MarshalJSON writes what may be seen of the key. The stored form is the work of [Codec].
func (k Key) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID        string    `json:"kid"`
		Algorithm string    `json:"alg"`
		State     State     `json:"state"`
		Since     time.Time `json:"since,omitzero"`
		CreatedAt time.Time `json:"created_at"`
	}{k.ID, k.Algorithm, k.State, k.Since, k.CreatedAt})
}

// Format writes what may be seen of the key, whatever the verb.
func (k MACKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[mac key %d %s]", k.ID, k.State) }

// MarshalJSON writes what may be seen of the key. The stored form is the work of [Codec].
func (k MACKey) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID        uint32    `json:"id"`
		State     State     `json:"state"`
		Since     time.Time `json:"since,omitzero"`
		CreatedAt time.Time `json:"created_at"`
	}{k.ID, k.State, k.Since, k.CreatedAt})
}
