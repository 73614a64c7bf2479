package identitytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/identity"
)

func testLogIn(t *testing.T, open OpenAuthenticator) {
	h, work := newHasher(t)
	a := open(t, h,
		Seed{Username: "alice@example.com", PasswordHash: hashOf(t, current, password)},
		Seed{Username: "bob", PasswordHash: hashOf(t, current, password)})

	alice := logsIn(t, a, "alice@example.com", password)
	if alice.Username != "alice@example.com" || alice.Roles != nil || alice.Disabled {
		t.Errorf("Authenticate returned %+v", alice)
	}
	wantWork(t, "a login", work, argon2id(current))
	if again := logsIn(t, a, "ALICE@Example.com", password); again.Subject != alice.Subject {
		t.Errorf("the same user in capitals is %q, not %q", again.Subject, alice.Subject)
	}
	bob := logsIn(t, a, "bob", password)
	if bob.Subject == alice.Subject || bob.Subject == "" || len(bob.Roles) != 0 {
		t.Errorf("Authenticate returned %+v", bob)
	}

	account, err := a.Account(t.Context(), alice.Subject)
	if err != nil || !reflect.DeepEqual(account, alice) {
		t.Errorf("Account = %+v, %v, want %+v", account, err, alice)
	}
	for _, subject := range []string{"", "nobody", "alice@example.com", strings.ToLower(alice.Subject) + "x", "a\x00", "a\xff"} {
		_, err := a.Account(t.Context(), subject)
		wantErr(t, fmt.Sprintf("Account(%q)", subject), err, identity.ErrNotFound)
	}
}

func testRoles(t *testing.T, open OpenAuthenticator) {
	h, _ := newHasher(t)
	a := open(t, h, Seed{Username: "alice", PasswordHash: hashOf(t, current, password), Roles: []string{"admin", "reader"}})
	alice := logsIn(t, a, "alice", password)
	if !slices.Equal(alice.Roles, []string{"admin", "reader"}) {
		t.Errorf("Authenticate returned %+v", alice)
	}
	account, err := a.Account(t.Context(), alice.Subject)
	if err != nil || !reflect.DeepEqual(account, alice) {
		t.Errorf("Account = %+v, %v, want %+v", account, err, alice)
	}
}

// refusals are the logins that must all look alike, of a source with these accounts.
func refusals(t *testing.T) (logins map[string][2]string, seeds []Seed) {
	seeds = []Seed{
		{Username: "alice", PasswordHash: hashOf(t, current, password)},
		{Username: "disabled", PasswordHash: hashOf(t, current, password), Disabled: true},
		{Username: "nopassword"},
	}
	return map[string][2]string{
		"wrong password":             {"alice", another},
		"password cut":               {"alice", password[:len(password)-1]},
		"password longer":            {"alice", password + "a"},
		"password in other case":     {"alice", strings.ToUpper(password)},
		"unknown user":               {"mallory", password},
		"disabled, right password":   {"disabled", password},
		"disabled, wrong password":   {"disabled", another},
		"no password":                {"nopassword", password},
		"empty username":             {"", password},
		"username that none can be":  {"two words", password},
		"username with NUL":          {"alice\x00", password},
		"username with SQL":          {"alice' OR '1'='1", password},
		"username of one wildcard":   {"%", password},
		"username not UTF-8":         {"alice\xff", password},
		"username of a megabyte":     {strings.Repeat("a", 1<<20), password},
		"username of 129 characters": {strings.Repeat("a", 129), password},
	}, seeds
}

func testRefusals(t *testing.T, open OpenAuthenticator) {
	h, _ := newHasher(t)
	logins, seeds := refusals(t)
	a := open(t, h, seeds...)
	for name, login := range logins {
		t.Run(name, func(t *testing.T) { isRefused(t, a, login[0], login[1]) })
	}
	// The answer to these depends on what was typed alone, so it may come without the work.
	for name, password := range map[string]string{
		"empty password":      "",
		"password of 1025":    strings.Repeat("x", identity.MaxPasswordBytes+1),
		"password not UTF-8":  password + "\xff",
		"password unassigned": password + "\u0378",
	} {
		t.Run(name, func(t *testing.T) {
			for _, username := range []string{"alice", "disabled", "nopassword", "mallory"} {
				isRefused(t, a, username, password)
			}
		})
	}
}

// Who measures the time of a refusal measures one hash, the same for all. Counting says so without a clock.
func testSameWork(t *testing.T, open OpenAuthenticator) {
	h, work := newHasher(t)
	logins, seeds := refusals(t)
	a := open(t, h, seeds...)
	for name, login := range logins {
		work.take()
		isRefused(t, a, login[0], login[1])
		wantWork(t, name, work, argon2id(current))
	}

	empty := open(t, h)
	isRefused(t, empty, "mallory", password)
	wantWork(t, "an unknown user of an empty source", work, argon2id(current))
}

// Where all accounts still have costs of another time, an unknown user costs what they do.
func testSameWorkOfOldCosts(t *testing.T, open OpenAuthenticator) {
	for name, c := range map[string]struct {
		hash string
		want identity.HashEvent
	}{
		"argon2id": {hashOf(t, old, password), argon2id(old)},
		"bcrypt":   {bcryptHashOf(t, password), bcryptOf(bcrypt.MinCost)},
	} {
		t.Run(name, func(t *testing.T) {
			h, work := newHasher(t)
			seeds := []Seed{
				{Username: "alice", PasswordHash: c.hash},
				{Username: "disabled", PasswordHash: c.hash, Disabled: true},
			}
			for i := range 16 { // these have no costs to lend
				seeds = append(seeds, Seed{Username: fmt.Sprint("nopassword", i)})
			}
			a := open(t, h, seeds...)
			for _, login := range [][2]string{
				{"alice", another}, {"disabled", password}, {"nopassword0", password}, {"nopassword1", password},
				{"mallory", password}, {"trudy", password}, {"", password},
			} {
				isRefused(t, a, login[0], login[1])
				wantWork(t, fmt.Sprintf("refusing %q", login[0]), work, c.want)
			}
		})
	}
}

// Where accounts have different costs, unknown users have them in like shares, and each of them always the same.
func testSharesOfOldCosts(t *testing.T, open OpenAuthenticator) {
	h, work := newHasher(t)
	const accounts, strangers = 40, 80
	var seeds []Seed
	for i := range accounts {
		params := old
		if i%2 == 0 {
			params = current
		}
		seeds = append(seeds, Seed{Username: fmt.Sprint("user", i), PasswordHash: hashOf(t, params, password)}) // each with a salt of its own
	}
	a := open(t, h, seeds...)
	var ofOldCost int
	for i := range strangers {
		stranger := fmt.Sprint("stranger", i)
		isRefused(t, a, stranger, password)
		first := work.take()
		isRefused(t, a, stranger, another)
		wantWork(t, "the second attempt of "+stranger, work, first...)
		if slices.Contains(first, argon2id(old)) {
			ofOldCost++
		}
	}
	// Which account lends its costs follows random subjects or salts. A fair half stays far within these bounds.
	if ofOldCost < strangers/20 || ofOldCost > strangers*19/20 {
		t.Errorf("%d of %d unknown users have the old costs, although half of the accounts do", ofOldCost, strangers)
	}
}

func testNormalization(t *testing.T, open OpenAuthenticator) {
	h, _ := newHasher(t)
	a := open(t, h, Seed{Username: "jos\u00e9", PasswordHash: hashOf(t, current, "cr\u00e8me br\u00fbl\u00e9e")})
	composed := logsIn(t, a, "jos\u00e9", "cr\u00e8me br\u00fbl\u00e9e")
	decomposed := logsIn(t, a, "JOSE\u0301", "cre\u0300me bru\u0302le\u0301e")
	if composed.Subject != decomposed.Subject {
		t.Errorf("two spellings of one name are %q and %q", composed.Subject, decomposed.Subject)
	}
	isRefused(t, a, "jose", "cr\u00e8me br\u00fbl\u00e9e")
	isRefused(t, a, "jos\u00e9", "creme brulee")
}

func testBusy(t *testing.T, open OpenAuthenticator) {
	held, release := make(chan struct{}), make(chan struct{})
	h, err := identity.NewHasher(identity.HasherConfig{
		Params: current, Concurrency: 1, Queue: 1, Wait: time.Nanosecond,
		OnHash: func(context.Context, identity.HashEvent) { held <- struct{}{}; <-release },
	})
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, h, Seed{Username: "alice", PasswordHash: hashOf(t, current, password)})
	first := make(chan error)
	go func() { _, err := a.Authenticate(context.WithoutCancel(t.Context()), "alice", password); first <- err }()
	<-held
	for _, username := range []string{"alice", "mallory"} {
		_, err := a.Authenticate(t.Context(), username, password)
		wantErr(t, "a login beyond the pool", err, identity.ErrBusy)
		if errors.Is(err, identity.ErrInvalidCredentials) {
			t.Errorf("a login beyond the pool says that the credentials are wrong: %v", err)
		}
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the login that ran: %v", err)
	}
}

func testLoginContext(t *testing.T, open OpenAuthenticator) {
	h, work := newHasher(t)
	a := open(t, h, Seed{Username: "alice", PasswordHash: hashOf(t, current, password)})
	_, err := a.Authenticate(canceled(t), "alice", password)
	wantErr(t, "Authenticate after the caller left", err, context.Canceled)
	wantWork(t, "a login after the caller left", work)
	_, err = a.Account(canceled(t), "alice")
	wantErr(t, "Account after the caller left", err, context.Canceled)
}
