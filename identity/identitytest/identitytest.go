// Package identitytest holds what every source of users must do. The test of a read-only source calls
// [RunAuthenticator], and [RunRoles] if its accounts have roles; that of one which authd manages calls [RunDirectory].
package identitytest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/identity"
)

// Seed is an account that a source is to have. Its PasswordHash is in PHC form or bcrypt; empty: no password.
type Seed struct {
	Username     string
	PasswordHash string
	Roles        []string
	Disabled     bool
}

// OpenAuthenticator returns a source with these accounts and registers its clean-up.
type OpenAuthenticator func(t *testing.T, h *identity.Hasher, seeds ...Seed) identity.Authenticator

// OpenDirectory returns an empty directory with the zero [identity.Rules] and registers its clean-up.
type OpenDirectory func(t *testing.T, h *identity.Hasher) identity.Directory

// RunAuthenticator runs the part of the suite that needs no changes to the accounts. Its seeds have no roles.
func RunAuthenticator(t *testing.T, open OpenAuthenticator) {
	for _, c := range []struct {
		name string
		test func(*testing.T, OpenAuthenticator)
	}{
		{"LogIn", testLogIn},
		{"Refusals", testRefusals},
		{"SameWork", testSameWork},
		{"SameWorkOfOldCosts", testSameWorkOfOldCosts},
		{"SharesOfOldCosts", testSharesOfOldCosts},
		{"Normalization", testNormalization},
		{"Busy", testBusy},
		{"LoginContext", testLoginContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// RunRoles runs the part of the suite for sources whose accounts have roles.
func RunRoles(t *testing.T, open OpenAuthenticator) {
	t.Run("Roles", func(t *testing.T) { testRoles(t, open) })
}

// RunDirectory runs the whole suite.
func RunDirectory(t *testing.T, open OpenDirectory) {
	seeded := func(t *testing.T, h *identity.Hasher, seeds ...Seed) identity.Authenticator {
		d := open(t, h)
		seed(t, d, seeds...)
		return d
	}
	RunAuthenticator(t, seeded)
	RunRoles(t, seeded)
	for _, c := range []struct {
		name string
		test func(*testing.T, OpenDirectory)
	}{
		{"Add", testAdd},
		{"AddRefuses", testAddRefuses},
		{"AddAtOnce", testAddAtOnce},
		{"Import", testImport},
		{"List", testList},
		{"SetPassword", testSetPassword},
		{"SetDisabled", testSetDisabled},
		{"SetRoles", testSetRoles},
		{"Remove", testRemove},
		{"Unknown", testUnknown},
		{"Upgrade", testUpgrade},
		{"UpgradeAtOnce", testUpgradeAtOnce},
		{"NoUpgradeWithoutLogin", testNoUpgradeWithoutLogin},
		{"Context", testContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

func seed(t *testing.T, d identity.Directory, seeds ...Seed) {
	t.Helper()
	for _, s := range seeds {
		if _, err := d.Import(t.Context(), s.Username, s.PasswordHash, s.Roles...); err != nil {
			t.Fatalf("Import(%q): %v", s.Username, err)
		}
		if s.Disabled {
			if _, err := d.SetDisabled(t.Context(), s.Username, true); err != nil {
				t.Fatalf("SetDisabled(%q): %v", s.Username, err)
			}
		}
	}
}

// password is good enough for any rules, and another is too.
const (
	password = "violin marmalade tundra"
	another  = "copper lantern giraffe"
)

// The costs of current and of old hashes. They are small: what is tested does not depend on the cost.
var (
	current = identity.Params{Memory: 64, Time: 1, Threads: 1}
	old     = identity.Params{Memory: 32, Time: 1, Threads: 1}
)

// work records the hashes that a hasher computes.
type work struct {
	mu     sync.Mutex
	events []identity.HashEvent // without times
}

func (w *work) record(_ context.Context, e identity.HashEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Took, e.Waited = 0, 0
	w.events = append(w.events, e)
}

// take returns what was recorded since the last call.
func (w *work) take() []identity.HashEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}

// argon2id is the event of one argon2id hash, bcryptOf that of a bcrypt hash.
func argon2id(p identity.Params) identity.HashEvent {
	return identity.HashEvent{Scheme: "argon2id", Params: p}
}

func bcryptOf(cost int) identity.HashEvent { return identity.HashEvent{Scheme: "bcrypt", Cost: cost} }

// newHasher returns a hasher with the current costs, and what it computes.
func newHasher(t *testing.T) (*identity.Hasher, *work) {
	t.Helper()
	w := &work{}
	h, err := identity.NewHasher(identity.HasherConfig{Params: current, OnHash: w.record})
	if err != nil {
		t.Fatal(err)
	}
	return h, w
}

// hashOf returns an argon2id hash of a password with the given costs.
func hashOf(t *testing.T, p identity.Params, password string) string {
	t.Helper()
	h, err := identity.NewHasher(identity.HasherConfig{Params: p})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// bcryptHashOf returns a bcrypt hash of the least cost.
func bcryptHashOf(t *testing.T, password string) string {
	t.Helper()
	encoded, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// logsIn checks that a login succeeds and that nothing but the account's own view of itself is returned.
func logsIn(t *testing.T, a identity.Authenticator, username, password string) identity.Account {
	t.Helper()
	account, err := a.Authenticate(t.Context(), username, password)
	if err != nil {
		t.Fatalf("Authenticate(%q): %v", username, err)
	}
	return account
}

// isRefused checks that a login gets the one answer of all refusals, with nothing about the account.
func isRefused(t *testing.T, a identity.Authenticator, username, password string) {
	t.Helper()
	account, err := a.Authenticate(t.Context(), username, password)
	if !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Fatalf("Authenticate(%q): error %v, want ErrInvalidCredentials", username, err)
	}
	if err.Error() != identity.ErrInvalidCredentials.Error() {
		t.Errorf("Authenticate(%q): the error tells more than the others: %v", username, err)
	}
	if !reflect.DeepEqual(account, identity.Account{}) {
		t.Errorf("Authenticate(%q) returned %+v beside the refusal", username, account)
	}
}

func wantErr(t *testing.T, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", doing, got, want)
	}
}

func wantWork(t *testing.T, doing string, w *work, want ...identity.HashEvent) {
	t.Helper()
	if got := w.take(); !slices.Equal(got, want) {
		t.Errorf("%s computed %+v, want %+v", doing, got, want)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
