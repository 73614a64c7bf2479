package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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

// Login checks the password and begins a new session: [Service.Authenticate], then [Service.Begin].
func (s *Service) Login(ctx context.Context, r LoginRequest) (Grant, error) {
	begin := BeginRequest{ClientID: r.ClientID, Scope: r.Scope, Address: r.Address, UserAgent: r.UserAgent, Proof: r.Proof}
	if err := begin.validate(); err != nil { // before a password is hashed
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	who, err := s.authenticate(ctx, r.Username, r.Password, cmp.Or(r.ClientID, s.clientID))
	if err != nil {
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	return s.Begin(ctx, who, begin)
}

// BeginRequest says what a new session is for.
type BeginRequest struct {
	// ID is the session's; zero means a new random one. An ID that was decided before, and that nobody can choose, makes
	// the value that carries it good for one time: see Begin.
	ID ID
	// Parent is the session of the browser that this one begins from and will not outlive; zero for none.
	Parent    ID
	ClientID  string   // empty means the service's own
	Scope     string   // space-separated; the caller has decided that the client may have it
	Audience  []string // who may accept the first access token; nil means the issuer's default
	Address   string   // of the client, for lists and logs
	UserAgent string   // as the client sent it, for lists and logs
	Proof     *Proof   // of a key that the session is to be bound to; nil for bearer tokens
}

func (r *BeginRequest) validate() error {
	if err := errors.Join(checkClientID(r.ClientID), checkScope(r.Scope), r.Proof.validate()); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	return nil
}

// Begin begins a session of a user who has authenticated, and gives out its first tokens.
//
// An ID that was used before is [ErrExists], and ends the session that has it: two parties hold what is good for one time
// (RFC 6749 section 4.1.2). A parent that is not live any more is [ErrInvalidGrant].
func (s *Service) Begin(ctx context.Context, who Authentication, r BeginRequest) (Grant, error) {
	g, err := s.beginWith(ctx, who, r)
	if err != nil {
		return Grant{}, fmt.Errorf("login: %w", err)
	}
	s.log.InfoContext(ctx, "login", "sid", g.Session.ID, "sub", g.Session.Subject, "client_id", g.Session.ClientID,
		"address", g.Session.Address)
	return g, nil
}

func (s *Service) beginWith(ctx context.Context, who Authentication, r BeginRequest) (Grant, error) {
	if err := r.validate(); err != nil {
		return Grant{}, err
	}
	if err := r.Proof.spend(ctx); err != nil {
		return Grant{}, err
	}
	mac, err := s.macKey(ctx) // before the session is stored: without the key nobody could use it
	if err != nil {
		return Grant{}, err
	}
	if r.ID == (ID{}) {
		if _, err := io.ReadFull(s.rand, r.ID[:]); err != nil {
			return Grant{}, unavailable("making a session id", err)
		}
	}
	return s.begin(ctx, mac, who, r)
}

// begin stores a new session and makes its first tokens.
func (s *Service) begin(ctx context.Context, mac macKey, who Authentication, r BeginRequest) (Grant, error) {
	began := s.now()
	n, err := s.store.Create(ctx, Session{
		ID: r.ID, Parent: r.Parent, Subject: who.Account.Subject, Username: who.Account.Username,
		ClientID: cmp.Or(r.ClientID, s.clientID), Scope: r.Scope,
		AMR: who.AMR, ACR: who.ACR, AuthTime: who.Time, KeyThumbprint: r.Proof.thumbprint(),
		Address: cleanText(r.Address, maxAddress), UserAgent: cleanText(r.UserAgent, maxUserAgent),
	})
	switch {
	case errors.Is(err, ErrExists):
		s.log.WarnContext(ctx, "a session was to begin twice; it is ended", "sid", r.ID, "sub", who.Account.Subject,
			"client_id", r.ClientID, "address", cleanText(r.Address, maxAddress))
		return Grant{}, errors.Join(err, s.end(ctx, ByReuse, r.ID))
	case err != nil:
		return Grant{}, unavailable("storing the session", err)
	}
	g, err := s.grant(ctx, n, who.Account, mac, began, r.Audience)
	if err == nil && s.cutOff(n) {
		err = fmt.Errorf("%w: cut off while logging in", ErrUnavailable)
	}
	if err == nil && n.Parent != (ID{}) {
		// Asked once the session is in the store: whoever ends the parent looks for its children after that, so one of the
		// two sees the other.
		_, err = s.live(ctx, n.Parent)
	}
	if err != nil {
		// Nobody holds a token of the session; without its end it would only be a riddle in the user's list.
		ctx, cancel := finishing(ctx)
		defer cancel()
		return Grant{}, errors.Join(err, s.store.End(ctx, n.ID))
	}
	return g, nil
}
