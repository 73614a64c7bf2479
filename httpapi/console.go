package httpapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// ConsoleConfig lets administrators work on the admin listener with a browser, at /console: who has an account with the
// role, and has just signed in, may do there what the admin token may do.
type ConsoleConfig struct {
	// SignIn is how they sign in: with the sessions, limits, second factors and pages of the public listener. Its Sessions,
	// Logins, Verifier, Accounts and Pages are required.
	SignIn PublicConfig
	// Role is what an account needs. Required.
	Role string
	// Revoked are the entries of the revocation set. Required.
	Revoked Revoked
	// Verifiers counts the verifiers that report which JWKS they hold, and those that do not hold the present one; nil where
	// nobody is asked.
	Verifiers func(ctx context.Context) (keys.Census, error)
}

// Revoked is a replica of the revocation set that can be listed; see [revocation.Mirror].
type Revoked interface {
	All() iter.Seq[revocation.Entry]
}

func (c *ConsoleConfig) validate() error {
	if c == nil {
		return nil
	}
	var problems []error
	for name, ok := range map[string]bool{
		"sessions": c.SignIn.Sessions != nil, "logins": c.SignIn.Logins != nil, "verifier": c.SignIn.Verifier != nil,
		"accounts": c.SignIn.Accounts != nil, "pages": c.SignIn.Pages != nil, "role": c.Role != "", "revoked": c.Revoked != nil,
	} {
		if !ok {
			problems = append(problems, fmt.Errorf("console: %s: required", name))
		}
	}
	return errors.Join(problems...)
}

const (
	pathConsole  = "/console"
	pathSignIn   = "/console/login"
	pathUsers    = "/console/users"
	pathKeys     = "/console/keys"
	pathRevoking = "/console/revoke"
	// consoleClient is the client of the sessions of the console. Tokens of other clients are worth nothing there.
	consoleClient = "authd-console"
)

// console is the part of the admin listener that people use.
type console struct {
	*admin
	cfg  ConsoleConfig
	door *public // checks passwords and second factors as the public listener does; it serves nothing
}

func newConsole(a *admin, c ConsoleConfig) (*console, error) {
	door := &public{site: a.site, cfg: c.SignIn}
	var err error
	if door.factors, err = newFactors(c.SignIn.Factors, a.now); err != nil {
		return nil, err
	}
	return &console{admin: a, cfg: c, door: door}, nil
}

func (c *console) routes() []*route {
	page := func(method, path string, event audit.Type, handle handler) *route {
		return &route{
			method: method, path: path, handle: handle, page: c.failPage, event: event, changes: true, // pages renew sessions
		}
	}
	see := func(path string, handle work) *route {
		r := page(http.MethodGet, path, "", c.signedIn(handle))
		r.guarded = true
		return r
	}
	do := func(path string, event audit.Type, handle work) *route {
		r := page(http.MethodPost, path, event, c.signedInRecently(handle))
		r.guarded = true
		return r
	}
	const user = pathUsers + "/:username"
	return []*route{
		page(http.MethodGet, pathSignIn, "", c.signInPage),
		page(http.MethodPost, pathSignIn, audit.Login, c.signInForm),
		page(http.MethodPost, pathSignIn+"/factor", audit.Login, c.factorForm),
		page(http.MethodPost, pathConsole+"/logout", audit.Logout, c.signOut),
		{method: http.MethodGet, path: web.AssetsPath + ":version/:name", handle: c.door.asset, quiet: true},

		see(pathConsole, c.overview),
		see(pathUsers, c.usersPage),
		do(pathUsers, audit.UserAdded, c.addUserForm),
		see(user, c.userPage),
		do(user+"/password", audit.PasswordChanged, c.passwordForm),
		do(user+"/roles", audit.RolesChanged, c.rolesForm),
		do(user+"/disable", audit.UserDisabled, c.disableForm),
		do(user+"/enable", audit.UserEnabled, c.enableForm),
		do(user+"/forgive", audit.UserForgiven, c.forgiveForm),
		do(user+"/remove", audit.UserRemoved, c.removeForm),
		do(user+"/factors", audit.FactorsReset, c.resetFactorsForm),
		do(user+"/sessions", audit.SubjectRevoked, c.endUserSessionsForm),
		do(user+"/sessions/:id", "", c.endSessionForm),
		see(pathRevoking, c.revokePage),
		do(pathRevoking, "", c.revokeForm),
		see(pathKeys, c.keysPage),
		do(pathKeys+"/rotate", audit.KeyRotated, c.rotateForm),
	}
}

// operator is an administrator who has signed in.
type operator struct {
	claims  *token.Claims
	account identity.Account
}

// work is a handler for an operator.
type work func(x *exchange, o operator) error

// signedIn lets operators through, and leads others to the login.
func (c *console) signedIn(next work) handler {
	return func(x *exchange) error {
		o, err := c.operator(x)
		if errors.Is(err, errNoSession) {
			x.happens("")
			return c.askToSignIn(x, false)
		}
		if err != nil {
			return err
		}
		return next(x, o)
	}
}

// signedInRecently lets those through who have just proved who they are: nobody who finds a browser open may change anything.
func (c *console) signedInRecently(next work) handler {
	return c.signedIn(func(x *exchange, o operator) error {
		if c.now().Sub(o.claims.AuthTime) > recentAuthentication {
			x.happens("")
			return c.askToSignIn(x, true)
		}
		return next(x, o)
	})
}

// operator finds out who sends a request. The role counts as the account has it now, not as the token does.
func (c *console) operator(x *exchange) (operator, error) {
	claims, err := c.claims(x)
	if err != nil {
		return operator{}, err
	}
	x.session = claims.SessionID
	account, err := c.cfg.SignIn.Accounts.Account(x.ctx(), claims.Subject)
	switch {
	case errors.Is(err, identity.ErrNotFound) || err == nil && account.Disabled:
		return operator{}, errNoSession
	case err != nil:
		return operator{}, fmt.Errorf("looking up the account: %w", err)
	case !c.may(account):
		return operator{}, errNoRole
	}
	x.actsAs(audit.Admin, account.Subject)
	return operator{claims, account}, nil
}

func (c *console) may(a identity.Account) bool { return slices.Contains(a.Roles, c.cfg.Role) }

// errNoRole answers who has signed in and is no administrator.
var errNoRole = &refusal{
	status: http.StatusForbidden, code: codeForbidden, detail: "This account may not use the console.",
}

// claims are those of the console's cookies; once the first has expired, it is renewed by the second.
func (c *console) claims(x *exchange) (*token.Claims, error) {
	raw, err := cookie(x.Request(), consoleCookie)
	if err != nil {
		return nil, err
	}
	if raw != "" {
		claims, err := c.cfg.SignIn.Verifier.Verify(x.ctx(), raw)
		switch {
		case err == nil && claims.ClientID == consoleClient:
			return claims, nil
		case err != nil && !errors.Is(err, token.ErrInvalid):
			return nil, err
		}
	}
	if raw, err = cookie(x.Request(), consoleRefreshCookie); err != nil || raw == "" {
		return nil, errors.Join(err, errNoSession)
	}
	s, _, err := c.cfg.SignIn.Sessions.InspectRefreshToken(x.ctx(), raw)
	if err == nil && s.ClientID != consoleClient {
		err = session.ErrInvalidGrant
	}
	var grant session.Grant
	if err == nil {
		grant, err = c.cfg.SignIn.Sessions.Refresh(x.ctx(), raw, session.Use{Address: x.RealIP(), UserAgent: x.Request().UserAgent()})
	}
	if errors.Is(err, session.ErrInvalidGrant) || errors.Is(err, session.ErrNotFound) {
		c.setCookies(x, "", "")
		return nil, errNoSession
	}
	if err != nil {
		return nil, err
	}
	c.setCookies(x, grant.AccessToken, grant.RefreshToken)
	return &grant.Claims, nil
}

// The cookies of the console are its own: one browser may be signed in to the console and, as somebody else, elsewhere.
const (
	consoleCookie        = "__Host-authd_console"
	consoleRefreshCookie = "__Host-authd_console_refresh"
	// consoleCookieLife is how long a browser keeps them; the session may end before.
	consoleCookieLife = 12 * time.Hour
)

// setCookies puts a session into the cookies; empty tokens remove them. They are Strict: no link from elsewhere leads to the
// inside of the console.
func (c *console) setCookies(x *exchange, access, refresh string) {
	for name, value := range map[string]string{consoleCookie: access, consoleRefreshCookie: refresh} {
		life := consoleCookieLife
		if value == "" {
			life = -1
		}
		line := newCookie(name, value, life) //nolint:gosec // it is Secure and HttpOnly, and Strict from the next line on
		line.SameSite = http.SameSiteStrictMode
		putCookie(x, line)
	}
}

// show answers an operator with a page.
func (c *console) show(x *exchange, o operator, page web.Page) error {
	page.User, page.SignOut, page.Wide = o.account.Username, pathConsole+"/logout", true
	for _, l := range []web.Link{
		{Title: "Overview", Path: pathConsole}, {Title: "Users", Path: pathUsers}, {Title: "Keys", Path: pathKeys},
		{Title: "Revoke", Path: pathRevoking},
	} {
		l.Current = l.Path == x.route.path
		page.Nav = append(page.Nav, l)
	}
	return c.cfg.SignIn.Pages.Write(x.Response(), http.StatusOK, page)
}

func (c *console) failPage(x *exchange, r *refusal) error {
	title := "Something went wrong"
	switch {
	case r.status == http.StatusServiceUnavailable:
		title = "Not possible at the moment"
	case r.status < http.StatusInternalServerError:
		title = "Not done"
	}
	text := r.detail + r.whenAgain()
	for _, f := range r.fields {
		text += " " + f.Field + ": " + f.Detail + "."
	}
	return c.cfg.SignIn.Pages.Write(x.Response(), r.status, web.Page{Name: "notice", Title: title, Data: web.Notice{
		Text: text, More: "Request " + x.requestID, Link: pathConsole, Action: "Go to the overview",
	}})
}
