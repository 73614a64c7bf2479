package mfa

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/authd-project/authd/internal/seal"
)

// Wanted returns what a user who has given a password must present besides.
func (s *Service) Wanted(ctx context.Context, subject string) (Wanted, error) {
	records, codes, err := s.store.Factors(ctx, subject)
	if err != nil || len(records) == 0 {
		return Wanted{}, err
	}
	var w Wanted
	has := func(k Kind) bool { return slices.ContainsFunc(records, func(r Record) bool { return r.Kind == k }) }
	if has(Passkey) && s.webauthn != nil {
		w.Kinds = append(w.Kinds, Passkey)
		if w.Challenge, w.Options, err = s.assertionOptions(ctx, subject, records); err != nil {
			return Wanted{}, err
		}
	}
	if has(TOTP) {
		w.Kinds = append(w.Kinds, TOTP)
	}
	if codes > 0 {
		w.Kinds = append(w.Kinds, RecoveryCode)
	}
	if len(w.Kinds) == 0 { // nothing that could be used must not mean that nothing is wanted
		w.Kinds = []Kind{RecoveryCode}
	}
	return w, nil
}

// Check tells whether what a subject presents is good, and uses it up. What is not good is ErrWrong.
func (s *Service) Check(ctx context.Context, subject string, p Presented) (Passed, error) {
	given := 0
	for _, is := range []bool{p.Code != "", p.RecoveryCode != "", len(p.Assertion) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return Passed{}, ErrWrong
	}
	var passed Passed
	var err error
	switch {
	case p.Code != "":
		passed, err = s.checkCode(ctx, subject, p.Code)
	case p.RecoveryCode != "":
		passed, err = s.checkRecoveryCode(ctx, subject, p.RecoveryCode)
	default:
		passed, err = s.checkAssertion(ctx, subject, p.Challenge, p.Assertion)
	}
	if err != nil {
		return Passed{}, err
	}
	s.log.InfoContext(ctx, "second factor passed", "sub", subject, "kind", string(passed.Kind), "factor", passed.FactorID)
	return passed, nil
}

func (s *Service) checkRecoveryCode(ctx context.Context, subject, typed string) (Passed, error) {
	code, ok := cleanRecoveryCode(typed)
	if !ok {
		return Passed{}, ErrWrong
	}
	left, err := s.store.UseRecoveryCode(ctx, subject, s.vault.digest(subject, code))
	switch {
	case errors.Is(err, ErrNotFound):
		return Passed{}, ErrWrong
	case err != nil:
		return Passed{}, err
	}
	return Passed{Subject: subject, Kind: RecoveryCode, AMR: []string{"otp"}, Left: left}, nil
}

// Spend uses up a value that may be used once, such as the state of a login; ErrState when it was. It needs to be
// remembered until the value has expired.
func (s *Service) Spend(ctx context.Context, value string, until time.Time) error {
	sum := sha256.Sum256([]byte(value))
	err := s.store.Spend(ctx, Name(sum[:16]), until)
	if errors.Is(err, ErrSpent) {
		return ErrState
	}
	return err
}

// open opens a sealed state.
func (s *Service) open(ctx context.Context, sealer *seal.Sealer, state string, v any) error {
	err := sealer.Open(ctx, state, v)
	if errors.Is(err, seal.ErrInvalid) {
		return ErrState
	}
	return err
}
