package sqlstore_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/identitytest"
	"github.com/authd-project/authd/identity/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSQLite(t *testing.T) {
	identitytest.RunDirectory(t, func(t *testing.T, h *identity.Hasher) identity.Directory {
		return open(t, filepath.Join(t.TempDir(), "users.db"), sqlstore.Config{Hasher: h})
	})
}

func open(t testing.TB, path string, c sqlstore.Config) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), path, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}
