package mfa

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/authd-project/authd/internal/seal"
)

// Config is what a Service is made of. All fields without a default are required.
type Config struct {
	Store   Store
	Masters []MasterKey // the first seals, all open
	Seals   seal.Keys   // of enrolments and challenges; in authd, the view of the key ring
	// Issuer is the URL of the server, an origin. Passkeys are bound to its host, and it is the name of the account in
	// authenticator apps: changing it makes all passkeys worthless.
	Issuer string
	Now    func() time.Time // default time.Now
	Rand   io.Reader        // of secrets and codes; default crypto/rand
	Logger *slog.Logger     // default: none
}

// Service enrols and checks factors. Methods may be called concurrently. Errors that are none of this package's say nothing
// about what was presented.
type Service struct {
	store      Store
	vault      *vault
	enrolments *seal.Sealer // of apps
	ceremonies *seal.Sealer // registrations of passkeys
	logins     *seal.Sealer // challenges of logins by a passkey alone
	webauthn   *webauthn.WebAuthn
	host       string
	now        func() time.Time
	rand       io.Reader
	log        *slog.Logger
}

// Open checks the configuration and opens, or makes, the key of the store.
func Open(ctx context.Context, c Config) (*Service, error) {
	s := &Service{store: c.Store, now: c.Now, rand: c.Rand, log: c.Logger}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	issuer, err := url.Parse(c.Issuer)
	switch {
	case c.Store == nil || c.Seals == nil:
		return nil, errors.New("factors: store and seals are required")
	case err != nil || issuer.Host == "" || strings.Trim(issuer.Path, "/") != "":
		return nil, errors.New("factors: issuer: must be an origin")
	}
	s.host = issuer.Hostname()
	s.enrolments = seal.New("enrolment of an authenticator app", c.Seals, s.now)
	s.ceremonies = seal.New("registration of a passkey", c.Seals, s.now)
	s.logins = seal.New("login by a passkey", c.Seals, s.now)
	if s.webauthn, err = newRelyingParty(issuer); err != nil {
		return nil, fmt.Errorf("factors: %w", err)
	}
	if s.vault, err = openVault(ctx, c.Store, c.Masters, s.rand); err != nil {
		return nil, fmt.Errorf("factors: %w", err)
	}
	return s, nil
}

// SealedUnder names the master key that the key of the store is sealed under now.
func (s *Service) SealedUnder(ctx context.Context) (string, error) {
	key, err := s.store.DataKey(ctx)
	return key.MasterID, err
}

// Reseal sees to it that the key of the store is sealed under the first of other master keys, any of which may open it. It
// changes nothing when none of them does. The service itself needs no master key once it has been opened.
func (s *Service) Reseal(ctx context.Context, masters ...MasterKey) error {
	_, err := openVault(ctx, s.store, masters, s.rand)
	return err
}

// Factors returns what a subject has enrolled.
func (s *Service) Factors(ctx context.Context, subject string) (Enrolled, error) {
	records, codes, err := s.store.Factors(ctx, subject)
	if err != nil {
		return Enrolled{}, err
	}
	e := Enrolled{Factors: make([]Factor, len(records)), RecoveryCodes: codes}
	for i, r := range records {
		e.Factors[i] = r.factor()
	}
	return e, nil
}

func (r Record) factor() Factor {
	return Factor{ID: r.ID, Kind: r.Kind, Name: r.Name, CreatedAt: r.CreatedAt, UsedAt: r.UsedAt}
}

// Rename gives a subject's factor another name.
func (s *Service) Rename(ctx context.Context, subject, id, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	return s.store.Rename(ctx, subject, id, name)
}

// Remove removes a subject's factor, and with the last one the recovery codes. With keep the last one is not removed, and
// the error is ErrConflict.
func (s *Service) Remove(ctx context.Context, subject, id string, keep bool) error {
	if err := s.store.Remove(ctx, subject, id, keep); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "factor removed", "sub", subject, "factor", id)
	return nil
}

// Reset removes everything that a subject has enrolled, for an administrator, and returns how many factors that were. It
// ends no session.
func (s *Service) Reset(ctx context.Context, subject string) (int, error) {
	n, err := s.store.Clear(ctx, subject)
	if err != nil {
		return 0, err
	}
	s.log.InfoContext(ctx, "factors reset", "sub", subject, "factors", n)
	return n, nil
}

// NewRecoveryCodes replaces the recovery codes of a subject who has factors, and returns them. They cannot be had again.
func (s *Service) NewRecoveryCodes(ctx context.Context, subject string) ([]string, error) {
	codes, err := s.setRecoveryCodes(ctx, subject, false)
	if err == nil {
		s.log.InfoContext(ctx, "recovery codes replaced", "sub", subject)
	}
	return codes, err
}

func (s *Service) setRecoveryCodes(ctx context.Context, subject string, fresh bool) ([]string, error) {
	codes, err := newRecoveryCodes(s.rand)
	if err != nil {
		return nil, err
	}
	digests := make([][]byte, len(codes))
	for i, code := range codes {
		clean, _ := cleanRecoveryCode(code)
		digests[i] = s.vault.digest(subject, clean)
	}
	if err := s.store.SetRecoveryCodes(ctx, subject, digests, fresh); err != nil {
		return nil, err
	}
	return codes, nil
}

// add stores a factor that was confirmed, and makes recovery codes where there are none.
func (s *Service) add(ctx context.Context, r Record, content []byte, most int) (Added, error) {
	r.Sealed = s.vault.seal(r, content)
	r.CreatedAt = s.now().UTC().Truncate(time.Microsecond)
	if err := s.store.Add(ctx, r, most); err != nil {
		return Added{}, err
	}
	s.log.InfoContext(ctx, "factor added", "sub", r.Subject, "factor", r.ID, "kind", string(r.Kind))
	codes, err := s.setRecoveryCodes(ctx, r.Subject, true)
	if err != nil && !errors.Is(err, ErrExists) {
		// The factor is there. That it has no recovery codes can be seen, and mended by asking for new ones.
		s.log.WarnContext(ctx, "no recovery codes were made with a factor", "sub", r.Subject, "err", err)
	}
	return Added{Factor: r.factor(), RecoveryCodes: codes}, nil
}

// newID draws 128 bits.
func (s *Service) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// maxName bounds the name of a factor, in bytes.
const maxName = 64

// cleanName accepts what can be shown on one line.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", fmt.Errorf("%w: missing", ErrName)
	case len(name) > maxName:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrName, maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fmt.Errorf("%w: not printable", ErrName)
	}
	return name, nil
}

// nameOr is cleanName with a default.
func nameOr(name, normal string) (string, error) {
	return cleanName(cmp.Or(strings.TrimSpace(name), normal))
}
