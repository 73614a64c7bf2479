package identitytest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
)

// Person is an account that a source is to have, of whatever kind its passwords are.
type Person struct {
	Username string
	Password string // empty: none, so nobody can log in
	Roles    []string
	Disabled bool
}

// OpenReader returns a source with these accounts, each with the username as it is here, and registers its clean-up.
type OpenReader func(t *testing.T, people ...Person) identity.Reader

// RunReader runs what every source of users must do that authd only reads, whoever checks its passwords. Its people have
// no roles: see [RunReaderRoles].
func RunReader(t *testing.T, open OpenReader) {
	for _, c := range []struct {
		name string
		test func(*testing.T, OpenReader)
	}{
		{"LogIn", testReaderLogIn},
		{"Refusals", testReaderRefusals},
		{"Get", testReaderGet},
		{"List", testReaderList},
		{"Context", testReaderContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// RunReaderRoles is [RunReader] for sources whose accounts have roles.
func RunReaderRoles(t *testing.T, open OpenReader) {
	a := open(t,
		Person{Username: "alice", Password: password, Roles: []string{"reader", "admin", "reader"}},
		Person{Username: "bob", Password: password, Roles: []string{"reader"}},
		Person{Username: "carol", Password: password})
	for name, want := range map[string][]string{"alice": {"admin", "reader"}, "bob": {"reader"}, "carol": nil} {
		account := logsIn(t, a, name, password)
		if !slices.Equal(account.Roles, want) {
			t.Errorf("%s has the roles %q, want %q", name, account.Roles, want)
		}
		isSame(t, a, account)
	}
}

// isSame checks that an account which has logged in is found in every other way too.
func isSame(t *testing.T, r identity.Reader, want identity.Account) {
	t.Helper()
	if got, err := r.Account(t.Context(), want.Subject); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Account = %+v, %v, want %+v", got, err, want)
	}
	if got, err := r.Get(t.Context(), want.Username); err != nil || !reflect.DeepEqual(got.Account, want) {
		t.Errorf("Get = %+v, %v, want %+v", got.Account, err, want)
	}
}

func testReaderLogIn(t *testing.T, open OpenReader) {
	r := open(t, Person{Username: "alice@example.com", Password: password}, Person{Username: "bob", Password: another},
		Person{Username: "jos\u00e9", Password: "  cr\u00e8me br\u00fbl\u00e9e, (1*2) \\ \"3\"  "})
	alice := logsIn(t, r, "alice@example.com", password)
	if alice.Username != "alice@example.com" || len(alice.Roles) != 0 || alice.Disabled {
		t.Errorf("Authenticate returned %+v", alice)
	}
	isSame(t, r, alice)
	if again := logsIn(t, r, "ALICE@Example.com", password); again.Subject != alice.Subject {
		t.Errorf("the same user in capitals is %q, not %q", again.Subject, alice.Subject)
	}
	bob := logsIn(t, r, "bob", another)
	if bob.Subject == alice.Subject || bob.Subject == "" {
		t.Errorf("Authenticate returned %+v", bob)
	}
	isSame(t, r, bob)
	jose := logsIn(t, r, "JOSE\u0301", "  cr\u00e8me br\u00fbl\u00e9e, (1*2) \\ \"3\"  ")
	isSame(t, r, jose)
	for _, subject := range []string{"", "nobody", "*", "bob", bob.Subject + "x", bob.Subject[:len(bob.Subject)-1], "a\x00", "a\xff", "' OR '1'='1", "*)(uid=*"} {
		account, err := r.Account(t.Context(), subject)
		if !errors.Is(err, identity.ErrNotFound) || !reflect.DeepEqual(account, identity.Account{}) {
			t.Errorf("Account(%q) = %+v, %v, want ErrNotFound", subject, account, err)
		}
	}
}

func testReaderRefusals(t *testing.T, open OpenReader) {
	r := open(t, Person{Username: "alice", Password: password}, Person{Username: "bob", Password: another},
		Person{Username: "disabled", Password: password, Disabled: true}, Person{Username: "nopassword"})
	for name, login := range map[string][2]string{
		"wrong password":                  {"alice", another},
		"another's password":              {"bob", password},
		"password cut":                    {"alice", password[:len(password)-1]},
		"password longer":                 {"alice", password + "a"},
		"password in other case":          {"alice", strings.ToUpper(password)},
		"password of a wildcard":          {"alice", "*"},
		"empty password":                  {"alice", ""},
		"password of NUL":                 {"alice", "\x00"},
		"password with NUL":               {"alice", password + "\x00"},
		"password of 1025":                {"alice", strings.Repeat("x", identity.MaxPasswordBytes+1)},
		"password not UTF-8":              {"alice", password + "\xff"},
		"unknown user":                    {"mallory", password},
		"unknown user, empty password":    {"mallory", ""},
		"disabled, right password":        {"disabled", password},
		"disabled, wrong password":        {"disabled", another},
		"disabled, empty password":        {"disabled", ""},
		"no password":                     {"nopassword", password},
		"no password, empty":              {"nopassword", ""},
		"empty username":                  {"", password},
		"empty both":                      {"", ""},
		"username that none can be":       {"two words", password},
		"username with NUL":               {"alice\x00", password},
		"username with SQL":               {"alice' OR '1'='1", password},
		"username with SQL, no space":     {"alice'--", password},
		"username of wildcards":           {"%", password},
		"username of a filter's":          {"*", password},
		"username that begins like one":   {"al*", password},
		"username that closes a filter":   {"alice)(uid=*", password},
		"username that closes all of it":  {"*)(objectclass=*))(|(uid=*", password},
		"username with an escape":         {`alic\65`, password},
		"username with a DN":              {"uid=alice,ou=people,dc=example,dc=com", password},
		"username with a comma":           {"alice,ou=people", password},
		"username with a line break":      {"alice\n", password},
		"username of JSON":                {`alice","username":"bob`, password},
		"username with a space around it": {" alice", password},
		"username not UTF-8":              {"alice\xff", password},
		"username of a megabyte":          {strings.Repeat("a", 1<<20), password},
	} {
		t.Run(name, func(t *testing.T) { isRefused(t, r, login[0], login[1]) })
	}
	disabled, err := r.Get(t.Context(), "disabled")
	if err != nil || !disabled.Disabled {
		t.Fatalf("Get of a disabled account = %+v, %v", disabled, err)
	}
	if account, err := r.Account(t.Context(), disabled.Subject); err != nil || !account.Disabled {
		t.Errorf("Account of a disabled account = %+v, %v", account, err)
	}
}

func testReaderGet(t *testing.T, open OpenReader) {
	r := open(t, Person{Username: "alice", Password: password})
	if user, err := r.Get(t.Context(), "ALICE"); err != nil || user.Username != "alice" || !user.HasPassword {
		t.Errorf("Get = %+v, %v", user, err)
	}
	_, err := r.Get(t.Context(), "mallory")
	wantErr(t, "Get of nobody", err, identity.ErrNotFound)
	_, err = r.Get(t.Context(), "two words")
	wantErr(t, "Get of a name that none can be", err, identity.ErrUsername)
}

// A source may be unable to list its users; one that does lists them all, in order.
func testReaderList(t *testing.T, open OpenReader) {
	var people []Person
	var want []string
	for i := range 23 {
		name := fmt.Sprintf("user-%02d", i)
		people, want = append(people, Person{Username: name, Password: password, Disabled: i == 7}), append(want, name)
	}
	slices.Reverse(people)
	r := open(t, people...)
	if _, err := r.List(t.Context(), "", 0); errors.Is(err, identity.ErrNotListed) {
		return
	}
	for _, limit := range []int{0, 1, 10, 23, identity.MaxPage + 1} {
		var got []string
		for after := ""; ; {
			page, err := r.List(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, user := range page {
				got = append(got, user.Username)
				if user.Disabled != (user.Username == "user-07") {
					t.Errorf("List has %+v", user)
				}
			}
			if limit == 0 || len(page) < limit {
				break
			}
			after = page[len(page)-1].Username
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d the list is %q", limit, got)
		}
	}
	if page, err := r.List(t.Context(), "user-05x", 1); err != nil || len(page) != 1 || page[0].Username != "user-06" {
		t.Errorf("behind a name that nobody has stands %+v, %v", page, err)
	}
}

func testReaderContext(t *testing.T, open OpenReader) {
	r := open(t, Person{Username: "alice", Password: password})
	alice := logsIn(t, r, "alice", password)
	for name, call := range map[string]func() error{
		"Authenticate": func() error { _, err := r.Authenticate(canceled(t), "alice", password); return err },
		"Account":      func() error { _, err := r.Account(canceled(t), alice.Subject); return err },
		"Get":          func() error { _, err := r.Get(canceled(t), "alice"); return err },
	} {
		err := call()
		if err == nil || errors.Is(err, identity.ErrInvalidCredentials) || errors.Is(err, identity.ErrNotFound) {
			t.Errorf("%s after the caller left: error %v", name, err)
		}
	}
	isSame(t, r, alice) // and nothing is left of that
}
