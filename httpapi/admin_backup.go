package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/httpapi/adminapi"
)

// backupTime bounds a backup: what is taken at one moment takes room until it was sent.
const backupTime = time.Hour

// Backups takes backups of all that the process keeps.
type Backups interface {
	// Take returns everything as it is at one moment, while others go on changing it.
	Take(ctx context.Context, r adminapi.BackupRequest) (Backup, error)
}

// Backup is one that waits to be written. Close must be called.
type Backup interface {
	io.WriterTo
	io.Closer
}

// backup sends a backup. It is no GET, as nothing may repeat or keep it that does not know what it is, and as it is recorded.
func (a *admin) backup(x *exchange) error {
	var r adminapi.BackupRequest
	if err := readObject(x, field{Name: "keys_only", Into: &r.KeysOnly}); err != nil {
		return err
	}
	x.note("keys_only", strconv.FormatBool(r.KeysOnly))
	// It takes longer than other requests, and as long as its client likes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx()), backupTime)
	defer cancel()
	_ = http.NewResponseController(x.Response().Writer).SetWriteDeadline(a.now().Add(backupTime)) // none in the same process
	b, err := a.cfg.Backups.Take(ctx, r)
	if err != nil {
		return err
	}
	defer b.Close()
	x.header().Set(echo.HeaderContentType, "application/x-tar")
	x.Response().WriteHeader(http.StatusOK)
	if _, err := b.WriteTo(x.Response()); err != nil {
		return fmt.Errorf("sending a backup: %w", err) // its end is missing, by which it is known
	}
	return nil
}
