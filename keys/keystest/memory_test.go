package keystest_test

import (
	"testing"

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
