package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// pathPassword is the page that changes a password.
const pathPassword = "/account/password"

// PasswordConfig lets people change their passwords themselves. All fields are required.
type PasswordConfig struct {
	Users    PasswordUsers
	Ends     AccountEnds     // of the sessions that the old password may have begun
	Sessions Authentications // the same service as PublicConfig.Sessions
}

// PasswordUsers are the accounts whose passwords can be changed; see [identity.Directory]. Of others, identity.ErrReadOnly.
type PasswordUsers interface {
	SetPassword(ctx context.Context, username, password string) (identity.Account, error)
}

// passwordData is what templates/password.html shows.
type passwordData struct {
	Error               string
	Username            string
	Current, New, Again web.Field
}

func (p *public) passwordPage(x *exchange) error {
	claims, account, err := p.ownsPassword(x)
	if claims == nil || err != nil {
		return err
	}
	return p.showPassword(x, http.StatusOK, account.Username, passwordFaults{})
}

// ownsPassword returns who may change a password here, or nil after an answer that leads elsewhere.
func (p *public) ownsPassword(x *exchange) (*token.Claims, identity.Account, error) {
	if p.cfg.Passwords == nil {
		return nil, identity.Account{}, &refusal{status: http.StatusNotFound, code: codeNotFound, detail: "There is nothing at this path."}
	}
	claims, err := p.signedInRecently(x, pathPassword)
	if claims == nil || err != nil {
		return nil, identity.Account{}, err
	}
	account, err := p.account(x, claims.Subject)
	if err == nil && account.Username == "" {
		err = identity.ErrNotFound
	}
	return claims, account, err
}

// passwordFaults says what is wrong with each field of the form, and with the whole.
type passwordFaults struct{ all, current, chosen, again string }

func (p *public) showPassword(x *exchange, status int, username string, f passwordFaults) error {
	page := web.Page{Name: "password", Title: "Change your password", User: username}
	data := passwordData{
		Error: f.all, Username: username,
		Current: web.Field{
			Name: "current", Label: "Your password until now", Type: "password", Autocomplete: "current-password",
			Error: f.current, Focus: f == passwordFaults{},
		},
		New: web.Field{
			Name: "new", Label: "New password", Type: "password", Autocomplete: "new-password", Error: f.chosen,
			Hint: fmt.Sprintf("%d characters or more are advised: a few unrelated words make a good one.", identity.AdvisedPasswordLength),
		},
		Again: web.Field{Name: "again", Label: "New password, again", Type: "password", Autocomplete: "new-password", Error: f.again},
	}
	if f != (passwordFaults{}) {
		page.Title = "Error: " + page.Title
		if f.all == "" {
			data.Error = "The password is not changed yet: see below."
		}
	}
	page.Data = data
	return p.show(x, status, page)
}

// passwordForm checks the old password as a login does, limits included, sets the new one, ends every session that the old
// one may have begun, this one too, and begins a new one for the browser.
func (p *public) passwordForm(x *exchange) error {
	var current, chosen, again string
	err := readForm(x, formField{"current", &current, maxPassword}, formField{"new", &chosen, maxPassword}, formField{"again", &again, maxPassword})
	if err != nil {
		return err
	}
	claims, account, err := p.ownsPassword(x)
	if claims == nil || err != nil {
		return err
	}
	switch {
	case current == "":
		return p.showPassword(x, http.StatusBadRequest, account.Username, passwordFaults{current: "Enter the password that you have used until now."})
	case chosen == "":
		return p.showPassword(x, http.StatusBadRequest, account.Username, passwordFaults{chosen: "Enter a new password."})
	case chosen != again:
		return p.showPassword(x, http.StatusBadRequest, account.Username, passwordFaults{again: "The two new passwords differ."})
	}
	x.happens(audit.PasswordChanged)
	who, _, err := guarded(p, x, account.Username, func(ctx context.Context) (session.Authentication, error) {
		return p.cfg.Passwords.Sessions.Authenticate(ctx, account.Username, current, "")
	})
	if err == nil && who.Account.Subject != claims.Subject { // the name has gone to somebody else
		err = identity.ErrInvalidCredentials
	}
	switch {
	case errors.Is(err, identity.ErrInvalidCredentials):
		r := p.refuse(x, &refusal{ // not 401: who it is, is known
			status: http.StatusForbidden, code: codeInvalidCredentials, detail: "This is not your password.", cause: err,
		})
		return p.showPassword(x, r.status, account.Username, passwordFaults{current: r.detail})
	case err != nil:
		r := p.refuse(x, err)
		return p.showPassword(x, r.status, account.Username, passwordFaults{all: r.detail + r.whenAgain()})
	}
	return p.changePassword(x, claims, account.Username, chosen)
}

// changePassword sets the password and ends all sessions, that of the browser too, and only then begins a new one for it: by
// the new password, so that whatever else ends what the old one began lets it live. It keeps the level of the old one.
func (p *public) changePassword(x *exchange, claims *token.Claims, username, chosen string) error {
	c := p.cfg.Passwords
	switch _, err := c.Users.SetPassword(x.ctx(), username, chosen); {
	case errors.Is(err, identity.ErrWeakPassword):
		r, text := p.refuse(x, err), reason(err, identity.ErrWeakPassword)
		return p.showPassword(x, r.status, username, passwordFaults{chosen: "Choose another one: " + text + "."})
	case errors.Is(err, identity.ErrReadOnly):
		r := p.refuse(x, err)
		return p.showPassword(x, r.status, username, passwordFaults{all: "Your password is kept by another service. Change it there."})
	case err != nil:
		return err
	}
	if err := c.Ends.Finish(x.ctx(), claims.Subject); err != nil {
		return fmt.Errorf("after a password was changed: %w", err)
	}
	who, err := c.Sessions.Authenticate(x.ctx(), username, chosen, "")
	var grant session.Grant
	if err == nil {
		grant, err = c.Sessions.Begin(x.ctx(), who.With(claims.AMR...), session.BeginRequest{
			Address: x.RealIP(), UserAgent: x.Request().UserAgent(),
		})
	}
	if err != nil { // the change is made, and the person signs in with it
		p.log.WarnContext(x.ctx(), "no new session after a password was changed", "request_id", x.requestID, "err", err)
		clearCookies(x)
		return redirect(x, pathLogin, url.Values{"done": {"password"}})
	}
	x.session = grant.Session.ID.String()
	p.setCookies(x, grant.AccessToken, grant.ExpiresIn, grant.RefreshToken)
	return redirect(x, pathAccount, url.Values{"done": {"password"}})
}
