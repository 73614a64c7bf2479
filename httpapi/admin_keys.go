package httpapi

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/keys"
)

func (a *admin) listKeys(x *exchange) error {
	ring, asOf, err := a.cfg.Ring.Ring()
	if err != nil {
		return err
	}
	body := adminapi.KeyList{
		Epoch: ring.Epoch, Term: uint64(ring.Term), Holder: ring.Holder, AsOf: asOf.UTC(),
		Keys: make([]adminapi.Key, len(ring.Keys)),
	}
	for i, k := range ring.Keys {
		body.Keys[i] = adminapi.Key{
			ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), Since: timeOrNil(k.Since), CreatedAt: k.CreatedAt.UTC(),
		}
	}
	if a.cfg.Sealing != nil {
		sealing := a.cfg.Sealing.Sealing(x.ctx())
		sealing.Ring = ring.KEK
		body.Sealing = &sealing
	}
	return x.JSON(http.StatusOK, body)
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// rotateKeys says how long to wait when the standby has not been published for long enough.
func (a *admin) rotateKeys(x *exchange) error {
	kid, err := a.cfg.Keys.Rotate(x.ctx())
	x.note("kid", kid)
	var early *keys.TooYoungError
	if errors.As(err, &early) {
		x.header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(early.Wait.Seconds()))))
		return &refusal{status: http.StatusConflict, code: codeConflict, detail: early.Error(), cause: err}
	}
	if err != nil {
		return a.leaderOnly(err)
	}
	return x.JSON(http.StatusOK, adminapi.Rotated{ID: kid})
}

func (a *admin) revokeKey(x *exchange) error {
	var r adminapi.KeyRevocation
	if err := readObject(x, field{Name: "dry_run", Into: &r.DryRun}); err != nil {
		return err
	}
	kid, err := x.pathParam("kid")
	if err != nil {
		return err
	}
	revoke := a.cfg.Keys.Revoke
	x.note("kid", kid)
	if r.DryRun {
		x.happens("")
		revoke = a.cfg.Keys.BlastRadius
	}
	result, err := revoke(x.ctx(), kid)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, adminapi.KeyRevoked{
		ID: result.KeyID, DryRun: r.DryRun, State: string(result.State), Successor: result.Successor,
		UnknownFor:  int64(math.Ceil(result.UnknownFor.Seconds())),
		TokensUntil: timeOrNil(result.TokensUntil), RevokedUntil: timeOrNil(result.RevokedUntil), Pending: result.Pending,
	})
}
