package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/authd-project/authd/identity"
)

// The authentication levels of [Authentication].ACR, by NIST SP 800-63B.
const (
	OneFactor  = "aal1"
	TwoFactors = "aal2"
)

// Authentication tells who authenticated, how and when.
type Authentication struct {
	Account identity.Account
	Time    time.Time // whole seconds, not below any cut-off known before the check
	AMR     []string  // RFC 8176, e.g. "pwd", "otp", "mfa", "swk", "user"
	ACR     string    // "aal1": one factor; "aal2": two factors, or a passkey that verified its user; "" unknown
}

// With returns a together with what the user has shown beside it, and the level that this reaches. The time stays that of
// the first check.
func (a Authentication) With(amr ...string) Authentication {
	a.AMR = slices.Clone(a.AMR)
	for _, method := range amr {
		if !slices.Contains(a.AMR, method) {
			a.AMR = append(a.AMR, method)
		}
	}
	a.ACR = levelOf(a.AMR)
	return a
}

// levelOf returns the level that methods reach together. A key that verified its user, "user", is two factors by itself:
// the key, and what unlocks it.
func levelOf(amr []string) string {
	key := slices.Contains(amr, "swk") || slices.Contains(amr, "hwk")
	switch {
	case slices.Contains(amr, "mfa"), key && slices.Contains(amr, "user"):
		return TwoFactors
	case len(amr) > 0:
		return OneFactor
	}
	return ""
}

// Authenticate checks the password alone, and begins nothing. A wrong name or password is
// [identity.ErrInvalidCredentials], a full queue of password hashes [identity.ErrBusy], both as they came from the source
// of accounts. An empty client is the service's own.
func (s *Service) Authenticate(ctx context.Context, username, password, clientID string) (Authentication, error) {
	if err := checkClientID(clientID); err != nil {
		return Authentication{}, fmt.Errorf("authenticating: %w: %w", ErrInvalidRequest, err)
	}
	a, err := s.authenticate(ctx, username, password, cmp.Or(clientID, s.clientID))
	if err != nil {
		return Authentication{}, fmt.Errorf("authenticating: %w", err)
	}
	return a, nil
}

// authenticate returns an authentication whose time is at or above every cut-off that was known before the password was
// checked.
//
// A cut-off that comes later (a changed password, say) must end what the old password begins. Cut-offs are whole
// seconds rounded up, so one of the same second may have come before or after; then the password is checked again, and
// now the cut-off is known to have come before.
func (s *Service) authenticate(ctx context.Context, username, password, clientID string) (Authentication, error) {
	known := int64(0)
	for range 3 {
		authTime := max(s.now().Unix(), known)
		account, err := s.accounts.Authenticate(ctx, username, password)
		switch {
		case errors.Is(err, identity.ErrInvalidCredentials) || errors.Is(err, identity.ErrBusy):
			return Authentication{}, err
		case err != nil:
			return Authentication{}, unavailable("checking the password", err)
		}
		cutoff := s.notBefore(account.Subject, clientID)
		if cutoff <= authTime {
			return Authentication{Account: account, Time: time.Unix(authTime, 0)}.With("pwd"), nil
		}
		known = cutoff
	}
	return Authentication{}, fmt.Errorf("%w: cut off while logging in", ErrUnavailable)
}

// Vouch returns the authentication of a user whom the caller has checked itself, by a passkey say, with the methods of
// RFC 8176 that it used. An account that is gone or disabled is [identity.ErrInvalidCredentials].
//
// A cut-off that is known when Vouch is called counts as one from before the check. So whoever removes what the caller
// checks must remove it before ending the user's sessions, and the caller calls Vouch right after its check.
func (s *Service) Vouch(ctx context.Context, subject, clientID string, amr ...string) (Authentication, error) {
	if err := checkClientID(clientID); err != nil {
		return Authentication{}, fmt.Errorf("vouching: %w: %w", ErrInvalidRequest, err)
	}
	if len(amr) == 0 {
		return Authentication{}, fmt.Errorf("vouching: %w: no method was used", ErrInvalidRequest)
	}
	authTime := max(s.now().Unix(), s.notBefore(subject, cmp.Or(clientID, s.clientID)))
	account, err := s.accounts.Account(ctx, subject)
	switch {
	case errors.Is(err, identity.ErrNotFound) || err == nil && account.Disabled:
		return Authentication{}, fmt.Errorf("vouching: %w", identity.ErrInvalidCredentials)
	case err != nil:
		return Authentication{}, fmt.Errorf("vouching: %w", unavailable("looking the account up", err))
	}
	return Authentication{Account: account, Time: time.Unix(authTime, 0)}.With(amr...), nil
}

// Resume returns a live session and the authentication that it began with, so that a session of a client can begin from
// it. A session that is gone, or whose user may not log in any more, is [ErrInvalidGrant]. It is [ErrStale] when a
// revocation for that client came since: the user must authenticate again.
func (s *Service) Resume(ctx context.Context, id ID, clientID string) (Authentication, Session, error) {
	n, err := s.live(ctx, id)
	if err != nil {
		return Authentication{}, Session{}, fmt.Errorf("resuming a session: %w", err)
	}
	account, err := s.accounts.Account(ctx, n.Subject)
	switch {
	case errors.Is(err, identity.ErrNotFound) || err == nil && account.Disabled:
		return Authentication{}, Session{}, fmt.Errorf("resuming a session: %w", s.refuse(ctx, n, "account removed or disabled"))
	case err != nil:
		return Authentication{}, Session{}, fmt.Errorf("resuming a session: %w", unavailable("looking the account up", err))
	case outlived(n, account):
		return Authentication{}, Session{}, fmt.Errorf("resuming a session: %w", s.refuse(ctx, n, "password changed"))
	case s.cutOff(n) || s.notBefore(n.Subject, cmp.Or(clientID, s.clientID)) > n.AuthTime.Unix():
		return Authentication{}, Session{}, fmt.Errorf("resuming a session: %w", ErrStale)
	}
	return Authentication{Account: account, Time: n.AuthTime, AMR: n.AMR, ACR: n.ACR}, n, nil
}

// live returns a session that is live in the store and that the revocation set does not know to have ended.
func (s *Service) live(ctx context.Context, id ID) (Session, error) {
	if err := s.believe(ctx, id); err != nil {
		return Session{}, err
	}
	n, err := s.store.Get(ctx, id, s.limits)
	if err != nil {
		return Session{}, s.missing(ctx, id, err)
	}
	return n, nil
}
