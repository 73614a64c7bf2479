package adminclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/authd-project/authd/httpapi/adminapi"
)

// Backup writes a backup to w. When it returns nil, all that the server has sent is written; whether that is whole only a
// reader of the archive can tell. It takes as long as it takes: let ctx bound it.
func (c *Client) Backup(ctx context.Context, r adminapi.BackupRequest, w io.Writer) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath("admin", "backup").String(), bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.base.Host, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	unhurried := *c.http
	unhurried.Timeout = 0
	resp, err := unhurried.Do(req)
	if err != nil {
		return fmt.Errorf("asking the admin API: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return decode(resp, nil)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	return nil
}
