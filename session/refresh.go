package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/revocation"
)

// Refresh exchanges a refresh token for a new access token and the current refresh token of the chain, by the rule of
// [Decide]. It refuses with an error that wraps [ErrInvalidGrant]; [ErrReuse] means that the session was ended and
// revoked because of this very token. [ErrProof] means that the session is bound to a key of which no proof came.
//
// What may fail is asked before the step in the store: while accounts, keys or the mirror are unavailable a refresh
// changes nothing, however often it is tried. Of the store it takes nothing but that one step, unless it is refused, or the
// token is of the first version.
func (s *Service) Refresh(ctx context.Context, refreshToken string, use Use) (Grant, error) {
	g, err := s.refresh(ctx, refreshToken, use)
	if err != nil {
		return Grant{}, fmt.Errorf("refresh: %w", err)
	}
	return g, nil
}

func (s *Service) refresh(ctx context.Context, refreshToken string, use Use) (Grant, error) {
	t, err := s.open(ctx, refreshToken)
	if err != nil {
		return Grant{}, err
	}
	proof := use.Proof
	if err := t.prove(proof); err != nil {
		return Grant{}, err
	}
	use.Address, use.UserAgent, use.Proof = cleanText(use.Address, maxAddress), cleanText(use.UserAgent, maxUserAgent), nil
	if err := s.believe(ctx, t.session); err != nil {
		return Grant{}, err
	}
	if t.subject == "" {
		if t.subject, err = s.subject(ctx, t.session); err != nil {
			return Grant{}, err
		}
	}
	account, err := s.account(ctx, t)
	if err != nil {
		return Grant{}, err
	}
	mac, err := s.macKey(ctx)
	if err != nil {
		return Grant{}, err
	}
	if err := s.checkUse(ctx, t.session, use); err != nil {
		return Grant{}, err
	}
	if err := proof.spend(ctx); err != nil {
		return Grant{}, err
	}
	began := s.now()
	after, outcome, err := s.store.Refresh(ctx, t.session, t.generation, use, s.limits)
	if err != nil {
		return Grant{}, s.missing(ctx, t.session, err)
	}
	if after.Subject != t.subject || after.KeyThumbprint != t.keyThumbprint() {
		// or a stolen MAC key would buy the roles of anybody, and the tokens of others' keys
		return Grant{}, fmt.Errorf("%w: it names another subject or key than the session", ErrInvalidGrant)
	}
	s.logOutcome(ctx, after, outcome, use)
	if outcome == Reused {
		if err := s.finishEnd(ctx, ByReuse, []ID{after.ID}, []Session{after}); err != nil {
			return Grant{}, err
		}
		return Grant{}, ErrReuse
	}
	if after.Parent != (ID{}) && use.ClientID == "" {
		return Grant{}, fmt.Errorf("%w: only its client refreshes this session", ErrInvalidGrant)
	}
	g, err := s.grant(ctx, narrowed(after, use), account, mac, began, use.Audience)
	if err != nil {
		return Grant{}, err
	}
	// Asked last, so that nothing which comes during the refresh is missed. A session that is live and yet revoked is one
	// whose end the store has lost, in a failover perhaps: it ends again.
	switch {
	case s.cutOff(after) || s.revoked(ctx, after.ID):
		return Grant{}, s.refuse(ctx, after, "cut off")
	case outlived(after, account):
		return Grant{}, s.refuse(ctx, after, "password changed")
	}
	g.Outcome = outcome
	return g, nil
}

// checkUse holds a refresh by a client that has authenticated to the session, before anything changes.
func (s *Service) checkUse(ctx context.Context, id ID, use Use) error {
	if use.ClientID == "" {
		return nil
	}
	n, err := s.store.Get(ctx, id, s.limits)
	switch {
	case err != nil:
		return s.missing(ctx, id, err)
	case n.ClientID != use.ClientID:
		return fmt.Errorf("%w: it is of another client", ErrInvalidGrant)
	case !contains(n.Scope, use.Scope):
		return ErrScope
	}
	return nil
}

// narrowed returns the session as the next access token shows it.
func narrowed(n Session, use Use) Session {
	n.Scope = cmp.Or(use.Scope, n.Scope)
	return n
}

// open takes a refresh token apart and checks its MAC. Forged ones end here, without touching the store.
func (s *Service) open(ctx context.Context, raw string) (refreshToken, error) {
	t, err := parseRefreshToken(raw)
	if err != nil {
		return refreshToken{}, fmt.Errorf("%w: %w", ErrInvalidGrant, err)
	}
	key, known, err := s.macKeys.MACKeyByID(ctx, t.keyID)
	switch {
	case err != nil:
		return refreshToken{}, unavailable("finding the MAC key", err)
	case !known || !t.verify(key):
		return refreshToken{}, fmt.Errorf("%w: not made with a key we hold", ErrInvalidGrant)
	}
	return t, nil
}

// missing turns the store's answer for a session that is not live into the answer to a refresh.
func (s *Service) missing(ctx context.Context, id ID, err error) error {
	switch {
	case errors.Is(err, ErrEnded):
		// Whoever ended the session may have been interrupted before its tokens were revoked.
		if err := s.revokeEnded(ctx, id); err != nil {
			return err
		}
		return fmt.Errorf("%w: %w", ErrInvalidGrant, err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: %w", ErrInvalidGrant, err)
	default:
		return unavailable("looking the session up", err)
	}
}

// believe lets a refresh of the session go on while the revocation set does not know its end. A store may have lost the
// end, in a failover perhaps; so as long as the mirror cannot tell, in an authd that has just started say, the store is
// not asked at all.
func (s *Service) believe(ctx context.Context, id ID) error {
	err := s.checkSession(ctx, id)
	switch {
	case errors.Is(err, revocation.ErrRevoked):
		return s.refuseIfLive(ctx, id, "revoked")
	case err != nil:
		return unavailable("asking whether the session was revoked", err)
	}
	return nil
}

// subject returns whose session it is, for tokens that do not say.
func (s *Service) subject(ctx context.Context, id ID) (string, error) {
	n, err := s.store.Get(ctx, id, s.limits)
	if err != nil {
		return "", s.missing(ctx, id, err)
	}
	return n.Subject, nil
}

// account returns the account that a refresh token names as it is now, and ends the session when there is none that may
// log in.
func (s *Service) account(ctx context.Context, t refreshToken) (identity.Account, error) {
	a, err := s.accounts.Account(ctx, t.subject)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return identity.Account{}, s.refuseIfLive(ctx, t.session, "account removed")
	case err != nil:
		return identity.Account{}, unavailable("looking the account up", err)
	case a.Disabled:
		return identity.Account{}, s.refuseIfLive(ctx, t.session, "account disabled")
	}
	return a, nil
}

// refuseIfLive is refuse for a session that the store has not been asked about. One that has ended is left alone: the
// holder of an old token must not be able to make work for every verifier.
func (s *Service) refuseIfLive(ctx context.Context, id ID, reason string) error {
	n, err := s.store.Get(ctx, id, s.limits)
	if err != nil {
		return s.missing(ctx, id, err)
	}
	return s.refuse(ctx, n, reason)
}

// refuse ends a session that may not go on, and returns the error to answer.
func (s *Service) refuse(ctx context.Context, n Session, reason string) error {
	if err := s.end(ctx, ByRefusal, n.ID); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "session ended at refresh", "sid", n.ID, "sub", n.Subject, "reason", reason)
	return fmt.Errorf("%w: %s", ErrInvalidGrant, reason)
}

// logOutcome records what somebody should be able to look up: theft, and retries from somewhere else.
func (s *Service) logOutcome(ctx context.Context, n Session, o Outcome, use Use) {
	args := []any{
		"sid", n.ID, "sub", n.Subject, "outcome", o.String(),
		"address", use.Address, "last_address", n.PreviousAddress,
		"user_agent", use.UserAgent, "login_user_agent", n.UserAgent,
	}
	// A client's session began at the user's browser, and is refreshed by the client, which calls itself something else.
	elsewhere := use.Address != n.PreviousAddress || use.UserAgent != n.UserAgent && n.Parent == (ID{})
	switch {
	case o == Reused:
		s.log.WarnContext(ctx, "refresh token reused, session ended", args...)
	case o == Adopted:
		s.log.WarnContext(ctx, "session store had lost a rotation", args...)
	case o == Replayed && elsewhere:
		s.log.WarnContext(ctx, "refresh token replayed from elsewhere", args...)
	}
}

// InspectRefreshToken returns the live session that a refresh token would refresh, and when that session ends unless it
// is refreshed (RFC 7662). It changes nothing. Tokens that a refresh would refuse are ErrInvalidGrant.
func (s *Service) InspectRefreshToken(ctx context.Context, refreshToken string) (Session, time.Time, error) {
	n, err := s.inspect(ctx, refreshToken)
	if err != nil {
		return Session{}, time.Time{}, fmt.Errorf("inspecting a refresh token: %w", err)
	}
	return n, n.Expires(s.limits), nil
}

func (s *Service) inspect(ctx context.Context, refreshToken string) (Session, error) {
	t, err := s.open(ctx, refreshToken)
	if err != nil {
		return Session{}, err
	}
	n, err := s.store.Get(ctx, t.session, s.limits)
	switch {
	case errors.Is(err, ErrNotFound):
		return Session{}, fmt.Errorf("%w: %w", ErrInvalidGrant, err)
	case err != nil:
		return Session{}, unavailable("looking the session up", err)
	}
	a, err := s.accounts.Account(ctx, n.Subject)
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		return Session{}, unavailable("looking the account up", err)
	}
	_, outcome := Decide(n.Chain, t.generation, s.now(), s.limits)
	another := t.subject != "" && t.subject != n.Subject || t.keyThumbprint() != n.KeyThumbprint
	if err != nil || another || a.Disabled || outcome == Reused || s.cutOff(n) || outlived(n, a) || s.revoked(ctx, n.ID) {
		return Session{}, fmt.Errorf("%w: a refresh would end the session", ErrInvalidGrant)
	}
	return n, nil
}
