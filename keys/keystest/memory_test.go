package keystest_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	keystest.Run(t, func(testing.TB) (keys.Store, func() keys.Store) {
		store := keystest.NewMemory()
		return store, func() keys.Store { return store }
	})
}

func TestMemoryReports(t *testing.T) {
	keystest.RunReports(t, func(_ testing.TB, now time.Time, keepFor time.Duration, most int) (keys.Reports, func(time.Time) keys.Reports) {
		again := func(now time.Time) keys.Reports { return keys.NewMemoryReports(now, keepFor, most) }
		return again(now), again
	})
}
