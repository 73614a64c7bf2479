package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Paths of pages that lead to one another.
const (
	pathLogin   = "/login"
	pathLogout  = "/logout"
	pathAccount = "/account"
)

// pageRoutes are for people with a browser: they take forms, answer HTML, errors included, and know sessions by cookies
// alone. They are no part of the OpenAPI document.
func (p *public) pageRoutes() []*route {
	page := func(method, path, limit string, handle handler) *route {
		return &route{method: method, path: path, limit: limit, handle: handle, page: p.failPage, changes: true}
	}
	as := func(event audit.Type, r *route) *route {
		r.event = event
		return r
	}
	return []*route{
		page(http.MethodGet, pathLogin, "pages", p.loginPage),
		as(audit.Login, page(http.MethodPost, pathLogin, "login", p.loginForm)),
		page(http.MethodGet, pathLogout, "pages", p.logoutPage),
		as(audit.Logout, page(http.MethodPost, pathLogout, "logout", p.logoutForm)),
		page(http.MethodGet, pathAccount, "pages", p.accountPage),
		page(http.MethodPost, pathAccount+"/sessions", "pages", p.endSessionsForm),
		page(http.MethodGet, pathPassword, "pages", p.passwordPage),
		page(http.MethodPost, pathPassword, "pages", p.passwordForm),
		{method: http.MethodGet, path: web.AssetsPath + ":version/:name", limit: "pages", handle: p.asset, quiet: true},
	}
}

// show answers with a page.
func (p *public) show(x *exchange, status int, page web.Page) error {
	return p.cfg.Pages.Write(x.Response(), status, page)
}

// redirect sends the browser on with GET, whatever it came with. Never 307 or 308, with which it would send the form again,
// password included (RFC 9700 section 4.12).
func redirect(x *exchange, path string, query url.Values) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return x.Redirect(http.StatusSeeOther, path)
}

func (p *public) asset(x *exchange) error {
	found, err := p.cfg.Pages.Asset(x.Response(), x.Param("version"), x.Param("name"))
	if !found {
		return &refusal{status: http.StatusNotFound, code: codeNotFound, detail: "There is nothing at this path."}
	}
	return err
}

// failPage answers a refusal with a page.
func (p *public) failPage(x *exchange, r *refusal) error {
	title := map[int]string{
		http.StatusForbidden:          "Not accepted",
		http.StatusNotFound:           "Not found",
		http.StatusTooManyRequests:    "Too many requests",
		http.StatusServiceUnavailable: "Not possible at the moment",
	}[r.status]
	switch {
	case title != "":
	case r.status < http.StatusInternalServerError:
		title = "The request was not understood"
	default:
		title = "Something went wrong"
	}
	return p.show(x, r.status, web.Page{Name: "notice", Title: title, Data: web.Notice{
		Text: r.detail + r.whenAgain(), More: "Request " + x.requestID, Link: pathAccount, Action: "Go to your account",
	}})
}

// whenAgain says in words what Retry-After does.
func (r *refusal) whenAgain() string {
	switch wait := r.retryAfter.Round(time.Minute); {
	case r.status != http.StatusTooManyRequests:
		return ""
	case wait > time.Minute:
		return fmt.Sprintf(" Try again in %d minutes.", wait/time.Minute)
	default:
		return " Try again in a minute."
	}
}

// errNoSession means that a browser has not signed in, or not any more.
var errNoSession = errors.New("the browser has no session")

// browserSession returns what is known of the browser's session: by its access cookie or, once that has expired, by its
// refresh cookie, for which the browser gets new ones of both. Without a live session it is errNoSession; so it is beside an
// Authorization header, with which cookies are not looked at, here as elsewhere.
func (p *public) browserSession(x *exchange) (*token.Claims, error) {
	if len(x.Request().Header[echo.HeaderAuthorization]) > 0 {
		return nil, errNoSession
	}
	claims, err := p.accessCookieClaims(x)
	if errors.Is(err, token.ErrInvalid) || errors.Is(err, errNoSession) {
		claims, err = p.renewCookies(x)
	}
	if err != nil {
		return nil, err
	}
	x.subject, x.session = claims.Subject, claims.SessionID
	x.actsAs(audit.User, claims.Subject)
	return claims, nil
}

func (p *public) accessCookieClaims(x *exchange) (*token.Claims, error) {
	raw, err := cookie(x.Request(), accessCookie)
	if err != nil {
		return nil, err
	}
	if raw == "" {
		return nil, errNoSession
	}
	claims, err := p.cfg.Verifier.Verify(x.ctx(), raw)
	p.metrics.verifications.count(err)
	return claims, err
}

// renewCookies refreshes the session of the refresh cookie.
func (p *public) renewCookies(x *exchange) (*token.Claims, error) {
	raw, err := cookie(x.Request(), refreshCookie)
	if err != nil {
		return nil, err
	}
	if raw == "" {
		return nil, errNoSession
	}
	grant, err := p.cfg.Sessions.Refresh(x.ctx(), raw, session.Use{Address: x.RealIP(), UserAgent: x.Request().UserAgent()})
	p.metrics.refreshes.count(err)
	if errors.Is(err, session.ErrInvalidGrant) {
		clearCookies(x)
		return nil, errNoSession
	}
	if err != nil {
		return nil, err
	}
	p.refreshed(x, grant)
	p.setCookies(x, grant.AccessToken, grant.ExpiresIn, grant.RefreshToken)
	return &grant.Claims, nil
}

// formField is one field that a form may have.
type formField struct {
	name string
	into *string
	max  int // bytes
}

// readForm reads the body as a form. A field that is repeated, too long or not UTF-8 is refused; unknown ones are ignored, as
// programs that help people to fill in forms may add some.
func readForm(x *exchange, fields ...formField) error {
	body, err := readBody(x, "application/x-www-form-urlencoded")
	if err != nil {
		return err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return badRequest("The body is not a form.")
	}
	for _, f := range fields {
		given := values[f.name]
		switch {
		case len(given) == 0:
			continue
		case len(given) > 1:
			return badFields(fieldError{Field: f.name, Detail: "given twice"})
		case len(given[0]) > f.max:
			return badFields(fieldError{Field: f.name, Detail: fmt.Sprintf("longer than %d bytes", f.max)})
		case !utf8.ValidString(given[0]):
			return badFields(fieldError{Field: f.name, Detail: "not UTF-8"})
		}
		*f.into = given[0]
	}
	return nil
}
