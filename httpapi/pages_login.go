package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// loginPurpose is what a login is wanted for, as the page's query and then its form say.
type loginPurpose struct {
	returnTo string // where to go afterwards; checked by returnPath
	reauth   bool   // the password is asked for although there is a session
	acr      string // the least level that is wanted, e.g. "aal2"
}

// loginPage shows the form, or goes on at once for a browser that has what is wanted.
func (p *public) loginPage(x *exchange) error {
	purpose := p.purpose(x.QueryParam("return_to"), x.QueryParam("reauth"), x.QueryParam("acr"))
	if then, ok := strings.CutPrefix(x.Request().URL.RawQuery, "then="); ok { // of proxies that cannot encode: all of it, as it is
		purpose.returnTo = p.returnPath(then)
	}
	claims, err := p.browserSession(x)
	switch {
	case err != nil && !errors.Is(err, errNoSession):
		return err
	case err == nil && purpose.metBy(claims):
		return redirect(x, purpose.returnTo, nil)
	}
	username := ""
	if err == nil {
		if username, err = p.username(x, claims.Subject); err != nil {
			return err
		}
	}
	return p.showLogin(x, http.StatusOK, purpose, username, nil)
}

func (p *public) purpose(returnTo, reauth, acr string) loginPurpose {
	if acr != acrTwoFactors {
		acr = ""
	}
	return loginPurpose{returnTo: p.returnPath(returnTo), reauth: reauth == "1", acr: acr}
}

// acrTwoFactors is the level of a login with two factors, or with a passkey that verified its user.
const acrTwoFactors = "aal2"

// metBy tells whether a session is all that is wanted.
func (w loginPurpose) metBy(claims *token.Claims) bool {
	return !w.reauth && (w.acr == "" || claims.ACR == w.acr)
}

// query leads to the login page for this purpose.
func (w loginPurpose) query() url.Values {
	q := url.Values{"return_to": {w.returnTo}}
	if w.reauth {
		q.Set("reauth", "1")
	}
	if w.acr != "" {
		q.Set("acr", w.acr)
	}
	return q
}

// loginData is what templates/login.html shows.
type loginData struct {
	Done, Error, Why   string
	Username, Password web.Field
	Passkey            *passkeyData
	ReturnTo, ACR      string
	Reauth             bool
}

// loginDone are the texts after something was done, by what the query names.
func loginDone() map[string]string {
	return map[string]string{
		"logout":   "You are signed out.",
		"password": "Your password is changed, and all your sessions have ended. Sign in with the new one.",
	}
}

// showLogin shows the form, with what was wrong the last time if r is not nil.
func (p *public) showLogin(x *exchange, status int, purpose loginPurpose, username string, r *refusal) error {
	page := web.Page{Name: "login", Title: "Sign in"}
	data := loginData{
		Username: web.Field{Name: "username", Label: "Username", Value: username, Autocomplete: "username", Focus: username == "" && r == nil},
		Password: web.Field{
			Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password", Focus: username != "" && r == nil,
		},
		ReturnTo: purpose.returnTo, ACR: purpose.acr, Reauth: purpose.reauth,
	}
	if purpose.reauth {
		page.Title, data.Why = "Confirm that it is you", "Sign in once more before you go on."
	}
	if r != nil {
		page.Title, data.Error = "Error: "+page.Title, r.detail+r.whenAgain()
	} else {
		data.Done = loginDone()[x.QueryParam("done")]
	}
	if data.Passkey = p.passkeyOffer(x, purpose.returnTo); data.Passkey != nil {
		page.Scripts = []string{passkeyScript}
	}
	page.Data = data
	return p.show(x, status, page)
}

// loginForm is POST /v1/login for people: the same limits, checks and counters, and a session in cookies.
func (p *public) loginForm(x *exchange) error {
	var username, password, returnTo, reauth, acr string
	err := readForm(x,
		formField{"username", &username, maxUsername}, formField{"password", &password, maxPassword},
		formField{"return_to", &returnTo, maxBody}, formField{"reauth", &reauth, 1}, formField{"acr", &acr, 16},
	)
	if err != nil {
		return err
	}
	purpose := p.purpose(returnTo, reauth, acr)
	if username == "" || password == "" { // a browser would not have sent it
		r := p.refuse(x, badRequest("Enter your username and your password."))
		return p.showLogin(x, r.status, purpose, username, r)
	}
	grant, err := p.attempt(x, session.LoginRequest{
		Username: username, Password: password, Address: x.RealIP(), UserAgent: x.Request().UserAgent(),
	})
	p.metrics.logins.count(err)
	var wanted *secondFactor
	if errors.As(err, &wanted) {
		return p.showFactor(x, wanted, purpose.returnTo, nil)
	}
	if err != nil {
		r := p.refuse(x, err)
		return p.showLogin(x, r.status, purpose, username, r)
	}
	return p.signIn(x, grant, purpose.returnTo)
}

// signIn hands a new session to the browser in place of the one that it had, which ends, and sends it on.
func (p *public) signIn(x *exchange, g session.Grant, returnTo string) error {
	if err := p.endPrevious(x, g); err != nil {
		// Nobody holds the new session's tokens; without its end it would be a riddle in the person's list.
		return errors.Join(err, p.cfg.Sessions.End(x.ctx(), g.Session.Subject, g.Session.ID))
	}
	x.subject, x.session = g.Session.Subject, g.Session.ID.String()
	p.setCookies(x, g.AccessToken, g.ExpiresIn, g.RefreshToken)
	if ownPage(returnTo) {
		return x.Redirect(http.StatusSeeOther, returnTo)
	}
	return p.show(x, http.StatusOK, web.Page{Name: "onward", Title: "You are signed in", Next: returnTo})
}

// endPrevious ends the session whose cookies the browser brought along: a new one replaces it (no fixation). Of the same
// user it keeps the clients that the browser is logged in to.
func (p *public) endPrevious(x *exchange, next session.Grant) error {
	subject, id, err := p.previous(x)
	if errors.Is(err, errNoSession) {
		return nil
	}
	if err == nil {
		scope := session.LogoutSession
		if subject == next.Session.Subject {
			scope = session.LogoutReplaced
		}
		err = p.cfg.Sessions.Logout(x.ctx(), subject, id, scope)
	}
	if err != nil {
		return fmt.Errorf("ending the browser's previous session: %w", err)
	}
	return nil
}

// previous finds the session of the browser's cookies, whether it has been revoked or not: of the refresh cookie, which
// lives longer, or else of the access cookie.
func (p *public) previous(x *exchange) (subject string, id session.ID, err error) {
	refresh, err := cookie(x.Request(), refreshCookie)
	if err != nil {
		return "", id, err
	}
	if refresh != "" {
		s, _, err := p.cfg.Sessions.InspectRefreshToken(x.ctx(), refresh)
		if err == nil || !errors.Is(err, session.ErrInvalidGrant) && !errors.Is(err, session.ErrNotFound) {
			return s.Subject, s.ID, err
		}
	}
	access, err := cookie(x.Request(), accessCookie)
	if err != nil || access == "" {
		return "", id, errors.Join(err, errNoSession)
	}
	claims, err := p.cfg.Verifier.VerifyWith(x.ctx(), access, anyRevocation{})
	if errors.Is(err, token.ErrInvalid) {
		return "", id, errNoSession
	}
	if err != nil {
		return "", id, err
	}
	if id, err = session.ParseID(claims.SessionID); err != nil { // a token of no session
		return "", id, errNoSession
	}
	return claims.Subject, id, nil
}

// logoutPage asks; it changes nothing, so that no link can sign anybody out.
func (p *public) logoutPage(x *exchange) error {
	return p.show(x, http.StatusOK, web.Page{Name: "logout", Title: "Sign out"})
}

func (p *public) logoutForm(x *exchange) error {
	subject, id, err := p.previous(x)
	switch {
	case errors.Is(err, errNoSession):
		x.happens("")
		return signedOut(x)
	case err != nil:
		return err
	}
	x.subject, x.session = subject, id.String()
	x.actsAs(audit.User, subject)
	x.note("scope", string(session.LogoutSession))
	if err := p.cfg.Sessions.Logout(x.ctx(), subject, id, session.LogoutSession); err != nil {
		return err
	}
	if err := p.audit.confirm(x); err != nil {
		return err
	}
	return signedOut(x)
}

// signedOut tells a browser that its session has ended.
func signedOut(x *exchange) error {
	clearCookies(x)
	return redirect(x, pathLogin, url.Values{"done": {"logout"}})
}
