package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/authd-project/authd/internal/seal"
	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/session"
)

// authorize answers an authorization request of the user's browser: with a code, if the user is logged in as the client
// wants it; with the login page, which leads back here, if not; with an error to the client, or to the user where it is not
// proven who asks. All redirects are 303 (RFC 9700 section 4.12).
func (p *public) authorize(x *exchange) error {
	form, a, err := p.readAuthorization(x.Request().URL.RawQuery)
	if err != nil {
		return p.failAuthorization(x, err)
	}
	who, err := p.browserLogin(x, a)
	if err != nil {
		return err
	}
	since, err := p.since(x, form)
	if err != nil {
		return err
	}
	var login *oauth.Login
	if who != nil {
		login = &oauth.Login{Time: who.Time, ACR: who.ACR}
	}
	need := a.Need(login, since, p.now())
	switch {
	case need == oauth.Nothing:
		return p.giveCode(x, a, who)
	case a.Silent && need == oauth.SecondFactor, need == oauth.Impossible:
		return p.failAuthorization(x, backTo(a, oauth.UnmetRequirements, "the user has not reached the level that was asked for"))
	case a.Silent:
		return p.failAuthorization(x, backTo(a, oauth.LoginRequired, "the user is not logged in as wanted"))
	}
	return p.sendToLogin(x, form, a, who != nil && need == oauth.Authentication)
}

// authorizeByForm makes a link of a form that another site sent (OpenID Connect Core section 3.1.2.1 wants both): forms come
// without our cookies, links with them.
func (p *public) authorizeByForm(x *exchange) error {
	body, err := readBody(x, "application/x-www-form-urlencoded")
	if err != nil {
		return err
	}
	form, _, err := p.readAuthorization(string(body))
	if err != nil {
		return p.failAuthorization(x, err)
	}
	return redirect(x, pathAuthorize, form.values)
}

// authorizationForm is an authorization request as it came.
type authorizationForm struct {
	oauth.Form
	values url.Values
}

func (p *public) readAuthorization(encoded string) (authorizationForm, *oauth.Authorization, error) {
	form, err := oauth.ParseForm(encoded)
	if err != nil {
		return authorizationForm{}, nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "the request " + err.Error()}
	}
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return authorizationForm{}, nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "the request is not well encoded"}
	}
	a, err := oauth.ParseAuthorization(form, p.provider.Clients)
	return authorizationForm{form, values}, a, err
}

func backTo(a *oauth.Authorization, code, description string) error {
	target := a.Target()
	return &oauth.Error{Code: code, Description: description, To: &target}
}

// failAuthorization tells the client of an error, or the user where that is not safe.
func (p *public) failAuthorization(x *exchange, err error) error {
	var e *oauth.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.To == nil {
		return &refusal{
			status: http.StatusBadRequest, code: codeBadRequest, cause: err,
			detail: "The application that sent you here made a mistake, of which it must be told: " + e.Description + ".",
		}
	}
	x.err = err
	return p.sendAway(x, e.To.Location(p.cfg.Issuer, e))
}

// sendAway sends the browser to a client, which need not learn what our address said.
func (p *public) sendAway(x *exchange, location string) error {
	x.header().Set("Referrer-Policy", "no-referrer")
	return x.Redirect(http.StatusSeeOther, location)
}

// browserLogin is the user of the browser's session.
type browserLogin struct {
	session.Authentication
	session session.ID
}

// browserLogin returns nil when nobody is logged in, or only so that it does not count for this client.
func (p *public) browserLogin(x *exchange, a *oauth.Authorization) (*browserLogin, error) {
	claims, err := p.browserSession(x)
	if errors.Is(err, errNoSession) {
		return nil, nil //nolint:nilnil // nobody is an answer
	}
	if err != nil {
		return nil, err
	}
	id, err := session.ParseID(claims.SessionID)
	if err != nil { // a token that belongs to no session is nobody's at a browser
		return nil, nil //nolint:nilnil,nilerr // see above
	}
	who, n, err := p.provider.Sessions.Resume(x.ctx(), id, a.Client.ID)
	switch {
	case errors.Is(err, session.ErrInvalidGrant), errors.Is(err, session.ErrStale):
		return nil, nil //nolint:nilnil // they must log in again
	case err != nil:
		return nil, err
	case who.Account.Subject != claims.Subject: // the store says another's than the token, which the store could not make
		return nil, nil //nolint:nilnil // nobody whom it could be
	case n.Parent != (session.ID{}): // a client's own session, whose token somebody has put into our cookie
		return nil, nil //nolint:nilnil // see above
	}
	if hint, err := p.hint(x, a.Hint); err == nil && hint.Subject != who.Account.Subject {
		return nil, nil //nolint:nilnil // the client means somebody else
	}
	return &browserLogin{who, id}, nil
}

func (p *public) giveCode(x *exchange, a *oauth.Authorization, browser *browserLogin) error {
	var id session.ID
	rand.Read(id[:]) // never fails
	code, err := p.provider.codes.Seal(x.ctx(), oauth.CodeOf(a, id.String(), browser.session.String(), browser.Account.Subject), oauth.CodeLife)
	if err != nil {
		return codesUnavailable(err)
	}
	return p.sendAway(x, a.Answers(p.cfg.Issuer, code))
}

// codesUnavailable tells that the keys of codes are not at hand.
func codesUnavailable(err error) error {
	r := unavailable("The keys are not at hand.")
	r.cause = err
	return &r
}

// sinceParameter is our own addition to an authorization request that was sent by way of the login page: when that was,
// sealed. Without it a request for a new authentication would be one again each time it comes back.
const sinceParameter = "authd_since"

// sinceLife bounds how long a login may take.
const sinceLife = time.Hour

// sinceMark is what the parameter says.
type sinceMark struct {
	Since   int64  `json:"t"` // Unix seconds
	Request string `json:"r"` // digest of the request it belongs to
}

func requestDigest(values url.Values) string {
	sum := sha256.Sum256([]byte(values.Encode()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// since returns when this request was sent to the login page; zero if it was not.
func (p *public) since(x *exchange, form authorizationForm) (time.Time, error) {
	text := form.Get(sinceParameter)
	form.values.Del(sinceParameter)
	if text == "" {
		return time.Time{}, nil
	}
	var mark sinceMark
	switch err := p.provider.returns.Open(x.ctx(), text, &mark); {
	case errors.Is(err, seal.ErrInvalid):
		return time.Time{}, nil // an old or made-up one counts for nothing
	case err != nil:
		return time.Time{}, codesUnavailable(err)
	case mark.Request != requestDigest(form.values):
		return time.Time{}, nil
	}
	return time.Unix(mark.Since, 0), nil
}

// sendToLogin sends the browser to the login page, which leads back with the same request.
func (p *public) sendToLogin(x *exchange, form authorizationForm, a *oauth.Authorization, again bool) error {
	mark, err := p.provider.returns.Seal(x.ctx(), sinceMark{p.now().Unix(), requestDigest(form.values)}, sinceLife)
	if err != nil {
		return codesUnavailable(err)
	}
	form.values.Set(sinceParameter, mark)
	back := pathAuthorize + "?" + form.values.Encode()
	if len(back) > maxReturnPath {
		return p.failAuthorization(x, backTo(a, oauth.InvalidRequest, "the request is too long"))
	}
	return redirect(x, pathLogin, loginPurpose{returnTo: back, reauth: again, acr: a.ACR}.query())
}
