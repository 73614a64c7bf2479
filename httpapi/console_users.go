package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/session"
)

// consolePage is how many users one page of the console shows.
const consolePage = 50

// usersData is what templates/console_users.html shows.
type usersData struct {
	Done     string
	Search   web.Field
	Users    []identity.User
	Next     string // the path of the next page; empty for none
	Unlisted bool   // a source finds its users, but cannot tell who they all are
	Username web.Field
	Password web.Field
	Roles    web.Field
}

// usersPage lists users, or those whose names begin with what is searched for.
func (c *console) usersPage(x *exchange, o operator) error {
	search, after := strings.TrimSpace(x.QueryParam("q")), x.QueryParam("after")
	data := usersData{
		Done:     consoleDone()[x.QueryParam("done")],
		Search:   web.Field{Name: "q", Label: "Name, or how it begins", Value: search, Type: "search", Optional: true, Max: 128},
		Username: web.Field{Name: "username", Label: "Username", Autocomplete: "off", Max: 128},
		Password: web.Field{Name: "password", Label: "Password", Type: "password", Autocomplete: "new-password", Hint: "At least 8 characters; 15 or more are advised."},
		Roles:    web.Field{Name: "roles", Label: "Roles", Optional: true, Hint: "Separated by spaces."},
	}
	var err error
	if data.Users, data.Unlisted, err = c.find(x, search, after); err != nil {
		return err
	}
	if len(data.Users) == consolePage {
		data.Next = pathUsers + "?" + url.Values{"q": {search}, "after": {data.Users[consolePage-1].Username}}.Encode()
	}
	return c.show(x, o, web.Page{Name: "console_users", Title: "Users", Data: data})
}

// find returns a page of the users whose names begin with prefix, the one who has just that name first.
func (c *console) find(x *exchange, prefix, after string) (found []identity.User, unlisted bool, err error) {
	if name, err := identity.NormalizeUsername(prefix); err == nil {
		prefix = name
	}
	if after == "" && prefix != "" {
		user, err := c.admin.cfg.Users.Get(x.ctx(), prefix)
		switch {
		case err == nil:
			found = append(found, user)
		case !errors.Is(err, identity.ErrNotFound) && !errors.Is(err, identity.ErrUsername):
			return nil, false, err
		}
		after = prefix
	}
	users, err := c.admin.cfg.Users.List(x.ctx(), after, consolePage-len(found))
	if errors.Is(err, identity.ErrNotListed) {
		return found, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, u := range users {
		if strings.HasPrefix(u.Username, prefix) {
			found = append(found, u)
		}
	}
	return found, false, nil
}

func (c *console) addUserForm(x *exchange, _ operator) error {
	var username, password, roles string
	err := readForm(x, formField{"username", &username, maxUsername}, formField{"password", &password, maxPassword}, formField{"roles", &roles, 1024})
	if err != nil {
		return err
	}
	account, err := c.admin.cfg.Users.Add(x.ctx(), username, password, strings.Fields(roles)...)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	return c.toUser(x, account.Username, "added")
}

// toUser leads to the page of a user, which says what was done.
func (c *console) toUser(x *exchange, username, done string) error {
	return redirect(x, pathUsers+"/"+url.PathEscape(username), url.Values{"done": {done}})
}

// consoleDone are the texts after something was done, by what the query names.
func consoleDone() map[string]string {
	return map[string]string{
		"added":    "The user is added.",
		"password": "The password is changed, and all sessions have ended.",
		"roles":    "The roles are changed. Sessions have them from their next refresh on.",
		"disabled": "The user is disabled, and all sessions have ended.",
		"enabled":  "The user may log in again.",
		"forgiven": "The failed logins are forgotten.",
		"factors":  "The second factors are removed, and all sessions have ended.",
		"removed":  "The user is removed, and all sessions have ended.",
		"sessions": "All sessions have ended.",
		"session":  "The session has ended.",
		"revoked":  "It is revoked: every verifier refuses it.",
		"rotated":  "The next key signs from now on.",
	}
}

// userData is what templates/console_user.html shows.
type userData struct {
	Done     string
	User     identity.User
	Path     string // of the page
	Sessions []session.Session
	Factors  []mfa.Factor
	Password web.Field
	Roles    web.Field
}

func (c *console) userPage(x *exchange, o operator) error {
	user, err := c.user(x)
	if err != nil {
		return err
	}
	live, err := c.admin.cfg.Sessions.List(x.ctx(), user.Subject)
	if err != nil {
		return err
	}
	var enrolled mfa.Enrolled
	if factors := c.admin.cfg.Factors; factors != nil {
		if enrolled, err = factors.Factors(x.ctx(), user.Subject); err != nil {
			return err
		}
	}
	return c.show(x, o, web.Page{Name: "console_user", Title: user.Username, Data: userData{
		Done: consoleDone()[x.QueryParam("done")], User: user, Path: pathUsers + "/" + url.PathEscape(user.Username), Sessions: live,
		Factors:  enrolled.Factors,
		Password: web.Field{Name: "password", Label: "New password", Type: "password", Autocomplete: "new-password"},
		Roles:    web.Field{Name: "roles", Label: "Roles", Value: strings.Join(user.Roles, " "), Optional: true, Hint: "Separated by spaces."},
	}})
}

// user finds the user whom the path names.
func (c *console) user(x *exchange) (identity.User, error) {
	username, err := x.pathParam("username")
	if err != nil {
		return identity.User{}, err
	}
	user, err := c.admin.cfg.Users.Get(x.ctx(), username)
	if err != nil {
		return identity.User{}, err
	}
	x.subject = user.Subject
	return user, nil
}

// change makes a change of the user whom the path names, and says so on the page of the user.
func (c *console) change(x *exchange, done string, change func(username string) (identity.Account, error)) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	account, err := change(username)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	return c.toUser(x, account.Username, done)
}

// changeAndFinish is change for one that ends the user's sessions.
func (c *console) changeAndFinish(x *exchange, done string, change func(username string) (identity.Account, error)) error {
	return c.change(x, done, func(username string) (identity.Account, error) {
		account, err := change(username)
		if err != nil {
			return account, err
		}
		return account, c.admin.cfg.Ends.Finish(x.ctx(), account.Subject)
	})
}

func (c *console) passwordForm(x *exchange, _ operator) error {
	var password string
	if err := readForm(x, formField{"password", &password, maxPassword}); err != nil {
		return err
	}
	return c.changeAndFinish(x, "password", func(username string) (identity.Account, error) {
		return c.admin.cfg.Users.SetPassword(x.ctx(), username, password)
	})
}

func (c *console) rolesForm(x *exchange, _ operator) error {
	var roles string
	if err := readForm(x, formField{"roles", &roles, 1024}); err != nil {
		return err
	}
	return c.change(x, "roles", func(username string) (identity.Account, error) {
		return c.admin.cfg.Users.SetRoles(x.ctx(), username, strings.Fields(roles)...)
	})
}

func (c *console) disableForm(x *exchange, _ operator) error {
	return c.changeAndFinish(x, "disabled", func(username string) (identity.Account, error) {
		return c.admin.cfg.Users.SetDisabled(x.ctx(), username, true)
	})
}

func (c *console) enableForm(x *exchange, _ operator) error {
	return c.change(x, "enabled", func(username string) (identity.Account, error) {
		return c.admin.cfg.Users.SetDisabled(x.ctx(), username, false)
	})
}

func (c *console) forgiveForm(x *exchange, _ operator) error {
	user, err := c.user(x)
	if err != nil {
		return err
	}
	if err := c.admin.cfg.Logins.Forgive(x.ctx(), user.Username); err != nil {
		return err
	}
	return c.toUser(x, user.Username, "forgiven")
}

func (c *console) removeForm(x *exchange, _ operator) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	account, err := c.admin.cfg.Users.Remove(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	if err := c.admin.cfg.Ends.Finish(x.ctx(), account.Subject); err != nil {
		return err
	}
	return redirect(x, pathUsers, url.Values{"done": {"removed"}})
}

// resetFactorsForm helps somebody who has lost their second factors; see [admin.resetFactors].
func (c *console) resetFactorsForm(x *exchange, _ operator) error {
	user, err := c.user(x)
	if err != nil {
		return err
	}
	if c.admin.cfg.Factors == nil {
		return badRequest("There are no second factors here.")
	}
	if _, err := c.admin.cfg.Factors.Reset(x.ctx(), user.Subject); err != nil {
		return err
	}
	if err := c.admin.cfg.Sessions.EndSubject(x.ctx(), user.Subject); err != nil {
		return err
	}
	return c.toUser(x, user.Username, "factors")
}

func (c *console) endUserSessionsForm(x *exchange, _ operator) error {
	user, err := c.user(x)
	if err != nil {
		return err
	}
	if err := c.admin.cfg.Sessions.EndSubject(x.ctx(), user.Subject); err != nil {
		return err
	}
	return c.toUser(x, user.Username, "sessions")
}

func (c *console) endSessionForm(x *exchange, _ operator) error {
	user, err := c.user(x)
	if err != nil {
		return err
	}
	id, err := session.ParseID(x.Param("id"))
	if err != nil {
		return &refusal{status: http.StatusNotFound, code: codeNotFound, detail: "There is no such session.", cause: err}
	}
	x.session = id.String()
	if err := c.admin.cfg.Sessions.EndSessions(x.ctx(), id); err != nil {
		return err
	}
	return c.toUser(x, user.Username, "session")
}
