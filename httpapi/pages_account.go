package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// recentAuthentication is how long after a login the account may be changed without signing in again: whoever finds a
// browser open must not take over the account.
const recentAuthentication = 5 * time.Minute

// recent tells whether the person has just proved who they are.
func (p *public) recent(claims *token.Claims) bool {
	return p.now().Sub(claims.AuthTime) <= recentAuthentication
}

// signedIn returns the browser's session, or sends the browser to the login page and returns nil.
func (p *public) signedIn(x *exchange, back string) (*token.Claims, error) {
	claims, err := p.browserSession(x)
	if errors.Is(err, errNoSession) {
		return nil, redirect(x, pathLogin, loginPurpose{returnTo: back}.query())
	}
	return claims, err
}

// signedInRecently is signedIn for what changes the account.
func (p *public) signedInRecently(x *exchange, back string) (*token.Claims, error) {
	claims, err := p.signedIn(x, back)
	if claims == nil || err != nil || p.recent(claims) {
		return claims, err
	}
	return nil, redirect(x, pathLogin, loginPurpose{returnTo: back, reauth: true}.query())
}

// username returns the account's present name; "" where nobody can tell, or the account is gone.
func (p *public) username(x *exchange, subject string) (string, error) {
	account, err := p.account(x, subject)
	return account.Username, err
}

func (p *public) account(x *exchange, subject string) (identity.Account, error) {
	if p.cfg.Accounts == nil {
		return identity.Account{}, nil
	}
	account, err := p.cfg.Accounts.Account(x.ctx(), subject)
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		return account, fmt.Errorf("looking up the account: %w", err)
	}
	return account, nil
}

// accountData is what templates/account.html shows.
type accountData struct {
	Done, Error       string
	Username          string
	Roles             []string
	AuthTime          time.Time
	How               string
	CanChangePassword bool
	Factors           bool
	Sessions          []accountSession
	Others            bool
	Ask               *accountQuestion
}

type accountSession struct {
	ID                    string
	Device, Address       string
	Client                string // if it is not this server's own pages
	Current               bool
	CreatedAt, LastUsedAt time.Time
}

// accountQuestion asks again for what could not be done without a login.
type accountQuestion struct {
	End              string // which sessions
	Question, Action string
}

// accountDone are the texts after something was done, by what the query names.
func accountDone() map[string]string {
	return map[string]string{
		"session":  "The session has ended.",
		"others":   "All your other sessions have ended.",
		"password": "Your password is changed, and your other sessions have ended.",
		"gone":     "This session had ended before.",
	}
}

func (p *public) accountPage(x *exchange) error {
	ask := x.QueryParam("end")
	back := pathAccount
	if ask != "" {
		back += "?" + url.Values{"end": {ask}}.Encode()
	}
	claims, err := p.signedIn(x, p.returnPath(back))
	if claims == nil || err != nil {
		return err
	}
	account, err := p.account(x, claims.Subject)
	if err != nil {
		return err
	}
	live, err := p.cfg.Sessions.List(x.ctx(), claims.Subject)
	if err != nil {
		return err
	}
	data := accountData{
		Done: accountDone()[x.QueryParam("done")], Username: account.Username, Roles: claims.Roles,
		AuthTime: claims.AuthTime, How: howAuthenticated(claims.AMR), CanChangePassword: p.cfg.Passwords != nil,
		Sessions: accountSessions(live, claims), Factors: p.factors != nil,
	}
	data.Others = len(live) > 1
	data.Ask = question(ask, data.Sessions)
	return p.show(x, http.StatusOK, web.Page{Name: "account", Title: "Your account", Wide: true, User: account.Username, Data: data})
}

// howAuthenticated says in words what the methods of RFC 8176 mean that authd knows.
func howAuthenticated(amr []string) string {
	has := make(map[string]bool, len(amr))
	for _, method := range amr {
		has[method] = true
	}
	switch {
	case has["swk"] || has["hwk"]:
		return "with a passkey"
	case has["otp"] || has["mfa"]:
		return "with a password and a second factor"
	case has["pwd"]:
		return "with a password"
	}
	return ""
}

func accountSessions(live []session.Session, claims *token.Claims) []accountSession {
	list := make([]accountSession, len(live))
	for i, s := range live {
		list[i] = accountSession{
			ID: s.ID.String(), Device: web.Device(s.UserAgent), Address: s.Address, Current: s.ID.String() == claims.SessionID,
			CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt,
		}
		if s.ClientID != claims.ClientID {
			list[i].Client = s.ClientID
		}
	}
	return list
}

// question finds what the person wanted to end before the login; nil when there is no such thing.
func question(end string, sessions []accountSession) *accountQuestion {
	switch end {
	case "":
		return nil
	case "others":
		return &accountQuestion{end, "End all your other sessions?", "End all others"}
	case "all":
		return &accountQuestion{end, "End all your sessions, this one too?", "End all"}
	}
	for _, s := range sessions {
		if s.ID == end {
			return &accountQuestion{end, "End the session on " + s.Device + ", " + s.Address + "?", "End it"}
		}
	}
	return nil
}

// endSessionsForm ends one session, all others, or all.
func (p *public) endSessionsForm(x *exchange) error {
	var end string
	if err := readForm(x, formField{"end", &end, 32}); err != nil {
		return err
	}
	claims, err := p.signedInRecently(x, p.returnPath(pathAccount+"?"+url.Values{"end": {end}}.Encode()))
	if claims == nil || err != nil {
		return err
	}
	current, err := session.ParseID(claims.SessionID)
	if err != nil {
		return fmt.Errorf("the session of a browser: %w", err)
	}
	which := session.LogoutScope(end)
	if which != session.LogoutOthers && which != session.LogoutAll {
		return p.endOneSession(x, claims, end)
	}
	x.happens(audit.Logout)
	x.note("scope", end)
	if err := p.cfg.Sessions.Logout(x.ctx(), claims.Subject, current, which); err != nil {
		return err
	}
	if err := p.audit.confirm(x); err != nil {
		return err
	}
	if which == session.LogoutAll {
		return signedOut(x)
	}
	return redirect(x, pathAccount, url.Values{"done": {end}})
}

func (p *public) endOneSession(x *exchange, claims *token.Claims, end string) error {
	id, err := session.ParseID(end)
	if err != nil { // no session has such an id
		return fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	done := "session"
	switch err := p.cfg.Sessions.End(x.ctx(), claims.Subject, id); {
	case errors.Is(err, session.ErrNotFound):
		done = "gone"
	case err != nil:
		return err
	case end == claims.SessionID:
		return signedOut(x)
	}
	return redirect(x, pathAccount, url.Values{"done": {done}})
}
