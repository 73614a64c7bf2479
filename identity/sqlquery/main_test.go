package sqlquery_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
)

// postgres is the server that the tests share, each with a database of its own.
var postgres *testenv.PostgresServer

func TestMain(m *testing.M) { goleak.VerifyTestMain(withPostgres{m}) }

type withPostgres struct{ tests *testing.M }

func (w withPostgres) Run() int {
	server, err := testenv.StartPostgres()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Remove()
	postgres = server
	return w.tests.Run()
}
