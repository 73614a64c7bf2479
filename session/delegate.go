package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// ClientRequest asks for an access token for a client that acts for itself or on behalf of somebody. The caller has
// authenticated the client, and has decided that it may have the scope and the audience.
type ClientRequest struct {
	ClientID string
	Scope    string
	Audience []string // nil means the issuer's default
	Proof    *Proof   // of a key that the token is to be bound to; nil for a bearer token
}

func (r ClientRequest) validate() error {
	if r.ClientID == "" {
		return fmt.Errorf("%w: no client", ErrInvalidRequest)
	}
	begin := BeginRequest{ClientID: r.ClientID, Scope: r.Scope, Proof: r.Proof}
	return begin.validate()
}

// IssueToClient gives a client a token of its own, whose subject is the client and which belongs to no session: there is no
// refresh token, and it ends by its expiry, or by a revocation of the token, of the client, or of the client as a subject.
//
// A client whose ID is also the subject of an account is refused with [ErrInvalidGrant], or it would be taken for the user
// (RFC 9068 section 5).
func (s *Service) IssueToClient(ctx context.Context, r ClientRequest) (Grant, error) {
	if err := r.validate(); err != nil {
		return Grant{}, fmt.Errorf("issuing to a client: %w", err)
	}
	_, err := s.accounts.Account(ctx, r.ClientID)
	switch {
	case err == nil:
		return Grant{}, fmt.Errorf("issuing to a client: %w: a user has the subject %q", ErrInvalidGrant, r.ClientID)
	case !errors.Is(err, identity.ErrNotFound):
		return Grant{}, fmt.Errorf("issuing to a client: %w", unavailable("looking for an account of that subject", err))
	}
	g, err := s.issue(ctx, token.Claims{Subject: r.ClientID}, r)
	if err != nil {
		return Grant{}, fmt.Errorf("issuing to a client: %w", err)
	}
	s.log.InfoContext(ctx, "token issued to a client", "client_id", r.ClientID, "jti", g.Claims.ID)
	return g, nil
}

// Exchange gives a client a token to call others on behalf of the subject of a token that has come to it (RFC 8693). The
// caller has verified that token, revocations included. The new one is never worth more: it belongs to the same session
// and ends with it, expires no later, has no wider scope (else [ErrScope]), and must be bound to a key if the other is
// (else [ErrProof]), to one of the client's own.
func (s *Service) Exchange(ctx context.Context, subject *token.Claims, r ClientRequest) (Grant, error) {
	if err := r.validate(); err != nil {
		return Grant{}, fmt.Errorf("exchanging a token: %w", err)
	}
	actor := &token.Actor{Subject: r.ClientID, Before: subject.Actor}
	switch {
	case !contains(subject.Scope, r.Scope):
		return Grant{}, fmt.Errorf("exchanging a token: %w", ErrScope)
	case subject.KeyThumbprint != "" && r.Proof == nil:
		return Grant{}, fmt.Errorf("exchanging a token: %w: the token to exchange is bound to one", ErrProof)
	case actor.Depth() > maxActors:
		return Grant{}, fmt.Errorf("exchanging a token: %w: it was exchanged too often", ErrInvalidGrant)
	case subject.ExpiresAt.Sub(s.now()) < time.Second:
		return Grant{}, fmt.Errorf("exchanging a token: %w: it has expired", ErrInvalidGrant)
	}
	g, err := s.issue(ctx, token.Claims{
		Subject: subject.Subject, SessionID: subject.SessionID, ExpiresAt: subject.ExpiresAt,
		AMR: subject.AMR, ACR: subject.ACR, AuthTime: subject.AuthTime, Roles: subject.Roles, Actor: actor,
	}, r)
	if err == nil {
		// Asked last: the new token may be stamped with a cut-off that came while it was made, and that hits the old one.
		err = s.checkStill(ctx, subject)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("exchanging a token: %w", err)
	}
	s.log.InfoContext(ctx, "token exchanged", "client_id", r.ClientID, "sub", subject.Subject, "sid", subject.SessionID,
		"jti", g.Claims.ID, "from", subject.ID)
	return g, nil
}

// maxActors is how many clients may act one on behalf of the other.
const maxActors = 4

// issue makes a token that belongs to no session of its own.
func (s *Service) issue(ctx context.Context, claims token.Claims, r ClientRequest) (Grant, error) {
	if err := r.Proof.spend(ctx); err != nil {
		return Grant{}, err
	}
	claims.ClientID, claims.Scope, claims.Audience, claims.KeyThumbprint = r.ClientID, r.Scope, r.Audience, r.Proof.thumbprint()
	if cutoff := s.notBefore(claims.Subject, claims.ClientID); cutoff > 0 {
		claims.IssuedAt = time.Unix(cutoff, 0) // or the cut-off of this very second would hit the new token
	}
	raw, issued, err := s.tokens.Issue(ctx, claims)
	switch {
	case errors.Is(err, token.ErrClaims):
		return Grant{}, err
	case err != nil:
		return Grant{}, unavailable("issuing an access token", err)
	}
	return Grant{AccessToken: raw, ExpiresIn: issued.ExpiresAt.Sub(s.now()), Claims: issued}, nil
}

// checkStill asks the mirror again about a token that was good a moment ago.
func (s *Service) checkStill(ctx context.Context, c *token.Claims) error {
	err := s.mirror.Check(ctx, c.RevocationClaims())
	switch {
	case errors.Is(err, revocation.ErrRevoked):
		return fmt.Errorf("%w: it was revoked", ErrInvalidGrant)
	case err != nil:
		return unavailable("asking whether a token was revoked", err)
	}
	return nil
}
