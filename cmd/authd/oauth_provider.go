package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/oauth/backchannel"
	"github.com/authd-project/authd/oauth/backchannel/boltoutbox"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// openOAuthClients reads the clients and follows their file, and lets them hear of sessions that end: it returns the
// stores with those of the sessions watched.
func (a *app) openOAuthClients(ctx context.Context, issuer string, file *boltfile.File, st stores) (stores, error) {
	if a.cfg.OAuthClients == "" {
		return st, nil
	}
	var err error
	if a.oauthClients, err = openOAuthRegistry(a.cfg.OAuthClients, a.log); err != nil {
		return st, err
	}
	outbox, err := boltoutbox.Open(ctx, file)
	if err != nil {
		return st, err
	}
	sender, err := backchannel.NewSender(backchannel.Config{
		Sessions: st.sessions, Limits: a.cfg.sessionLimits(), Outbox: outbox, Tokens: logoutTokens{issuer, a.view},
		Clients: a.oauthClients, Around: a.tracedRequests("backchannel"), Log: a.log,
	})
	if err != nil {
		return st, err
	}
	if err := registerBackchannel(a.registry, sender, a.oauthClients.told); err != nil {
		return st, err
	}
	a.jobs = append(a.jobs, a.oauthClients.run, sender.Run)
	st.sessions = sender.Watch(st.sessions)
	return st, nil
}

// logoutTokens signs logout tokens with the keys of all tokens.
type logoutTokens struct {
	issuer string
	keys   token.SigningKeys
}

// LogoutToken implements [backchannel.Tokens].
func (l logoutTokens) LogoutToken(ctx context.Context, client, subject, sid string) (string, error) {
	claims := oauth.LogoutTokenFor(l.issuer, client, subject, sid, rand.Text(), time.Now())
	return token.LogoutTokens().Sign(ctx, l.keys, claims)
}

// oauthProvider is what the public listener needs to be an authorization server; nil where there are no clients.
func (a *app) oauthProvider(issuer string, sessions *session.Service) *httpapi.OAuth {
	if a.oauthClients == nil {
		return nil
	}
	return &httpapi.OAuth{
		Clients: a.oauthClients, Sessions: sessions, Keys: a.view, BackchannelLogout: true,
		AnyAudience: &anyAudience{clients: a.oauthClients, own: a.cfg.Audience, config: token.VerifierConfig{
			Issuer: issuer, Keys: a.view, Revocations: a.mirror, Leeway: a.cfg.Leeway,
		}},
	}
}

// anyAudience verifies tokens for every audience that some client's tokens may have, as their file says now.
type anyAudience struct {
	clients *oauthRegistry
	own     []string // of clients that have none of their own
	config  token.VerifierConfig
	current atomic.Pointer[audienceVerifier]
}

// audienceVerifier is the verifier for the audiences of these clients.
type audienceVerifier struct {
	*token.Verifier
	of *registered
}

func (v *anyAudience) verifier() (*audienceVerifier, error) {
	clients := v.clients.current.Load()
	if known := v.current.Load(); known != nil && known.of == clients {
		return known, nil
	}
	config := v.config
	config.Audience = slices.Concat(v.own, clients.audiences)
	made, err := token.NewVerifier(config)
	if err != nil {
		return nil, fmt.Errorf("verifying for the audiences of clients: %w", err)
	}
	next := &audienceVerifier{made, clients}
	v.current.Store(next) // another request may have made one too: either will do
	return next, nil
}

// Verify implements [httpapi.Verifier].
func (v *anyAudience) Verify(ctx context.Context, raw string) (*token.Claims, error) {
	verifier, err := v.verifier()
	if err != nil {
		return nil, err
	}
	return verifier.Verify(ctx, raw)
}

// VerifyWith implements [httpapi.Verifier].
func (v *anyAudience) VerifyWith(ctx context.Context, raw string, r revocation.Checker) (*token.Claims, error) {
	verifier, err := v.verifier()
	if err != nil {
		return nil, err
	}
	return verifier.VerifyWith(ctx, raw, r)
}

// VerifyBound implements [httpapi.Verifier].
func (v *anyAudience) VerifyBound(ctx context.Context, raw, thumbprint string, r revocation.Checker) (*token.Claims, error) {
	verifier, err := v.verifier()
	if err != nil {
		return nil, err
	}
	return verifier.VerifyBound(ctx, raw, thumbprint, r)
}

// VerifyUnproved implements [httpapi.Verifier].
func (v *anyAudience) VerifyUnproved(ctx context.Context, raw string, r revocation.Checker) (*token.Claims, error) {
	verifier, err := v.verifier()
	if err != nil {
		return nil, err
	}
	return verifier.VerifyUnproved(ctx, raw, r)
}
