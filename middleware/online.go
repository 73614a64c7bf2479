package middleware

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// verifyPath is where authd answers whether it accepts a bearer token.
const verifyPath = "/v1/verify"

// inquirer verifies single tokens with a question to somebody who knows more than the guard's replica.
type inquirer interface {
	verify(ctx context.Context, cred credential) (*token.Claims, error)
	close()
}

// online asks the issuer.
type online struct {
	verifier *token.Verifier
	known    revocation.Checker // what need not be asked
	url      string
	client   *http.Client
	own      *http.Transport // nil when lent
}

func newOnline(issuer string, opts Options, v *token.Verifier, known revocation.Checker) *online {
	o := &online{verifier: v, known: known, url: strings.TrimSuffix(issuer, "/") + verifyPath}
	o.client, o.own = newClient(opts.Client, opts.OnlineTimeout)
	return o
}

func (o *online) close() {
	if o.own != nil {
		o.own.CloseIdleConnections()
	}
}

// verify checks what can be checked here, and then asks: the issuer is bothered with good tokens only.
func (o *online) verify(ctx context.Context, cred credential) (*token.Claims, error) {
	c, err := cred.verify(ctx, o.verifier, o.known)
	if err != nil {
		return nil, err
	}
	if cred.proof != nil { // it takes no bound token without a proof, and the proof is about another request
		return nil, fmt.Errorf("%w: the issuer cannot be asked about a bound token", token.ErrUnavailable)
	}
	if err := o.ask(ctx, cred.raw, c); err != nil {
		return nil, err
	}
	return c, nil
}

// ask returns nil if the issuer accepts the token, an error that wraps token.ErrRevoked if it refuses it (all else was
// checked here), and one that wraps token.ErrUnavailable if it says neither. Both answers must be authd's own words: a
// page that some gateway answers with status 200 or 401 is neither.
func (o *online) ask(ctx context.Context, raw string, c *token.Claims) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url, nil) //nolint:gosec // the program names the issuer
	if err != nil {
		return fmt.Errorf("%w: asking the issuer: %w", token.ErrUnavailable, err)
	}
	req.Header.Set("Authorization", "Bearer "+raw)
	req.Header.Set("Cache-Control", "no-cache")
	resp, err := o.client.Do(req) //nolint:gosec // likewise
	if err != nil {
		return fmt.Errorf("%w: asking the issuer: %w", token.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection is used again; what it says does not matter

	session, named := resp.Header["X-Auth-Session"]
	switch {
	case resp.StatusCode == http.StatusOK && named && session[0] == c.SessionID:
		return nil
	case resp.StatusCode == http.StatusUnauthorized &&
		strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`):
		return fmt.Errorf("%w: by the issuer's word", token.ErrRevoked)
	}
	return fmt.Errorf("%w: the issuer answered status %d, and not about this token", token.ErrUnavailable, resp.StatusCode)
}

// hits lets a replica of any age deny, and leaves what it does not know to somebody else.
type hits struct{ of revocation.Checker }

func (h hits) Check(ctx context.Context, c revocation.Claims) error {
	if err := h.of.Check(ctx, c); isRevoked(err) {
		return err
	}
	return nil
}

// direct asks Options.Redis.
type direct struct {
	verifier *token.Verifier
	checker  revocation.Checker
	timeout  time.Duration
}

func (d direct) verify(ctx context.Context, cred credential) (*token.Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return cred.verify(ctx, d.verifier, d.checker)
}

func (direct) close() {}

// hitsFirst lets a replica of any age deny, and asks about what it does not know.
type hitsFirst struct{ replica, then revocation.Checker }

func (h hitsFirst) Check(ctx context.Context, c revocation.Claims) error {
	if err := h.replica.Check(ctx, c); isRevoked(err) {
		return err
	}
	return h.then.Check(ctx, c)
}
