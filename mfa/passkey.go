package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// newRelyingParty returns what checks passkeys, or nil where the issuer's host cannot have any: WebAuthn binds them to a
// domain name.
func newRelyingParty(issuer *url.URL) (*webauthn.WebAuthn, error) {
	host := issuer.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || protocol.ValidateRPID(host) != nil {
		return nil, nil
	}
	required := true
	return webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: host, RPOrigins: []string{issuer.Scheme + "://" + issuer.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		// Password managers tell about the passkey what nobody asked.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &required,
			UserVerification: protocol.VerificationRequired,
		},
	})
}

// HasPasskeys tells whether passkeys can be used at all.
func (s *Service) HasPasskeys() bool { return s.webauthn != nil }

// owner is a subject as the library wants it.
type owner struct {
	subject, name string
	credentials   []webauthn.Credential
}

func (o owner) WebAuthnID() []byte                         { return handle(o.subject) }
func (o owner) WebAuthnName() string                       { return o.name }
func (o owner) WebAuthnDisplayName() string                { return o.name }
func (o owner) WebAuthnCredentials() []webauthn.Credential { return o.credentials }

// handle is a subject's user handle: at most 64 bytes whatever the subject, and nothing that names a person, as the
// authenticator keeps it where others may read it (WebAuthn section 14.6.1).
func handle(subject string) []byte {
	sum := sha256.Sum256([]byte("authd user handle\x00" + subject))
	return sum[:]
}

// credential is the part of a passkey that is sealed.
type credential struct {
	PublicKey      []byte                            `json:"key"`
	Transports     []protocol.AuthenticatorTransport `json:"transports,omitempty"`
	BackupEligible bool                              `json:"backup_eligible"` // never changes
}

// credentialOf returns the passkey of a record for the library.
func (s *Service) credentialOf(r Record) (webauthn.Credential, error) {
	content, err := s.vault.open(r)
	if err != nil {
		return webauthn.Credential{}, err
	}
	var c credential
	if err := json.Unmarshal(content, &c); err != nil {
		return webauthn.Credential{}, fmt.Errorf("factor %s: %w", r.ID, err)
	}
	return webauthn.Credential{
		ID: r.Credential, PublicKey: c.PublicKey, Transport: c.Transports,
		Flags:         webauthn.CredentialFlags{BackupEligible: c.BackupEligible},
		Authenticator: webauthn.Authenticator{SignCount: uint32(r.Counter)},
	}, nil
}

// owner returns a subject with all passkeys that can be read.
func (s *Service) owner(ctx context.Context, subject, name string, records []Record) owner {
	o := owner{subject: subject, name: name}
	for _, r := range records {
		if r.Kind != Passkey {
			continue
		}
		c, err := s.credentialOf(r)
		if err != nil {
			s.log.ErrorContext(ctx, "a factor cannot be checked", "sub", subject, "err", err)
			continue
		}
		o.credentials = append(o.credentials, c)
	}
	return o
}

// passkeyState is the state of a registration.
type passkeyState struct {
	ID      string               `json:"id"` // of the factor to be, so that a registration is finished once
	Subject string               `json:"sub"`
	Session webauthn.SessionData `json:"session"`
}

// BeginPasskey begins the registration of a passkey. account is the user's name as the browser shows it.
func (s *Service) BeginPasskey(ctx context.Context, subject, account string) (Enrolment, error) {
	if s.webauthn == nil {
		return Enrolment{}, ErrNoPasskeys
	}
	records, _, err := s.store.Factors(ctx, subject)
	if err != nil {
		return Enrolment{}, err
	}
	id, err := s.newID()
	if err != nil {
		return Enrolment{}, err
	}
	o := s.owner(ctx, subject, account, records)
	options, session, err := s.webauthn.BeginRegistration(o,
		webauthn.WithExclusions(webauthn.Credentials(o.credentials).CredentialDescriptors()))
	if err != nil {
		return Enrolment{}, fmt.Errorf("beginning a registration: %w", err)
	}
	encoded, err := json.Marshal(options)
	if err != nil {
		return Enrolment{}, fmt.Errorf("beginning a registration: %w", err)
	}
	state, err := s.ceremonies.Seal(ctx, passkeyState{id, subject, *session}, EnrolmentLife)
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{State: state, Options: encoded}, nil
}

// FinishPasskey adds the passkey that answers a registration: what navigator.credentials.create returned, as JSON. What
// does not answer it is ErrWrong.
func (s *Service) FinishPasskey(ctx context.Context, subject, state string, answer []byte, name string) (Added, error) {
	if s.webauthn == nil {
		return Added{}, ErrNoPasskeys
	}
	name, err := nameOr(name, "Passkey")
	if err != nil {
		return Added{}, err
	}
	var st passkeyState
	if err := s.open(ctx, s.ceremonies, state, &st); err != nil {
		return Added{}, err
	}
	if st.Subject != subject {
		return Added{}, ErrState
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Added{}, wrong(err)
	}
	made, err := s.webauthn.CreateCredential(owner{subject: subject}, st.Session, parsed)
	if err != nil {
		return Added{}, wrong(err)
	}
	if err := s.Spend(ctx, "registration "+st.ID, s.now().Add(EnrolmentLife)); err != nil {
		return Added{}, err
	}
	content, err := json.Marshal(credential{made.PublicKey, made.Transport, made.Flags.BackupEligible})
	if err != nil {
		return Added{}, fmt.Errorf("finishing a registration: %w", err)
	}
	return s.add(ctx, Record{
		ID: st.ID, Subject: subject, Kind: Passkey, Name: name, Credential: made.ID, Counter: int64(made.Authenticator.SignCount),
	}, content, MaxFactors)
}

// wrong is ErrWrong with the library's reason, for the log.
func wrong(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%w: %s: %s", ErrWrong, e.Type, strings.ToValidUTF8(e.Details, ""))
	}
	return fmt.Errorf("%w: %v", ErrWrong, err) //nolint:errorlint // the library's errors are not for matching
}

// assertionOptions asks for one of a subject's passkeys as a second factor. Whether the authenticator verifies its user is
// left to it: the password was given.
func (s *Service) assertionOptions(ctx context.Context, subject string, records []Record) (challenge string, options []byte, err error) {
	assertion, session, err := s.webauthn.BeginLogin(s.owner(ctx, subject, "", records),
		webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return "", nil, fmt.Errorf("asking for a passkey: %w", err)
	}
	options, err = json.Marshal(assertion)
	return session.Challenge, options, err
}

// checkAssertion checks a passkey as a second factor. The challenge belongs to the caller, who sees to it that it is used
// once.
func (s *Service) checkAssertion(ctx context.Context, subject, challenge string, answer []byte) (Passed, error) {
	if s.webauthn == nil || challenge == "" {
		return Passed{}, ErrWrong
	}
	session := webauthn.SessionData{
		Challenge: challenge, RelyingPartyID: s.host, UserID: handle(subject), UserVerification: protocol.VerificationPreferred,
	}
	return s.assert(ctx, subject, answer, func(o owner, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
		return s.webauthn.ValidateLogin(o, session, parsed)
	})
}

// loginState is the state of a login by a passkey alone.
type loginState struct {
	Session webauthn.SessionData `json:"session"`
}

// LoginLife is how long a login by a passkey alone may take.
const LoginLife = 5 * time.Minute

// BeginLogin begins a login by a passkey alone, of whoever has one: the browser asks which. options is the argument of
// navigator.credentials.get, as JSON; state is to be returned with its answer.
func (s *Service) BeginLogin(ctx context.Context) (state string, options []byte, err error) {
	if s.webauthn == nil {
		return "", nil, ErrNoPasskeys
	}
	assertion, session, err := s.webauthn.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", nil, fmt.Errorf("beginning a login by a passkey: %w", err)
	}
	if options, err = json.Marshal(assertion); err != nil {
		return "", nil, fmt.Errorf("beginning a login by a passkey: %w", err)
	}
	state, err = s.logins.Seal(ctx, loginState{*session}, LoginLife)
	return state, options, err
}

// FinishLogin returns whose passkey answered, and that its authenticator verified them: two factors at once. The state is
// used up. What does not answer it is ErrWrong.
func (s *Service) FinishLogin(ctx context.Context, state string, answer []byte) (Passed, error) {
	if s.webauthn == nil {
		return Passed{}, ErrNoPasskeys
	}
	var st loginState
	if err := s.open(ctx, s.logins, state, &st); err != nil {
		return Passed{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Passed{}, wrong(err)
	}
	r, err := s.store.Credential(ctx, parsed.RawID)
	switch {
	case errors.Is(err, ErrNotFound):
		return Passed{}, fmt.Errorf("%w: unknown passkey", ErrWrong)
	case err != nil:
		return Passed{}, err
	}
	passed, err := s.assert(ctx, r.Subject, answer, func(o owner, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
		return s.webauthn.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return o, nil }, st.Session, parsed)
	})
	if err != nil {
		return Passed{}, err
	}
	if err := s.Spend(ctx, "login "+st.Session.Challenge, s.now().Add(LoginLife)); err != nil {
		return Passed{}, err
	}
	passed.AMR = append(passed.AMR, "mfa")
	s.log.InfoContext(ctx, "passkey accepted", "sub", passed.Subject, "factor", passed.FactorID)
	return passed, nil
}

// assert checks an answer by validate and moves the passkey's counter forward.
func (s *Service) assert(ctx context.Context, subject string, answer []byte,
	validate func(owner, *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error),
) (Passed, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Passed{}, wrong(err)
	}
	records, _, err := s.store.Factors(ctx, subject)
	if err != nil {
		return Passed{}, err
	}
	used, err := validate(s.owner(ctx, subject, "", records), parsed)
	if err != nil {
		return Passed{}, wrong(err)
	}
	for _, r := range records {
		if r.Kind != Passkey || string(r.Credential) != string(used.ID) {
			continue
		}
		err := s.store.Use(ctx, subject, r.ID, int64(parsed.Response.AuthenticatorData.Counter), s.now())
		switch {
		case errors.Is(err, ErrSpent):
			s.log.WarnContext(ctx, "the counter of a passkey did not advance: two authenticators may have its key",
				"sub", subject, "factor", r.ID)
			return Passed{}, ErrCloned
		case errors.Is(err, ErrNotFound):
			return Passed{}, ErrWrong
		case err != nil:
			return Passed{}, err
		}
		amr := []string{"swk"} // at least: without attestation nobody can tell that it is in hardware
		if parsed.Response.AuthenticatorData.Flags.HasUserVerified() {
			amr = append(amr, "user")
		}
		return Passed{Subject: subject, Kind: Passkey, FactorID: r.ID, AMR: amr}, nil
	}
	return Passed{}, ErrWrong
}
