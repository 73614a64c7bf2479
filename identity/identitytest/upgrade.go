package identitytest

import (
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/identity"
)

// outdated are hashes of password that a login replaces, each with the work of verifying it.
func outdated(t *testing.T) map[string]struct {
	hash string
	cost identity.HashEvent
} {
	return map[string]struct {
		hash string
		cost identity.HashEvent
	}{
		"argon2id": {hashOf(t, old, password), argon2id(old)},
		"bcrypt":   {bcryptHashOf(t, password), bcryptOf(bcrypt.MinCost)},
	}
}

func testUpgrade(t *testing.T, o OpenDirectory) {
	for name, c := range outdated(t) {
		t.Run(name, func(t *testing.T) {
			d, work := open(t, o)
			seed(t, d, Seed{Username: "alice", PasswordHash: c.hash})
			before := get(t, d, "alice")
			logsIn(t, d, "alice", password)
			wantWork(t, "the first login", work, c.cost, argon2id(current))
			logsIn(t, d, "alice", password)
			wantWork(t, "the second login", work, argon2id(current))
			isRefused(t, d, "alice", another)
			if after := get(t, d, "alice"); !after.PasswordChangedAt.Equal(before.PasswordChangedAt) ||
				!after.UpdatedAt.Equal(before.UpdatedAt) {
				t.Errorf("an upgrade counts as a change: before %+v, after %+v", before, after)
			}
		})
	}
}

func testUpgradeAtOnce(t *testing.T, o OpenDirectory) {
	d, work := open(t, o)
	seed(t, d, Seed{Username: "alice", PasswordHash: bcryptHashOf(t, password)})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := d.Authenticate(t.Context(), "alice", password); err != nil {
				t.Errorf("Authenticate while the hash is upgraded: %v", err)
			}
		})
	}
	wg.Wait()
	work.take()
	logsIn(t, d, "alice", password)
	wantWork(t, "a login afterwards", work, argon2id(current))
}

func testNoUpgradeWithoutLogin(t *testing.T, o OpenDirectory) {
	for name, c := range outdated(t) {
		t.Run(name, func(t *testing.T) {
			d, work := open(t, o)
			seed(t, d, Seed{Username: "alice", PasswordHash: c.hash})
			for range 2 {
				isRefused(t, d, "alice", another)
				wantWork(t, "a wrong password", work, c.cost)
			}
			if _, err := d.SetDisabled(t.Context(), "alice", true); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				isRefused(t, d, "alice", password)
				wantWork(t, "a disabled account", work, c.cost)
			}
		})
	}
}
