package httpapi_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
)

// chromium is shared by all tests, since its start takes seconds.
var chromium testenv.Browser //nolint:gochecknoglobals // it ends with the suite

// suite ends what its tests share before anybody looks for goroutines that are left.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	if err := chromium.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "closing chromium:", err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }
