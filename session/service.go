package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

const (
	// margin bounds the time between a step in the store and the signature of the token that follows from it. A session
	// may end in between, so its revocation outlives tokens by that much, and a token that took longer is not handed out.
	margin = time.Minute
	// finishTimeout bounds the second half of an end when the caller has given up after the first.
	finishTimeout = 10 * time.Second
)

// ServiceConfig is what a Service is made of. All fields without a default are required.
type ServiceConfig struct {
	Store       Store
	Accounts    identity.Authenticator
	Tokens      Tokens
	MACKeys     MACKeys
	Revocations Revocations
	Mirror      Mirror
	ClientID    string           // of logins that name no client, as every token needs one; default "authd"
	Limits      Limits           // zero fields mean the defaults
	AccessTTL   time.Duration    // the longest life of an access token that Tokens issues; default 10 min
	Leeway      time.Duration    // how long verifiers accept a token beyond its "exp"; default 30 s
	Now         func() time.Time // default time.Now
	Rand        io.Reader        // of session ids; default crypto/rand
	Logger      *slog.Logger     // default: none
	// Ended hears of every session that ends, see [Observer]; default: nobody does.
	Ended Observer
}

// Service logs users in, refreshes their tokens and ends their sessions. Methods may be called concurrently.
//
// Methods that end sessions return nil only once the sessions' records have ended, the revocations are durable, and
// this process's mirror knows them. After an error that wraps [ErrUnavailable] the outcome is unknown: repeating the
// call completes what was begun.
type Service struct {
	store       Store
	accounts    identity.Authenticator
	tokens      Tokens
	macKeys     MACKeys
	revocations Revocations
	mirror      Mirror
	clientID    string
	limits      Limits
	accessTTL   time.Duration
	leeway      time.Duration
	now         func() time.Time
	rand        io.Reader
	log         *slog.Logger
	observer    Observer
}

// NewService checks the configuration and reports everything that is wrong with it at once.
func NewService(c ServiceConfig) (*Service, error) {
	s := &Service{
		store: c.Store, accounts: c.Accounts, tokens: c.Tokens, macKeys: c.MACKeys,
		revocations: c.Revocations, mirror: c.Mirror,
		clientID: cmp.Or(c.ClientID, "authd"), limits: c.Limits.WithDefaults(),
		accessTTL: cmp.Or(c.AccessTTL, token.DefaultTTL), leeway: cmp.Or(c.Leeway, token.DefaultLeeway),
		now: c.Now, rand: c.Rand, log: c.Logger, observer: c.Ended,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.observer == nil {
		s.observer = nobody{}
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("session service: %w", err)
	}
	return s, nil
}

func (s *Service) validate() error {
	var errs []error
	require := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New(problem))
		}
	}
	require(s.store != nil, "store: required")
	require(s.accounts != nil, "accounts: required")
	require(s.tokens != nil, "tokens: required")
	require(s.macKeys != nil, "MAC keys: required")
	require(s.revocations != nil, "revocations: required")
	require(s.mirror != nil, "mirror: required")
	require(s.accessTTL > 0, "access token life: must be positive")
	require(s.leeway >= 0, "leeway: must not be negative")
	return errors.Join(append(errs, checkClientID(s.clientID), s.limits.Validate(s.accessTTL))...)
}

// Grant is what a login or a refresh gives to the client.
type Grant struct {
	AccessToken  string
	ExpiresIn    time.Duration // of the access token
	RefreshToken string
	Session      Session
	Claims       token.Claims // of the access token
	Outcome      Outcome      // of the refresh; zero after a login
}

// grant makes the tokens for a session as the store holds it. began is a time before the store's last step.
func (s *Service) grant(
	ctx context.Context, n Session, a identity.Account, mac macKey, began time.Time, audience []string,
) (Grant, error) {
	claims := token.Claims{
		Subject: n.Subject, SessionID: n.ID.String(), ClientID: n.ClientID, Scope: n.Scope, Audience: audience,
		AMR: n.AMR, ACR: n.ACR, AuthTime: n.AuthTime, Roles: a.Roles, KeyThumbprint: n.KeyThumbprint,
	}
	if cutoff := s.notBefore(n.Subject, n.ClientID); cutoff > 0 {
		claims.IssuedAt = time.Unix(cutoff, 0) // or the cut-off of this very second would hit the new token
	}
	raw, issued, err := s.tokens.Issue(ctx, claims)
	switch {
	case errors.Is(err, token.ErrClaims): // the account has something that no token can say: trying again is no use
		return Grant{}, err
	case err != nil:
		return Grant{}, unavailable("issuing an access token", err)
	}
	now := s.now()
	if late := now.Sub(began); late > margin {
		return Grant{}, fmt.Errorf("issuing an access token: %w: took %v", ErrUnavailable, late)
	}
	refresh := newRefreshToken(mac.id, mac.key, n.ID, n.Chain.Generation, n.Subject)
	if n.KeyThumbprint != "" {
		thumbprint, err := parseThumbprint(n.KeyThumbprint)
		if err != nil {
			return Grant{}, fmt.Errorf("making a refresh token: %w", err)
		}
		refresh = refresh.boundTo(thumbprint, mac.key)
	}
	return Grant{
		AccessToken:  raw,
		ExpiresIn:    issued.ExpiresAt.Sub(now),
		RefreshToken: refresh.encode(),
		Session:      n,
		Claims:       issued,
	}, nil
}

// cutOff tells whether a cut-off came after the user authenticated.
func (s *Service) cutOff(n Session) bool {
	return s.notBefore(n.Subject, n.ClientID) > n.AuthTime.Unix()
}

func (s *Service) notBefore(subject, client string) int64 {
	return s.mirror.NotBefore(revocation.IDOf(revocation.Subject, subject), revocation.IDOf(revocation.Client, client))
}

// macKey is the key that a new refresh token is made with.
type macKey struct {
	id  uint32
	key []byte
}

func (s *Service) macKey(ctx context.Context) (macKey, error) {
	id, key, err := s.macKeys.MACKey(ctx)
	if err != nil {
		return macKey{}, unavailable("finding the MAC key", err)
	}
	return macKey{id, key}, nil
}

// unavailable marks an error of something that the service needs as one that says nothing about the request.
func unavailable(doing string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}
