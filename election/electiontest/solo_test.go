package electiontest_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/election/electiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSolo(t *testing.T) {
	electiontest.RunAlone(t, func(*testing.T) electiontest.Backend {
		return electiontest.Backend{Candidate: func(identity string) election.Elector {
			return election.NewSolo(identity, time.Now)
		}}
	})
}
