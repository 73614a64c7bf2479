package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/httpapi/adminclient"
)

// pretendedBackups are backups of nothing; cmd/authd has the real ones.
type pretendedBackups struct{}

func (pretendedBackups) Take(_ context.Context, r adminapi.BackupRequest) (httpapi.Backup, error) {
	if r.KeysOnly {
		return nil, errors.New("no room")
	}
	return pretendedBackup{}, nil
}

type pretendedBackup struct{}

func (pretendedBackup) WriteTo(w io.Writer) (n int64, err error) {
	for range 100 {
		m, err := w.Write(bytes.Repeat([]byte("x"), 1000))
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (pretendedBackup) Close() error { return nil }

// pretendedSealing is one of which nothing is known.
type pretendedSealing struct{}

func (pretendedSealing) Sealing(context.Context) adminapi.Sealing {
	return adminapi.Sealing{Given: []string{"0123456789abcdef"}}
}

// A backup comes as a stream, over the network and within the process, and its failure before it began as a problem.
func TestAdminBackup(t *testing.T) {
	e := newEnv(t)
	for name, transport := range map[string]http.RoundTripper{"network": nil, "process": adminclient.InProcess(e.admin)} {
		c, err := adminclient.New(adminclient.Config{URL: e.adminURL, Token: adminToken, Transport: transport})
		must(t, err)
		var got bytes.Buffer
		must(t, c.Backup(t.Context(), adminapi.BackupRequest{}, &got))
		if got.String() != strings.Repeat("x", 100_000) {
			t.Errorf("%s: %d bytes", name, got.Len())
		}
		var refused *adminclient.Error
		if err := c.Backup(t.Context(), adminapi.BackupRequest{KeysOnly: true}, io.Discard); !errors.As(err, &refused) || refused.Status != 500 {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Backup(t.Context(), adminapi.BackupRequest{}, brokenPipe{}); !errors.Is(err, errBrokenPipe) {
			t.Errorf("%s: a writer that fails: %v", name, err)
		}
	}
}

type brokenPipe struct{}

var errBrokenPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBrokenPipe }
