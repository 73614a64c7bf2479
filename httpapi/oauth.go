package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Client is a service that may introspect and revoke tokens.
type Client struct {
	ID string
	// SecretSHA256 is the digest of the client's secret. A plain digest is enough for a secret of 128 random bits or
	// more, and only such a secret may be used.
	SecretSHA256 [sha256.Size]byte
}

// refreshTokenPrefix tells refresh tokens from access tokens.
const refreshTokenPrefix = "authd_rt_"

// oauthErrorBody is an error by RFC 6749 section 5.2.
type oauthErrorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func oauthError(r *refusal) oauthErrorBody {
	code := "invalid_request"
	switch {
	case r.oauth != "":
		code = r.oauth
	case r.code == codeInvalidProof, r.code == codeUseNonce:
		code = r.code
	case r.status == http.StatusUnauthorized:
		code = "invalid_client"
	case r.status == http.StatusServiceUnavailable, r.status == http.StatusTooManyRequests:
		code = "temporarily_unavailable"
	case r.status >= http.StatusInternalServerError:
		code = "server_error"
	}
	return oauthErrorBody{Error: code, Description: r.detail}
}

// authenticateClient checks the client's credentials.
func (p *public) authenticateClient(x *exchange) error {
	id := p.clientID(x)
	if id == "" {
		return &refusal{
			status: http.StatusUnauthorized, code: codeInvalidCredentials,
			challenge: basicChallenge, detail: "Client credentials are required.",
		}
	}
	x.actsAs(audit.Client, id)
	return nil
}

// clientID returns the client whose credentials the request has (RFC 6749 section 2.3.1: HTTP Basic, each part
// form-encoded), or "". An unknown client and a wrong secret cost the same. Failures need not be limited as those of
// passwords are: secrets have 128 random bits.
func (p *public) clientID(x *exchange) string {
	id, secret, ok := x.Request().BasicAuth()
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	got := sha256.Sum256([]byte(secret))
	want, known := p.clients[id]
	same := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	if !ok || idErr != nil || secretErr != nil || !known || !same {
		return ""
	}
	return id
}

// limitedClient returns the client whose credentials the request has as HTTP Basic, of either kind, or "".
func (p *public) limitedClient(x *exchange) string {
	if id := p.clientID(x); id != "" || p.provider == nil {
		return id
	}
	id, secret, ok := basicCredentials(x.Request())
	if client := p.provider.Clients.Client(id); ok && client != nil && client.HasSecret(secret) {
		return id
	}
	return ""
}

// readTokenForm reads the form of RFC 7662 section 2.1 and RFC 7009 section 2.1. The hint is of no use here: refresh
// tokens have a prefix. Parameters we do not know are ignored (RFC 6749 section 3.1); repeated ones are refused.
func readTokenForm(x *exchange) (raw string, err error) {
	body, err := readBody(x, "application/x-www-form-urlencoded")
	if err != nil {
		return "", err
	}
	var tokens, hints int
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, err := formPair(pair)
		if err != nil {
			return "", badRequest("The body is not a form.")
		}
		switch name {
		case "token":
			raw, tokens = value, tokens+1
		case "token_type_hint":
			hints++
		}
	}
	if tokens > 1 {
		return "", badFields(fieldError{Field: "token", Detail: "given twice"})
	}
	if hints > 1 {
		return "", badFields(fieldError{Field: "token_type_hint", Detail: "given twice"})
	}
	if raw == "" {
		return "", badFields(fieldError{Field: "token", Detail: "missing"})
	}
	return raw, nil
}

// formPair reads one NAME=VALUE as [url.ParseQuery] does. A form is small and its token long, so a map of all pairs and a
// second look at each byte would be most of the work.
func formPair(pair string) (name, value string, err error) {
	if strings.IndexByte(pair, ';') >= 0 {
		return "", "", errors.New("a semicolon in a form")
	}
	name, value, _ = strings.Cut(pair, "=")
	if strings.IndexByte(pair, '%') < 0 && strings.IndexByte(pair, '+') < 0 {
		return name, value, nil
	}
	if name, err = url.QueryUnescape(name); err != nil {
		return "", "", err
	}
	value, err = url.QueryUnescape(value)
	return name, value, err
}

// introspection is the answer of RFC 7662 section 2.2.
type introspection struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type,omitempty"`
	TokenUse  string   `json:"token_use,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Username  string   `json:"username,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"` // this and the others in Unix seconds
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ID        string   `json:"jti,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	Roles     []string `json:"roles,omitempty"`

	Confirmation *confirmation `json:"cnf,omitempty"`
	Actor        *token.Actor  `json:"act,omitempty"`
}

// anyAudience judges tokens about which others ask, which may be meant for those others.
func (p *public) anyAudience() Verifier {
	if p.provider == nil {
		return p.cfg.Verifier
	}
	return p.provider.AnyAudience
}

// confirmation names the key that a token is bound to (RFC 9449 section 6.2). Who asks must check the proof.
type confirmation struct {
	KeyThumbprint string `json:"jkt"`
}

// bind completes the answer about a token of a session that is bound to a key.
func (i *introspection) bind(thumbprint string) {
	if thumbprint == "" {
		return
	}
	i.Confirmation = &confirmation{thumbprint}
	if i.TokenType != "" {
		i.TokenType = "DPoP"
	}
}

func (p *public) introspect(x *exchange) error {
	if err := p.authenticateClient(x); err != nil {
		return err
	}
	raw, err := readTokenForm(x)
	if err != nil {
		return err
	}
	var answer introspection
	if strings.HasPrefix(raw, refreshTokenPrefix) {
		answer, err = p.introspectRefresh(x.ctx(), raw)
	} else {
		answer, err = p.introspectAccess(x.ctx(), raw)
	}
	if err != nil {
		return err
	}
	x.subject, x.session = answer.Subject, answer.SessionID
	return x.JSON(http.StatusOK, answer)
}

func (p *public) introspectAccess(ctx context.Context, raw string) (introspection, error) {
	c, err := p.anyAudience().VerifyUnproved(ctx, raw, nil)
	p.metrics.verifications.count(err)
	if errors.Is(err, token.ErrInvalid) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	answer := introspection{
		Active: true, TokenType: "Bearer", TokenUse: "access_token",
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience,
		ExpiresAt: c.ExpiresAt.Unix(), IssuedAt: c.IssuedAt.Unix(),
		NotBefore: unixOrZero(c.NotBefore), AuthTime: unixOrZero(c.AuthTime),
		ID: c.ID, SessionID: c.SessionID, ClientID: c.ClientID, Scope: c.Scope, ACR: c.ACR, AMR: c.AMR, Roles: c.Roles,
		Actor: c.Actor,
	}
	answer.bind(c.KeyThumbprint)
	return answer, nil
}

func (p *public) introspectRefresh(ctx context.Context, raw string) (introspection, error) {
	s, expires, err := p.cfg.Sessions.InspectRefreshToken(ctx, raw)
	if errors.Is(err, session.ErrInvalidGrant) || errors.Is(err, session.ErrNotFound) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	answer := introspection{
		Active: true, TokenUse: "refresh_token", Issuer: p.cfg.Issuer,
		Subject: s.Subject, Username: s.Username, ExpiresAt: expires.Unix(), IssuedAt: s.LastUsedAt.Unix(),
		AuthTime: s.AuthTime.Unix(), SessionID: s.ID.String(), ClientID: s.ClientID, Scope: s.Scope, ACR: s.ACR, AMR: s.AMR,
	}
	answer.bind(s.KeyThumbprint)
	return answer, nil
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// revoke ends what the token names. What is not valid anyway counts as revoked (RFC 7009 section 2.2).
func (p *public) revoke(x *exchange) error {
	by, raw, err := p.readRevocation(x)
	if err != nil {
		return err
	}
	if strings.HasPrefix(raw, refreshTokenPrefix) {
		err = p.revokeRefresh(x, by, raw)
	} else {
		err = p.revokeAccess(x, by, raw)
	}
	if err != nil {
		return err
	}
	x.Response().WriteHeader(http.StatusOK)
	return nil
}

func (p *public) revokeAccess(x *exchange, by revoker, raw string) error {
	c, err := p.anyAudience().VerifyUnproved(x.ctx(), raw, anyRevocation{})
	if errors.Is(err, token.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	x.subject, x.session = c.Subject, c.SessionID
	if err := by.may(c.ClientID); err != nil {
		return err
	}
	entry := revocation.Entry{
		Kind: revocation.Token, ID: revocation.IDOf(revocation.Token, c.ID), Expires: c.ExpiresAt.Add(entryMargin).Unix(),
	}
	if err := p.cfg.Revocations.Add(x.ctx(), entry); err != nil {
		return err
	}
	p.cfg.Mirror.Merge(entry)
	x.happens(audit.TokenRevoked)
	x.note("jti", c.ID)
	return nil
}

// entryMargin is how long a revocation outlives the last token it can hit, for the leeway of verifiers (30 s at most)
// and the difference of clocks.
const entryMargin = 2 * time.Minute
