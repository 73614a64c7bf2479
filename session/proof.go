package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrProof refuses a refresh without a proof of the session's key, or with one of another key. Nothing has changed then, and
// the refresh token is as good as before for whoever has the key.
var ErrProof = errors.New("no proof of the session's key")

// Proof is what a caller has shown together with a credential: that it holds a key. A session that begins with a proof is
// bound to its key for good; its tokens are then worth nothing to others (RFC 9449 section 5).
type Proof struct {
	// Thumbprint names the key: 43 characters of base64url (RFC 7638).
	Thumbprint string
	// Spend, if set, is called once the credential has been found good, and before anything has changed. An error refuses
	// the request, as it is. It is where a proof that was used before is refused: called any earlier, whoever has no
	// credential could fill the memory of used proofs.
	Spend func(ctx context.Context) error
}

// thumbprint returns what a session with this proof is bound to; empty for none.
func (p *Proof) thumbprint() string {
	if p == nil {
		return ""
	}
	return p.Thumbprint
}

func (p *Proof) spend(ctx context.Context) error {
	if p == nil || p.Spend == nil {
		return nil
	}
	return p.Spend(ctx)
}

// validate reports a thumbprint that no token could carry.
func (p *Proof) validate() error {
	if p == nil {
		return nil
	}
	_, err := parseThumbprint(p.Thumbprint)
	return err
}

func parseThumbprint(text string) (sum [sha256.Size]byte, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(sum) || len(text) != base64.RawURLEncoding.EncodedLen(len(sum)) {
		return sum, errors.New("key thumbprint: want 32 bytes in base64url")
	}
	return [sha256.Size]byte(b), nil
}

// keyThumbprint returns the thumbprint of the key that the token is bound to; empty for none.
func (t refreshToken) keyThumbprint() string {
	if !t.bound {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(t.thumbprint[:])
}

// prove compares a proof with the key that the token names. It asks nobody, and is all that a thief without the key gets to
// see. A proof for a session that is bound to none is refused too, or its sender would believe the session to be bound.
func (t refreshToken) prove(p *Proof) error {
	switch want := t.keyThumbprint(); {
	case want == "" && p != nil:
		return fmt.Errorf("%w: it is bound to none", ErrProof)
	case want != "" && p == nil:
		return fmt.Errorf("%w: none came", ErrProof)
	case subtle.ConstantTimeCompare([]byte(want), []byte(p.thumbprint())) != 1:
		return fmt.Errorf("%w: it is bound to another", ErrProof)
	}
	return nil
}
