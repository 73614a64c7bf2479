package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/identity"
)

// maxRole bounds what is read of one role; which roles are accepted is the user store's rule.
const maxRole = 128

// pageSize is how many users a list has unless the client asks for fewer or more.
const pageSize = 100

func (a *admin) listUsers(x *exchange) error {
	limit := pageSize
	if text := x.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > identity.MaxPage {
			return badFields(fieldError{Field: "limit", Detail: "must be a number from 1 to " + strconv.Itoa(identity.MaxPage)})
		}
		limit = n
	}
	users, err := a.cfg.Users.List(x.ctx(), x.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	page := adminapi.UserList{Users: make([]adminapi.User, len(users))}
	for i, u := range users {
		page.Users[i] = userBody(u)
	}
	if len(users) == limit {
		page.Next = users[limit-1].Username
	}
	return x.JSON(http.StatusOK, page)
}

func userBody(u identity.User) adminapi.User {
	b := adminapi.User{
		Subject: u.Subject, Username: u.Username, Roles: u.Roles, Disabled: u.Disabled, HasPassword: u.HasPassword,
		CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
	if b.Roles == nil {
		b.Roles = []string{}
	}
	if !u.PasswordChangedAt.IsZero() {
		changed := u.PasswordChangedAt.UTC()
		b.PasswordChangedAt = &changed
	}
	return b
}

func (a *admin) addUser(x *exchange) error {
	var u adminapi.NewUser
	err := readObject(x,
		field{Name: "username", Into: &u.Username, Required: true, Max: maxUsername},
		field{Name: "password", Into: &u.Password, Required: true, Max: maxPassword},
		field{Name: "roles", Into: &u.Roles, Max: maxRole},
	)
	if err != nil {
		return err
	}
	account, err := a.cfg.Users.Add(x.ctx(), u.Username, u.Password, u.Roles...)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	x.note("username", account.Username)
	x.note("roles", strings.Join(u.Roles, " "))
	return a.answerUser(x, http.StatusCreated, account.Username)
}

func (a *admin) getUser(x *exchange) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	return a.answerUser(x, http.StatusOK, username)
}

func (a *admin) answerUser(x *exchange, status int, username string) error {
	user, err := a.cfg.Users.Get(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = user.Subject
	return x.JSON(status, userBody(user))
}

// setPassword also ends the user's sessions: whoever knew the old password may hold one.
func (a *admin) setPassword(x *exchange) error {
	var p adminapi.Password
	if err := readObject(x, field{Name: "password", Into: &p.Password, Required: true, Max: maxPassword}); err != nil {
		return err
	}
	return a.changeAndEnd(x, func(ctx context.Context, username string) (identity.Account, error) {
		return a.cfg.Users.SetPassword(ctx, username, p.Password)
	})
}

func (a *admin) disableUser(x *exchange) error {
	return a.changeAndEnd(x, func(ctx context.Context, username string) (identity.Account, error) {
		return a.cfg.Users.SetDisabled(ctx, username, true)
	})
}

// changeAndEnd changes an account and then ends its sessions. When the second half fails the answer is 503; the sessions
// end all the same, as the change has left a note that they are to.
func (a *admin) changeAndEnd(x *exchange, change func(ctx context.Context, username string) (identity.Account, error)) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	account, err := change(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	if err := a.cfg.Ends.Finish(x.ctx(), account.Subject); err != nil {
		return err
	}
	return x.done()
}

func (a *admin) enableUser(x *exchange) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	account, err := a.cfg.Users.SetDisabled(x.ctx(), username, false)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	return x.done()
}

// forgiveUser forgets an account's failed logins, so that its owner gets in again after an attack.
func (a *admin) forgiveUser(x *exchange) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	user, err := a.cfg.Users.Get(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = user.Subject
	if err := a.cfg.Logins.Forgive(x.ctx(), user.Username); err != nil {
		return fmt.Errorf("forgetting failed logins: %w", err)
	}
	return x.done()
}

// setRoles leaves sessions alone: they get the new roles at their next refresh.
func (a *admin) setRoles(x *exchange) error {
	var r adminapi.Roles
	if err := readObject(x, field{Name: "roles", Into: &r.Roles, Required: true, Max: maxRole}); err != nil {
		return err
	}
	x.note("roles", strings.Join(r.Roles, " "))
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	account, err := a.cfg.Users.SetRoles(x.ctx(), username, r.Roles...)
	if err != nil {
		return err
	}
	x.subject = account.Subject
	return x.done()
}

func (a *admin) removeUser(x *exchange) error {
	if err := a.changeAndEnd(x, a.cfg.Users.Remove); err != nil || a.cfg.Factors == nil {
		return err
	}
	if _, err := a.cfg.Factors.Reset(x.ctx(), x.subject); err != nil { // nobody gets the subject again: they only take up room
		a.log.WarnContext(x.ctx(), "the factors of a removed user are left", "request_id", x.requestID, "subject", x.subject, "err", err)
	}
	return nil
}

func (a *admin) endUserSessions(x *exchange) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	user, err := a.cfg.Users.Get(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = user.Subject
	if err := a.cfg.Sessions.EndSubject(x.ctx(), user.Subject); err != nil {
		return err
	}
	return x.done()
}
