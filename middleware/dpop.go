package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// DPoPOptions say how a guard checks the proofs that come with tokens bound to a key (RFC 9449). The zero value will do
// where clients reach the service itself and not through a proxy that changes the URL or the Host header.
type DPoPOptions struct {
	// URL is the address by which clients know the service, up to where the paths of its requests begin:
	// "https://api.example.com". Proofs must name it. By default it is made of the request's Host header and of whether it
	// came over TLS; then a proof that was made for another host can be used here by whoever sends that host's name along.
	URL string
	// MaxAge is how long a proof is good. Whole seconds; default 1 min.
	MaxAge time.Duration
	// Replays remembers used proofs. By default each guard does so itself, in up to 32 MiB; several processes of one service
	// can share a store, such as package dpop/redisreplay.
	Replays dpop.Replays
	// Nonces, if set, must be in each proof; clients learn them from the header DPoP-Nonce of answers.
	Nonces *dpop.Nonces
}

// Bound requires a token that is bound to a key, with a proof of that key. Bearer tokens are answered 401. Without it a
// route takes both kinds, each in its own way only.
func Bound() Option { return func(rt *Route) { rt.bound = true } }

func (o *DPoPOptions) validate() error {
	if o.URL == "" {
		return nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("DPoP.URL %q: must be an http or https URL without query and fragment", o.URL)
	}
	return nil
}

// newProofs makes what checks proofs.
func newProofs(opts Options) (*dpop.Verifier, error) {
	replays := opts.DPoP.Replays
	if replays == nil {
		replays = dpop.NewMemory(0, opts.Now)
	}
	return dpop.NewVerifier(dpop.VerifierConfig{
		Policy: dpop.Policy{MaxAge: opts.DPoP.MaxAge}, Replays: replays, Nonces: opts.DPoP.Nonces, Now: opts.Now,
	})
}

// credential is what a request shows: a token, and the proof that came with it, nil for a bearer token.
type credential struct {
	raw   string
	proof *dpop.Proof
}

// byProof marks the refusal of a request that came with the DPoP scheme, which is challenged by that scheme.
type byProof struct{ error }

func (e byProof) Unwrap() error { return e.error }

// errBoundOnly refuses a bearer token where there must be a bound one.
var errBoundOnly = fmt.Errorf("%w, as the route wants", token.ErrNotBound)

// dpopToken returns the token of an Authorization header of the DPoP scheme (RFC 9449 section 7.1). What is wrong with such
// headers otherwise is for bearer to say.
func dpopToken(values []string) (raw string, ok bool) {
	if len(values) != 1 {
		return "", false
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	raw = strings.TrimLeft(raw, " ")
	return raw, strings.EqualFold(scheme, "DPoP") && raw != ""
}

// authorizeProved decides about a request whose token is said to be bound.
func (rt *Route) authorizeProved(ctx context.Context, r *http.Request, raw string) (*token.Claims, error) {
	cred := credential{raw: raw}
	header, err := dpop.FromHeader(r.Header)
	if err == nil {
		cred.proof, err = rt.guard.proofs.Check(ctx, header, dpop.Request{
			Method: r.Method, URL: rt.guard.urlOf(r), AccessToken: raw,
		})
	}
	c, err := rt.decide(ctx, cred, err)
	if err != nil {
		return nil, byProof{err}
	}
	return c, nil
}

// urlOf returns the URL of a request as the client knows it. The path is the one that was sent, whatever a router has cut
// off since.
func (g *Guard) urlOf(r *http.Request) string {
	path := r.URL.EscapedPath()
	if sent, err := url.ParseRequestURI(r.RequestURI); err == nil {
		path = sent.EscapedPath()
	}
	if base := g.opts.DPoP.URL; base != "" {
		return strings.TrimSuffix(base, "/") + path
	}
	if r.TLS != nil {
		return "https://" + r.Host + path
	}
	return "http://" + r.Host + path
}

// settle compares a good token with what the route wants of it, and uses up its proof. It is the last that can be said of
// the token, so that nobody without a good one can use up memory.
func (rt *Route) settle(ctx context.Context, cred credential) error {
	switch {
	case cred.proof != nil:
		return rt.guard.proofs.Spend(ctx, cred.proof)
	case rt.bound:
		return errBoundOnly
	}
	return nil
}

// verify decides about a token in the way in which it came.
func (c credential) verify(ctx context.Context, v *token.Verifier, r revocation.Checker) (*token.Claims, error) {
	if c.proof == nil {
		return v.VerifyWith(ctx, c.raw, r)
	}
	return v.VerifyBound(ctx, c.raw, c.proof.Thumbprint, r)
}

// dpopChallenge is the challenge of the scheme (RFC 9449 section 7.1), with or without an error before algs.
func (g *Guard) dpopChallenge(params string) string {
	return "DPoP realm=" + quoted(g.opts.Audience) + params + `, algs="` + strings.Join(g.proofs.Algorithms(), " ") + `"`
}

// byScheme puts a challenge in the terms of the scheme that err is about, or that the route wants. Who showed a bound token as a bearer
// token learns both what was wrong and what would be right.
func (rt *Route) byScheme(err error, challenge string) string {
	params, ok := strings.CutPrefix(challenge, rt.guard.challenge)
	switch {
	case !ok:
		return challenge
	case errors.As(err, new(byProof)), rt.bound:
		return rt.guard.dpopChallenge(params)
	case errors.Is(err, token.ErrBound):
		return challenge + ", " + rt.guard.dpopChallenge("")
	}
	return challenge
}

// addNonce tells a client that uses DPoP the nonce for its next proof, where there are nonces. A key that is not at hand
// shows when the next proof is checked.
func (g *Guard) addNonce(ctx context.Context, h http.Header) {
	if nonce, err := g.proofs.Nonce(ctx); err == nil && nonce != "" {
		h.Set("DPoP-Nonce", nonce)
	}
}
