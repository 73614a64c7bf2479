package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/session"
)

// consoleReturn returns where a login to the console may lead: to its pages, and nowhere else.
func consoleReturn(asked string) string {
	target, _, _ := strings.Cut(asked, "?")
	plain, ok := plainPath(target)
	inside := plain == pathConsole || strings.HasPrefix(plain, pathConsole+"/") && !strings.HasPrefix(plain, pathSignIn)
	if !ok || !inside || len(asked) > maxReturnPath || strings.ContainsFunc(asked, oddInURL) {
		return pathConsole
	}
	return asked
}

// askToSignIn leads to the login, and from there back to the page, or to the one on which the form was.
func (c *console) askToSignIn(x *exchange, again bool) error {
	back := x.Request().URL.RequestURI()
	if x.Request().Method != http.MethodGet {
		back = pathConsole
		if from, err := url.Parse(x.Request().Referer()); err == nil && from.Host == x.Request().Host {
			back = from.RequestURI()
		}
	}
	query := url.Values{"return_to": {consoleReturn(back)}}
	if again {
		query.Set("again", "1")
	}
	return redirect(x, pathSignIn, query)
}

// signInData is what templates/console_login.html shows.
type signInData struct {
	Done, Error, Why   string
	Username, Password web.Field
	Code               *web.Field // for the second factor, when the password was right
	State, ReturnTo    string
}

func (c *console) signInPage(x *exchange) error {
	data := signInData{ReturnTo: consoleReturn(x.QueryParam("return_to"))}
	switch {
	case x.QueryParam("again") == "1":
		data.Why = "Sign in once more before you change anything. What you have just sent was not done."
	case x.QueryParam("done") == "logout":
		data.Done = "You are signed out."
	}
	username := ""
	if o, err := c.operator(x); err == nil {
		username = o.account.Username
	}
	return c.showSignIn(x, http.StatusOK, username, data)
}

func (c *console) showSignIn(x *exchange, status int, username string, data signInData) error {
	title := "Sign in to the console"
	if data.Error != "" {
		title = "Error: " + title
	}
	data.Username = web.Field{Name: "username", Label: "Username", Value: username, Autocomplete: "username", Focus: username == "" && data.Error == ""}
	data.Password = web.Field{
		Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password", Focus: username != "" && data.Error == "",
	}
	return c.cfg.SignIn.Pages.Write(x.Response(), status, web.Page{Name: "console_login", Title: title, Data: data})
}

// signInForm is the login of the public listener, with the same limits, for a session of the console.
func (c *console) signInForm(x *exchange) error {
	var username, password, returnTo string
	err := readForm(x, formField{"username", &username, maxUsername}, formField{"password", &password, maxPassword},
		formField{"return_to", &returnTo, maxReturnPath})
	if err != nil {
		return err
	}
	data := signInData{ReturnTo: consoleReturn(returnTo)}
	grant, err := c.door.attempt(x, session.LoginRequest{
		Username: username, Password: password, ClientID: consoleClient, Address: x.RealIP(), UserAgent: x.Request().UserAgent(),
	})
	c.metrics.logins.count(err)
	var more *secondFactor
	switch {
	case errors.As(err, &more) && more.Enrol:
		data.Error = "This account must have a second factor. Sign in to your account and add one first."
		return c.showSignIn(x, http.StatusForbidden, username, data)
	case errors.As(err, &more):
		data.State = more.State
		return c.showFactor(x, http.StatusOK, data)
	case err != nil:
		r := c.refuse(x, err)
		data.Error = r.detail + r.whenAgain()
		return c.showSignIn(x, r.status, username, data)
	}
	return c.begin(x, grant, data.ReturnTo)
}

func (c *console) showFactor(x *exchange, status int, data signInData) error {
	data.Code = &web.Field{
		Name: "code", Label: "Code", Autocomplete: "one-time-code", Focus: data.Error == "",
		Hint: "Of your authenticator app, or one of your recovery codes.",
	}
	return c.cfg.SignIn.Pages.Write(x.Response(), status, web.Page{Name: "console_login", Title: "Second factor", Data: data})
}

// factorForm is the second half of a login.
func (c *console) factorForm(x *exchange) error {
	var state, code, returnTo string
	err := readForm(x, formField{"state", &state, maxFactorState}, formField{"code", &code, maxRecoveryCode},
		formField{"return_to", &returnTo, maxReturnPath})
	if err != nil {
		return err
	}
	if c.door.factors == nil {
		return mfa.ErrState
	}
	st, err := c.door.factors.state(x.ctx(), state)
	if err == nil && (st.ClientID != consoleClient || st.Enrol || st.Thumbprint != "") {
		err = mfa.ErrState // of a login elsewhere
	}
	if err != nil {
		return err
	}
	data := signInData{ReturnTo: consoleReturn(returnTo), State: state}
	code = strings.Join(strings.Fields(code), "")
	presented := mfa.Presented{Code: code}
	if len(code) > 8 {
		presented = mfa.Presented{RecoveryCode: code}
	}
	begin := session.BeginRequest{Address: x.RealIP(), UserAgent: x.Request().UserAgent()}
	grant, err := c.door.presentFactor(x, state, st, presented, begin)
	if err != nil {
		r := c.refuse(x, err)
		data.Error = r.detail + r.whenAgain()
		return c.showFactor(x, r.status, data)
	}
	return c.begin(x, grant, data.ReturnTo)
}

// begin hands a session of the console out, in place of the one that the browser had, to who may use it. Where that is not
// possible the new session ends, as nobody holds its tokens.
func (c *console) begin(x *exchange, g session.Grant, returnTo string) error {
	err := c.endPrevious(x)
	if err == nil {
		account, lookErr := c.cfg.SignIn.Accounts.Account(x.ctx(), g.Session.Subject)
		if err = lookErr; err == nil && !c.may(account) {
			err = errNoRole
		}
	}
	if err != nil {
		ctx := context.WithoutCancel(x.ctx())
		return errors.Join(err, c.cfg.SignIn.Sessions.End(ctx, g.Session.Subject, g.Session.ID))
	}
	x.subject, x.session = g.Session.Subject, g.Session.ID.String()
	c.setCookies(x, g.AccessToken, g.RefreshToken)
	return redirect(x, returnTo, nil)
}

func (c *console) endPrevious(x *exchange) error {
	raw, err := cookie(x.Request(), consoleRefreshCookie)
	if err != nil || raw == "" {
		return err
	}
	return c.cfg.SignIn.Sessions.RevokeRefreshToken(x.ctx(), raw)
}

func (c *console) signOut(x *exchange) error {
	if o, err := c.operator(x); err == nil {
		x.actsAs(audit.Admin, o.account.Subject)
		x.subject = o.account.Subject
	}
	if err := c.endPrevious(x); err != nil {
		return err
	}
	c.setCookies(x, "", "")
	return redirect(x, pathSignIn, url.Values{"done": {"logout"}})
}
