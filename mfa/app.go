package mfa

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// appState is the state of an enrolment: the secret of an app that has yet to show that it has it.
type appState struct {
	ID      string `json:"id"` // of the factor to be, so that an enrolment is confirmed once
	Subject string `json:"sub"`
	Secret  []byte `json:"secret"`
}

// BeginTOTP makes a secret for an authenticator app. account is the user's name as the app shows it.
func (s *Service) BeginTOTP(ctx context.Context, subject, account string) (Enrolment, error) {
	id, err := s.newID()
	if err != nil {
		return Enrolment{}, err
	}
	secret := make([]byte, totpSecret)
	if _, err := io.ReadFull(s.rand, secret); err != nil {
		return Enrolment{}, fmt.Errorf("making a secret: %w", err)
	}
	state, err := s.enrolments.Seal(ctx, appState{id, subject, secret}, EnrolmentLife)
	if err != nil {
		return Enrolment{}, err
	}
	return s.enrolment(state, account, secret), nil
}

func (s *Service) enrolment(state, account string, secret []byte) Enrolment {
	return Enrolment{State: state, Secret: totpText(secret), URI: totpURI(s.host, account, secret)}
}

// ResumeTOTP returns an enrolment that was begun, to show it once more after a wrong code.
func (s *Service) ResumeTOTP(ctx context.Context, subject, state, account string) (Enrolment, error) {
	var e appState
	if err := s.open(ctx, s.enrolments, state, &e); err != nil {
		return Enrolment{}, err
	}
	if e.Subject != subject {
		return Enrolment{}, ErrState
	}
	return s.enrolment(state, account, e.Secret), nil
}

// ConfirmTOTP adds the app of an enrolment, if code is one of its passwords. That one cannot be used again.
func (s *Service) ConfirmTOTP(ctx context.Context, subject, state, code, name string) (Added, error) {
	return s.confirmTOTP(ctx, subject, state, code, name, MaxFactors)
}

// ConfirmFirstTOTP is ConfirmTOTP for a subject who has no factor; ErrTooMany for one who has.
func (s *Service) ConfirmFirstTOTP(ctx context.Context, subject, state, code, name string) (Added, error) {
	return s.confirmTOTP(ctx, subject, state, code, name, 1)
}

func (s *Service) confirmTOTP(ctx context.Context, subject, state, code, name string, most int) (Added, error) {
	name, err := nameOr(name, "Authenticator app")
	if err != nil {
		return Added{}, err
	}
	var e appState
	if err := s.open(ctx, s.enrolments, state, &e); err != nil {
		return Added{}, err
	}
	if e.Subject != subject {
		return Added{}, ErrState
	}
	code, ok := cleanCode(code)
	if !ok {
		return Added{}, ErrWrong
	}
	step, ok := totpMatch(e.Secret, code, s.now(), 0)
	if !ok {
		return Added{}, ErrWrong
	}
	return s.add(ctx, Record{ID: e.ID, Subject: subject, Kind: TOTP, Name: name, Counter: step}, e.Secret, most)
}

// checkCode tries a code with every app of a subject.
func (s *Service) checkCode(ctx context.Context, subject, typed string) (Passed, error) {
	code, ok := cleanCode(typed)
	if !ok {
		return Passed{}, ErrWrong
	}
	records, _, err := s.store.Factors(ctx, subject)
	if err != nil {
		return Passed{}, err
	}
	for _, r := range records {
		if r.Kind != TOTP {
			continue
		}
		secret, err := s.vault.open(r)
		if err != nil {
			s.log.ErrorContext(ctx, "a factor cannot be checked", "sub", subject, "err", err)
			continue
		}
		step, ok := totpMatch(secret, code, s.now(), r.Counter)
		if !ok {
			continue
		}
		err = s.store.Use(ctx, subject, r.ID, step, s.now())
		switch {
		case err == nil:
			return Passed{Subject: subject, Kind: TOTP, FactorID: r.ID, AMR: []string{"otp"}}, nil
		case !errors.Is(err, ErrSpent) && !errors.Is(err, ErrNotFound): // else another request was faster
			return Passed{}, err
		}
	}
	return Passed{}, ErrWrong
}
