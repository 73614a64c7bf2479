package httpapi

import (
	"fmt"
	"net/http"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/session"
)

// listSessions lists a user's sessions, by name or by subject: the user may be gone while the sessions are not.
func (a *admin) listSessions(x *exchange) error {
	username, subject := x.QueryParam("username"), x.QueryParam("sub")
	if (username == "") == (subject == "") {
		return badFields(fieldError{Field: "username", Detail: "either username or sub is required"})
	}
	if username != "" {
		user, err := a.cfg.Users.Get(x.ctx(), username)
		if err != nil {
			return err
		}
		subject = user.Subject
	}
	x.subject = subject
	live, err := a.cfg.Sessions.List(x.ctx(), subject)
	if err != nil {
		return err
	}
	list := adminapi.SessionList{Sessions: make([]adminapi.Session, len(live))}
	for i, s := range live {
		list.Sessions[i] = adminapi.Session{
			ID: s.ID.String(), Subject: s.Subject, Username: s.Username, ClientID: s.ClientID, Scope: s.Scope,
			CreatedAt: s.CreatedAt.UTC(), LastUsedAt: s.LastUsedAt.UTC(), Address: s.Address, UserAgent: s.UserAgent,
		}
	}
	return x.JSON(http.StatusOK, list)
}

// endSession succeeds for unknown and ended sessions too: then there is nothing left to end, and the entry is written
// all the same.
func (a *admin) endSession(x *exchange) error {
	id, err := session.ParseID(x.Param("id"))
	if err != nil {
		return fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	x.session = id.String()
	if err := a.cfg.Sessions.EndSessions(x.ctx(), id); err != nil {
		return err
	}
	return x.done()
}
