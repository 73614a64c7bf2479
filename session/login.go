package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/authd-project/authd/identity"
)

// LoginRequest is one attempt to log in. Nothing in it chooses the session: its ID is always new (no fixation).
type LoginRequest struct {
	Username  string
	Password  string
	ClientID  string // empty means the service's own
	Scope     string // space-separated; the caller has decided that the client may have it
	Address   string // of the client, for lists and logs
	UserAgent string // as the client sent it, for lists and logs
	Proof     *Proof // of a key that the session is to be bound to; nil for bearer tokens
}

// Login checks the password and begins a new session. A wrong name or password is [identity.ErrInvalidCredentials], a
// full queue of password hashes [identity.ErrBusy], both as they came from the source of accounts.
func (s *Service) Login(ctx context.Context, r LoginRequest) (Grant, error) {
	if err := errors.Join(checkClientID(r.ClientID), checkScope(r.Scope), r.Proof.validate()); err != nil {
		return Grant{}, fmt.Errorf("login: %w: %w", ErrInvalidRequest, err)
	}
	r.ClientID = cmp.Or(r.ClientID, s.clientID)
	account, authTime, err := s.authenticate(ctx, r)
	if err != nil {
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	if err := r.Proof.spend(ctx); err != nil {
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	mac, err := s.macKey(ctx) // before the session is stored: without the key nobody could use it
	if err != nil {
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	g, err := s.begin(ctx, mac, account, Session{
		Subject: account.Subject, Username: account.Username, ClientID: r.ClientID, Scope: r.Scope,
		AMR: []string{"pwd"}, AuthTime: authTime, KeyThumbprint: r.Proof.thumbprint(),
		Address: cleanText(r.Address, maxAddress), UserAgent: cleanText(r.UserAgent, maxUserAgent),
	})
	if err != nil {
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	s.log.InfoContext(ctx, "login", "sid", g.Session.ID, "sub", g.Session.Subject, "client_id", g.Session.ClientID,
		"address", g.Session.Address)
	return g, nil
}

// authenticate returns the account and the time of authentication, which is at or above every cut-off that was known
// before the password was checked.
//
// A cut-off that comes later (a changed password, say) must end what the old password begins. Cut-offs are whole
// seconds rounded up, so one of the same second may have come before or after; then the password is checked again, and
// now the cut-off is known to have come before.
func (s *Service) authenticate(ctx context.Context, r LoginRequest) (identity.Account, time.Time, error) {
	known := int64(0)
	for range 3 {
		authTime := max(s.now().Unix(), known)
		account, err := s.accounts.Authenticate(ctx, r.Username, r.Password)
		switch {
		case errors.Is(err, identity.ErrInvalidCredentials) || errors.Is(err, identity.ErrBusy):
			return identity.Account{}, time.Time{}, err
		case err != nil:
			return identity.Account{}, time.Time{}, unavailable("checking the password", err)
		}
		cutoff := s.notBefore(account.Subject, r.ClientID)
		if cutoff <= authTime {
			return account, time.Unix(authTime, 0), nil
		}
		known = cutoff
	}
	return identity.Account{}, time.Time{}, fmt.Errorf("%w: cut off while logging in", ErrUnavailable)
}

// begin stores a new session and makes its first tokens.
func (s *Service) begin(ctx context.Context, mac macKey, account identity.Account, n Session) (Grant, error) {
	if _, err := io.ReadFull(s.rand, n.ID[:]); err != nil {
		return Grant{}, unavailable("making a session id", err)
	}
	began := s.now()
	n, err := s.store.Create(ctx, n)
	if err != nil {
		return Grant{}, unavailable("storing the session", err)
	}
	g, err := s.grant(ctx, n, account, mac, began)
	if err == nil && s.cutOff(n) {
		err = fmt.Errorf("%w: cut off while logging in", ErrUnavailable)
	}
	if err != nil {
		// Nobody holds a token of the session; without its end it would only be a riddle in the user's list.
		ctx, cancel := finishing(ctx)
		defer cancel()
		return Grant{}, errors.Join(err, s.store.End(ctx, n.ID))
	}
	return g, nil
}
