package sqlstore

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
)

// Postgres is the server that the tests share, each with a database of its own.
var Postgres *testenv.PostgresServer

func TestMain(m *testing.M) { goleak.VerifyTestMain(withPostgres{m}) }

type withPostgres struct{ tests *testing.M }

func (w withPostgres) Run() int {
	server, err := testenv.StartPostgres()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Remove()
	Postgres = server
	return w.tests.Run()
}

// NewPostgresDatabase returns the URL of an empty database that sorts text as English does, unless it is told otherwise:
// "a-b" after "ab", and before "aC".
func NewPostgresDatabase(t testing.TB) string {
	t.Helper()
	return Postgres.Database(t, "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
}
