package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// dpopChallenge is a WWW-Authenticate value by RFC 9449 section 7.1; without an error when code is "".
func dpopChallenge(code, description string) string {
	return asDPoP(challenge(code, description))
}

// asDPoP turns a challenge of the Bearer scheme into one of the DPoP scheme.
func asDPoP(bearer string) string {
	return "DPoP" + strings.TrimPrefix(bearer, "Bearer") + `, algs="` + strings.Join(dpop.Algorithms(), " ") + `"`
}

// boundAsBearer answers who shows a bound token as a bearer token: what was wrong, and what would be right.
func boundAsBearer() refusal {
	r := invalidToken("The access token is bound to a key and no bearer token.")
	r.challenge += ", " + dpopChallenge("", "")
	return r
}

func invalidBoundToken(detail string) refusal {
	r := invalidToken(detail)
	r.challenge = asDPoP(r.challenge)
	return r
}

// badProof answers a request for a resource with a proof that is not good.
func badProof(code string, err error) refusal {
	detail := dpop.Explain(err)
	return refusal{status: http.StatusUnauthorized, code: code, detail: detail, challenge: dpopChallenge(code, detail)}
}

// grantError is how a login and a refresh answer what is wrong with a proof: as an authorization server (RFC 9449 section
// 5), not as a resource.
func grantError(err error) error {
	refuse := func(code, detail string) error {
		return &refusal{status: http.StatusBadRequest, code: code, detail: detail, cause: err}
	}
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return refuse(codeUseNonce, dpop.Explain(err))
	case errors.Is(err, dpop.ErrInvalid):
		return refuse(codeInvalidProof, dpop.Explain(err))
	case errors.Is(err, session.ErrProof):
		return refuse(codeInvalidProof, "The refresh token wants a DPoP proof of the key that it is bound to, and none if it is bound to none.")
	}
	return err
}

// request is what a proof of this request must be about. Its URL is made of the issuer, by which clients know this listener
// whatever proxies are before it.
func (p *public) proofRequest(x *exchange, accessToken string) dpop.Request {
	r := x.Request()
	return dpop.Request{
		Method: r.Method, URL: strings.TrimSuffix(p.cfg.Issuer, "/") + r.URL.EscapedPath(), AccessToken: accessToken,
	}
}

// checkProof checks the request's proof, and tells the client the next nonce, if it must have one.
func (p *public) checkProof(x *exchange, accessToken string) (*dpop.Proof, error) {
	nonce, err := p.cfg.DPoP.Nonce(x.ctx())
	if err != nil {
		return nil, err
	}
	if nonce != "" {
		x.header().Set("DPoP-Nonce", nonce)
	}
	raw, err := dpop.FromHeader(x.Request().Header)
	if err != nil {
		return nil, err
	}
	return p.cfg.DPoP.Check(x.ctx(), raw, p.proofRequest(x, accessToken))
}

// loginProof is sessionProof for a login whose tokens may be wanted in cookies: a page could not hash one that it cannot read.
func (p *public) loginProof(x *exchange, cookies bool) (*session.Proof, error) {
	proof, err := p.sessionProof(x)
	if err == nil && proof != nil && cookies {
		return nil, badFields(fieldError{Field: "cookie", Detail: "tokens that are bound to a key do not travel in cookies"})
	}
	return proof, err
}

// sessionProof returns the proof that came with a login or a refresh, nil if there is none.
func (p *public) sessionProof(x *exchange) (*session.Proof, error) {
	if len(x.Request().Header["Dpop"]) == 0 {
		return nil, nil
	}
	proof, err := p.checkProof(x, "")
	if err != nil {
		return nil, grantError(err)
	}
	return &session.Proof{
		Thumbprint: proof.Thumbprint,
		Spend:      func(ctx context.Context) error { return p.cfg.DPoP.Spend(ctx, proof) },
	}, nil
}

// dpopToken returns the token of an Authorization header of the DPoP scheme. Guards have seen to it that there is one such
// header at most.
func dpopToken(r *http.Request) (raw string, ok bool) {
	scheme, raw, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	raw = strings.TrimLeft(raw, " ")
	return raw, strings.EqualFold(scheme, "DPoP") && raw != ""
}

// verifyProved verifies a token together with the proof that came with it.
func (p *public) verifyProved(x *exchange, raw string, revocations revocation.Checker) (*token.Claims, error) {
	claims, err := p.provedClaims(x, raw, revocations)
	if err == nil {
		return claims, nil
	}
	r := *answerTo(err)
	r.cause = err
	if strings.HasPrefix(r.challenge, "Bearer") {
		r.challenge = asDPoP(r.challenge)
	}
	return nil, &r
}

func (p *public) provedClaims(x *exchange, raw string, revocations revocation.Checker) (*token.Claims, error) {
	proof, err := p.checkProof(x, raw)
	if err != nil {
		return nil, err
	}
	claims, err := p.cfg.Verifier.VerifyBound(x.ctx(), raw, proof.Thumbprint, revocations)
	if err != nil {
		return nil, err
	}
	return claims, p.cfg.DPoP.Spend(x.ctx(), proof)
}

// errBoundByProxy refuses a bound token in forward authentication: its proof is about the request that the proxy got, whose
// URL only the proxy knows, and headers that would tell it come from clients as well.
func errBoundByProxy() error {
	r := invalidToken("Access tokens that are bound to a key are not accepted by way of this proxy.")
	r.cause = token.ErrBound
	return &r
}
