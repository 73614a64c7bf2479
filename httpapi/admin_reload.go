package httpapi

import (
	"context"
	"net/http"

	"github.com/authd-project/authd/httpapi/adminapi"
)

// Reload reads the settings again, takes over those that may be changed under way, and names those that had changed. It
// changes everything or, with an error, nothing; the error is for whoever wrote the settings. It records the event itself, as
// it may be asked for in other ways.
type Reload func(ctx context.Context) (changed []string, err error)

func (a *admin) reload(x *exchange) error {
	changed, err := a.cfg.Reload(x.ctx())
	if err != nil {
		return &refusal{status: http.StatusConflict, code: codeConflict, detail: err.Error(), cause: err}
	}
	if changed == nil {
		changed = []string{}
	}
	return x.JSON(http.StatusOK, adminapi.Reloaded{Changed: changed})
}
