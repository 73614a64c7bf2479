package tracing

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Tokens returns the issuer with a span for each token that it signs.
func (t *Tracer) Tokens(issuer session.Tokens) session.Tokens { return tokens{t, issuer} }

type tokens struct {
	t      *Tracer
	issuer session.Tokens
}

// Issue implements [session.Tokens].
func (i tokens) Issue(ctx context.Context, c token.Claims) (string, token.Claims, error) {
	ctx, span := i.t.child(ctx, spanSign)
	raw, issued, err := i.issuer.Issue(ctx, c)
	if err == nil && span.IsRecording() {
		span.SetAttributes(attr(KeyID, kidOf(raw)))
	}
	end(span, err)
	return raw, issued, err
}

// kidOf returns which key signed a token of our own.
func kidOf(raw string) string {
	var header struct {
		KeyID string `json:"kid"`
	}
	encoded, _, _ := strings.Cut(raw, ".")
	if text, err := base64.RawURLEncoding.DecodeString(encoded); err == nil {
		_ = json.Unmarshal(text, &header) // none then
	}
	return header.KeyID
}

// verifier is the part of [token.Verifier] that the public listener uses.
type verifier interface {
	Verify(ctx context.Context, raw string) (*token.Claims, error)
	VerifyWith(ctx context.Context, raw string, revocations revocation.Checker) (*token.Claims, error)
	VerifyBound(ctx context.Context, raw, thumbprint string, revocations revocation.Checker) (*token.Claims, error)
	VerifyUnproved(ctx context.Context, raw string, revocations revocation.Checker) (*token.Claims, error)
}

// Verifier returns the verifier with a span for each token.
func (t *Tracer) Verifier(v verifier) *Verifier { return &Verifier{t, v} }

// Verifier is a verifier of tokens that can be seen in traces.
type Verifier struct {
	t *Tracer
	v verifier
}

// Verify verifies a token; see [token.Verifier].
func (v *Verifier) Verify(ctx context.Context, raw string) (*token.Claims, error) {
	ctx, span := v.t.child(ctx, spanVerify)
	claims, err := v.v.Verify(ctx, raw)
	end(span, err)
	return claims, err
}

// VerifyWith verifies a token; see [token.Verifier].
func (v *Verifier) VerifyWith(ctx context.Context, raw string, revocations revocation.Checker) (*token.Claims, error) {
	ctx, span := v.t.child(ctx, spanVerify)
	claims, err := v.v.VerifyWith(ctx, raw, revocations)
	end(span, err)
	return claims, err
}

// VerifyBound verifies a token; see [token.Verifier].
func (v *Verifier) VerifyBound(ctx context.Context, raw, thumbprint string, revocations revocation.Checker) (*token.Claims, error) {
	ctx, span := v.t.child(ctx, spanVerify)
	claims, err := v.v.VerifyBound(ctx, raw, thumbprint, revocations)
	end(span, err)
	return claims, err
}

// VerifyUnproved verifies a token; see [token.Verifier].
func (v *Verifier) VerifyUnproved(ctx context.Context, raw string, revocations revocation.Checker) (*token.Claims, error) {
	ctx, span := v.t.child(ctx, spanVerify)
	claims, err := v.v.VerifyUnproved(ctx, raw, revocations)
	end(span, err)
	return claims, err
}
