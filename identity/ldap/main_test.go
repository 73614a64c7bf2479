package ldap_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
)

// directory is the server that most tests share, each with units of its own.
var directory *testenv.LDAPServer

func TestMain(m *testing.M) { goleak.VerifyTestMain(withLDAP{m}) }

type withLDAP struct{ tests *testing.M }

func (w withLDAP) Run() int {
	server, err := testenv.StartLDAP()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Remove()
	directory = server
	return w.tests.Run()
}
