package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/keys"
)

// checkTime bounds all checks of one readiness probe together.
const checkTime = 2 * time.Second

// live says that the process answers. It checks nothing else: restarting authd mends nothing that it depends on.
func (a *admin) live(x *exchange) error {
	return x.JSON(http.StatusOK, map[string]string{"status": "live"})
}

// ready tells whether requests should be sent here. Which check failed is answered, why is logged.
func (a *admin) ready(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.ctx(), checkTime)
	defer cancel()
	var failed []fieldError
	var causes []error
	for _, c := range a.cfg.Checks {
		if err := c.Probe(ctx); err != nil {
			failed = append(failed, fieldError{Field: c.Name, Detail: "not ready"})
			causes = append(causes, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	if len(failed) > 0 {
		r := unavailable("Not ready.")
		r.fields, r.cause = failed, errors.Join(causes...)
		return &r
	}
	return x.JSON(http.StatusOK, map[string]string{"status": "ready"})
}

// leader answers who leads, in the form of the classic leader-elector sidecar.
func (a *admin) leader(x *exchange) error {
	s := a.cfg.Leadership.Sight()
	return x.JSON(http.StatusOK, adminapi.Leader{
		Name: s.Name, Self: s.Self, Term: s.Term, ValidForMS: s.ValidFor.Milliseconds(),
	})
}

// leaderOnly says, when this process could not change the keys because it does not lead, who can.
func (a *admin) leaderOnly(err error) error {
	if !errors.Is(err, keys.ErrNotLeader) {
		return err
	}
	detail := "Only the leader changes keys, and nobody leads at the moment. Repeat the request in a few seconds."
	if s := a.cfg.Leadership.Sight(); s.Name != "" {
		detail = fmt.Sprintf("Only the leader changes keys. It is %s; ask there.", s.Name)
	}
	return &refusal{status: http.StatusConflict, code: codeNotLeader, detail: detail, cause: err}
}
