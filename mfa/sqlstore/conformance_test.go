package sqlstore_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/mfatest"
	"github.com/authd-project/authd/mfa/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func closing(t *testing.T, s *sqlstore.Store) *sqlstore.Store {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	mfatest.Run(t, func(t *testing.T) mfa.Store {
		s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "factors.db"), sqlstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return closing(t, s)
	})
}

func TestPostgreSQL(t *testing.T) {
	server, err := testenv.StartPostgres()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Remove()
	mfatest.Run(t, func(t *testing.T) mfa.Store {
		s, err := sqlstore.OpenPostgres(t.Context(), server.Database(t, ""), sqlstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return closing(t, s)
	})
}
