package dpop

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// VerifierConfig says what a [Verifier] is made of.
type VerifierConfig struct {
	Policy
	// Replays remembers which proofs were used. Required: a [Memory], or a store that several servers share.
	Replays Replays
	// Nonces, if set, must be in every proof (RFC 9449 sections 8 and 9). They make a client's clock irrelevant and proofs
	// impossible to make in advance, at the price of one more round trip now and then.
	Nonces *Nonces
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Verifier decides about proofs. Its methods may be called concurrently.
type Verifier struct {
	policy  Policy
	replays Replays
	nonces  *Nonces
	now     func() time.Time
}

// NewVerifier returns a Verifier, or an error that names every setting to change.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	v := &Verifier{policy: c.withDefaults(), replays: c.Replays, nonces: c.Nonces, now: c.Now}
	if v.now == nil {
		v.now = time.Now
	}
	var errs []error
	for _, alg := range v.policy.Algorithms {
		if method(alg) == nil {
			errs = append(errs, fmt.Errorf("algorithms: %q is not one of %q", alg, Algorithms()))
		}
	}
	if v.policy.MaxAge < time.Second || v.policy.MaxAge > time.Hour {
		errs = append(errs, fmt.Errorf("max age %v: must be from 1s to 1h", v.policy.MaxAge))
	}
	if v.policy.Leeway < 0 || v.policy.Leeway > 5*time.Minute {
		errs = append(errs, fmt.Errorf("leeway %v: must be from 0 to 5m", v.policy.Leeway))
	}
	if v.replays == nil {
		errs = append(errs, errors.New("replays: required; a proof that was overheard could be used again without it"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("DPoP verifier: %w", errors.Join(errs...))
	}
	return v, nil
}

// Algorithms returns those that proofs may have, for challenges and metadata.
func (v *Verifier) Algorithms() []string { return slices.Clone(v.policy.Algorithms) }

// Check decides whether raw is a proof of the request, nonce included. That nobody used it before is for [Verifier.Spend] to
// say. Errors wrap [ErrInvalid], [ErrNonce] or [ErrUnavailable].
func (v *Verifier) Check(ctx context.Context, raw string, r Request) (*Proof, error) {
	now := v.now()
	p, err := Check(raw, r, v.policy, now)
	if err != nil || v.nonces == nil {
		return p, err
	}
	if err := v.nonces.check(ctx, p.Nonce, now, v.policy.Leeway); err != nil {
		return nil, err
	}
	return p, nil
}

// Spend uses up a proof that Check found good, and whose token was found good. It is [ErrReplayed] for one that was used
// before, and [ErrUnavailable] when that cannot be told.
func (v *Verifier) Spend(ctx context.Context, p *Proof) error {
	return v.replays.Spend(ctx, p.Thumbprint, p.name(), v.policy.keep())
}

// Nonce returns the nonce that clients are to use next, for the header DPoP-Nonce; empty where none is asked for.
func (v *Verifier) Nonce(ctx context.Context) (string, error) {
	if v.nonces == nil {
		return "", nil
	}
	return v.nonces.next(ctx, v.now())
}

// name names a proof among all others: jti is unique for its key only, since strangers choose theirs.
func (p *Proof) name() Name {
	sum := sha256.Sum256([]byte(p.Thumbprint + "." + p.ID))
	return Name(sum[:len(Name{})])
}
