package httpapi

import (
	"context"
	"net/http"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/mfa"
)

// FactorAdmin is the part of [mfa.Service] that administrators use.
type FactorAdmin interface {
	Factors(ctx context.Context, subject string) (mfa.Enrolled, error)
	// Reset removes all factors of a subject and returns how many those were.
	Reset(ctx context.Context, subject string) (int, error)
}

func (a *admin) factorRoutes() []*route {
	return []*route{
		{method: http.MethodGet, path: "/admin/users/:username/factors", handle: a.listFactors},
		{method: http.MethodDelete, path: "/admin/users/:username/factors", handle: a.resetFactors, changes: true, event: audit.FactorsReset},
	}
}

func (a *admin) listFactors(x *exchange) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	user, err := a.cfg.Users.Get(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = user.Subject
	e, err := a.cfg.Factors.Factors(x.ctx(), user.Subject)
	if err != nil {
		return err
	}
	list := adminapi.FactorList{Factors: make([]adminapi.Factor, len(e.Factors)), RecoveryCodes: e.RecoveryCodes}
	for i, f := range e.Factors {
		b := bodyOf(f)
		list.Factors[i] = adminapi.Factor{ID: b.ID, Kind: string(b.Kind), Name: b.Name, CreatedAt: b.CreatedAt, UsedAt: b.UsedAt}
	}
	return x.JSON(http.StatusOK, list)
}

// resetFactors removes the factors of somebody who has lost them, and ends the sessions: the factors may have been stolen,
// and what they have vouched for goes with them. The factors go first, so that no session can begin with them afterwards.
func (a *admin) resetFactors(x *exchange) error {
	username, err := x.pathParam("username")
	if err != nil {
		return err
	}
	user, err := a.cfg.Users.Get(x.ctx(), username)
	if err != nil {
		return err
	}
	x.subject = user.Subject
	if _, err := a.cfg.Factors.Reset(x.ctx(), user.Subject); err != nil {
		return err
	}
	if err := a.cfg.Sessions.EndSubject(x.ctx(), user.Subject); err != nil {
		return err
	}
	return x.done()
}
