package htpasswd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/htpasswd"
	"github.com/authd-project/authd/identity/identitytest"
)

func TestSource(t *testing.T) {
	identitytest.RunAuthenticator(t, func(t *testing.T, h *identity.Hasher, seeds ...identitytest.Seed) identity.Authenticator {
		var lines strings.Builder
		for _, seed := range seeds {
			lock := ""
			if seed.Disabled {
				lock = "!"
			}
			lines.WriteString(seed.Username + ":" + lock + seed.PasswordHash + "\n")
		}
		s, err := htpasswd.Open(write(t, lines.String()), htpasswd.Config{Hasher: h})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func write(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}
