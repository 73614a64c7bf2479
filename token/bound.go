package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/authd-project/authd/revocation"
)

// A token with the claim cnf is bound to a key (RFC 7800), and good only together with a proof that its sender holds that
// key (RFC 9449 section 6). Bindings of other kinds than by jkt are refused by the decoder: nobody here checks them.

// VerifyBound is [Verifier.VerifyWith] for a token that came together with a proof that its sender holds the key of this
// thumbprint (RFC 7638, in base64url). The caller has checked the proof. A token that is bound to another key is
// [ErrOtherKey], and one that is bound to none [ErrNotBound]. Without revocations the verifier's own are asked.
func (v *Verifier) VerifyBound(
	ctx context.Context, raw, thumbprint string, revocations revocation.Checker,
) (*Claims, error) {
	t, now, err := v.verified(ctx, raw)
	if err != nil {
		return nil, err
	}
	switch {
	case !t.bound:
		return nil, ErrNotBound
	case subtle.ConstantTimeCompare([]byte(t.claims.KeyThumbprint), []byte(thumbprint)) != 1:
		return nil, ErrOtherKey
	}
	return v.checked(ctx, t, revocations, now)
}

// VerifyUnproved is [Verifier.VerifyWith] that takes a bound token for what it says, without a proof: for those who tell
// what it says (introspection) or end it. It must never decide whether a request may pass.
func (v *Verifier) VerifyUnproved(ctx context.Context, raw string, revocations revocation.Checker) (*Claims, error) {
	t, now, err := v.verified(ctx, raw)
	if err != nil {
		return nil, err
	}
	return v.checked(ctx, t, revocations, now)
}

// checked makes the last check.
func (v *Verifier) checked(ctx context.Context, t *verified, revocations revocation.Checker, now time.Time) (*Claims, error) {
	if revocations == nil {
		revocations = v.revocations
	}
	if err := checkRevocation(ctx, revocations, &t.ids, now); err != nil {
		return nil, revocationError(err)
	}
	return &t.claims, nil
}

// wireConfirmation is the claim cnf.
type wireConfirmation struct {
	KeyThumbprint string `json:"jkt"`
}

func confirmationOf(thumbprint string) *wireConfirmation {
	if thumbprint == "" {
		return nil
	}
	return &wireConfirmation{thumbprint}
}

// confirmation reads the claim of that name. A second member would be one more binding, which somebody must check.
func (s *scanner) confirmation(member string) (thumbprint string) {
	if s.peek() != '{' {
		s.fail(member, unsupported)
	}
	s.enter('{')
	for s.next('}') {
		if s.name() != "jkt" || thumbprint != "" {
			s.fail(member, unsupported)
		}
		if thumbprint = s.identifier(member); !isThumbprint(thumbprint) {
			s.fail(member, badThumbprint)
		}
	}
	if thumbprint == "" {
		s.fail(member, unsupported)
	}
	return thumbprint
}

// isThumbprint tells whether s is 32 bytes in the one spelling that base64url has for them.
func isThumbprint(s string) bool {
	b, err := base64url.DecodeString(s)
	return err == nil && len(b) == sha256.Size && len(s) == base64url.EncodedLen(sha256.Size)
}
