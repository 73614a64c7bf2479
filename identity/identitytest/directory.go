package identitytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/authd-project/authd/identity"
)

func open(t *testing.T, o OpenDirectory) (identity.Directory, *work) {
	t.Helper()
	h, w := newHasher(t)
	return o(t, h), w
}

func add(t *testing.T, d identity.Directory, username string, roles ...string) identity.Account {
	t.Helper()
	account, err := d.Add(t.Context(), username, password, roles...)
	if err != nil {
		t.Fatalf("Add(%q): %v", username, err)
	}
	return account
}

func get(t *testing.T, d identity.Directory, username string) identity.User {
	t.Helper()
	user, err := d.Get(t.Context(), username)
	if err != nil {
		t.Fatalf("Get(%q): %v", username, err)
	}
	return user
}

func testAdd(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	alice := add(t, d, "Alice", "writer", "admin", "admin")
	want := identity.Account{
		Subject: alice.Subject, Username: "alice", Roles: []string{"admin", "writer"}, PasswordChangedAt: alice.PasswordChangedAt,
	}
	if !reflect.DeepEqual(alice, want) {
		t.Errorf("Add returned %+v, want %+v", alice, want)
	}
	if len(alice.Subject) != 22 || strings.Contains(alice.Subject, "alice") {
		t.Errorf("subject %q, want 128 random bits in base64url", alice.Subject)
	}
	user := get(t, d, "ALICE")
	if !reflect.DeepEqual(user.Account, alice) || !user.HasPassword {
		t.Errorf("Get returned %+v, want the account %+v with a password", user, alice)
	}
	if user.CreatedAt.IsZero() || !user.UpdatedAt.Equal(user.CreatedAt) || !user.PasswordChangedAt.Equal(user.CreatedAt) {
		t.Errorf("times of a new account: %+v", user)
	}
	if got := logsIn(t, d, "alice", password); !reflect.DeepEqual(got, alice) {
		t.Errorf("Authenticate returned %+v, want %+v", got, alice)
	}
	if bob := add(t, d, "bob"); bob.Subject == alice.Subject || bob.Roles != nil {
		t.Errorf("Add returned %+v for another", bob)
	}
}

func testAddRefuses(t *testing.T, o OpenDirectory) {
	d, work := open(t, o)
	add(t, d, "alice")
	work.take()
	for name, c := range map[string]struct {
		username, password string
		roles              []string
		want               error
	}{
		"name is taken":                  {"alice", password, nil, identity.ErrExists},
		"name is taken in capitals":      {"ALICE", password, nil, identity.ErrExists},
		"name is taken in full width":    {"\uff41lice", password, nil, identity.ErrExists},
		"no name":                        {"", password, nil, identity.ErrUsername},
		"space in the name":              {"two words", password, nil, identity.ErrUsername},
		"role with a space":              {"bob", password, []string{"two words"}, identity.ErrRoles},
		"no password":                    {"bob", "", nil, identity.ErrWeakPassword},
		"short password":                 {"bob", "violin", nil, identity.ErrWeakPassword},
		"common password":                {"bob", "password1", nil, identity.ErrWeakPassword},
		"long password":                  {"bob", strings.Repeat("violin", 200), nil, identity.ErrWeakPassword},
		"password is the username":       {"robert.smith", "robert.smith", nil, identity.ErrWeakPassword},
		"password is the name, typed so": {"ROBERT.SMITH", "robert.smith1", nil, identity.ErrWeakPassword},
	} {
		_, err := d.Add(t.Context(), c.username, c.password, c.roles...)
		wantErr(t, name, err, c.want)
		wantWork(t, name, work)
	}
	if users, err := d.List(t.Context(), "", 0); err != nil || len(users) != 1 {
		t.Errorf("List = %d accounts, %v, want the one that was added", len(users), err)
	}
}

// Of several who add one name at once, one does.
func testAddAtOnce(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	var added atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, err := d.Add(t.Context(), "alice", password); {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, identity.ErrExists):
				t.Errorf("Add: error %v, want ErrExists", err)
			}
		})
	}
	wg.Wait()
	if n := added.Load(); n != 1 {
		t.Errorf("%d accounts were added under one name", n)
	}
}

func testImport(t *testing.T, o OpenDirectory) {
	d, work := open(t, o)
	alice, err := d.Import(t.Context(), "Alice", bcryptHashOf(t, password), "admin")
	if err != nil {
		t.Fatal(err)
	}
	wantWork(t, "Import", work)
	if user := get(t, d, "alice"); !user.HasPassword || !user.PasswordChangedAt.IsZero() {
		t.Errorf("imported with a hash: %+v", user)
	}
	if got := logsIn(t, d, "alice", password); !reflect.DeepEqual(got, alice) {
		t.Errorf("Authenticate returned %+v, want %+v", got, alice)
	}
	if _, err := d.Import(t.Context(), "bob", ""); err != nil {
		t.Fatal(err)
	}
	if user := get(t, d, "bob"); user.HasPassword {
		t.Errorf("imported without a hash: %+v", user)
	}
	for name, c := range map[string]struct {
		username, hash string
		want           error
	}{
		"taken":         {"ALICE", bcryptHashOf(t, password), identity.ErrExists},
		"bad name":      {"two words", "", identity.ErrUsername},
		"plain text":    {"carol", password, identity.ErrHash},
		"4 GiB of hash": {"carol", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", identity.ErrHash},
	} {
		_, err := d.Import(t.Context(), c.username, c.hash)
		wantErr(t, name, err, c.want)
	}
}

func testList(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	if users, err := d.List(t.Context(), "", 0); err != nil || len(users) != 0 {
		t.Errorf("an empty directory: %v, %v", users, err)
	}
	want := []string{"a-b", "a.b", "a_b", "ab", "ab-c", "abc", "a\u00e9"} // a language would order them otherwise
	for _, i := range []int{3, 0, 6, 1, 5, 2, 4} {
		if _, err := d.Import(t.Context(), want[i], ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{0, -1, 1, 3, 7, 1 << 30} {
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			page, err := d.List(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if limit > 0 && len(page) > limit {
				t.Fatalf("a page of %d, asked for %d", len(page), limit)
			}
			if len(page) == 0 {
				break
			}
			for _, user := range page {
				got = append(got, user.Username)
				if !reflect.DeepEqual(user, get(t, d, user.Username)) {
					t.Errorf("List and Get differ about %q", user.Username)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
	for _, after := range []string{"a\x00", "a\xff"} {
		_, err := d.List(t.Context(), after, 0)
		wantErr(t, fmt.Sprintf("List after %q", after), err, identity.ErrUsername)
	}
}

func testSetPassword(t *testing.T, o OpenDirectory) {
	d, work := open(t, o)
	alice := add(t, d, "alice", "admin")
	before := get(t, d, "alice")
	got, err := d.SetPassword(t.Context(), "Alice", another)
	alice.PasswordChangedAt = get(t, d, "alice").PasswordChangedAt
	if err != nil || !reflect.DeepEqual(got, alice) {
		t.Fatalf("SetPassword = %+v, %v, want %+v", got, err, alice)
	}
	isRefused(t, d, "alice", password)
	logsIn(t, d, "alice", another)
	after := get(t, d, "alice")
	if !after.PasswordChangedAt.After(before.PasswordChangedAt) || !after.UpdatedAt.Equal(after.PasswordChangedAt) ||
		!after.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("times before: %+v, after: %+v", before, after)
	}

	work.take()
	for name, weak := range map[string]string{"short": "violin", "common": "password1", "username": "alicealice"} {
		_, err := d.SetPassword(t.Context(), "alice", weak)
		wantErr(t, name, err, identity.ErrWeakPassword)
		wantWork(t, name, work)
	}
	logsIn(t, d, "alice", another)

	if _, err := d.Import(t.Context(), "bob", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetPassword(t.Context(), "bob", password); err != nil {
		t.Fatal(err)
	}
	logsIn(t, d, "bob", password)
}

func testSetDisabled(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	alice := add(t, d, "alice", "admin")
	for _, disabled := range []bool{true, true, false, false} {
		want := alice
		want.Disabled = disabled
		got, err := d.SetDisabled(t.Context(), "ALICE", disabled)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("SetDisabled(%v) = %+v, %v, want %+v", disabled, got, err, want)
		}
		if got, err := d.Account(t.Context(), alice.Subject); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Account = %+v, %v, want %+v", got, err, want)
		}
		if disabled {
			isRefused(t, d, "alice", password)
		} else {
			logsIn(t, d, "alice", password)
		}
	}
}

func testSetRoles(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	alice := add(t, d, "alice", "admin")
	for _, roles := range [][]string{{"reader", "auditor", "reader"}, nil} {
		want := alice
		want.Roles = slices.Compact(slices.Sorted(slices.Values(roles)))
		got, err := d.SetRoles(t.Context(), "Alice", roles...)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("SetRoles(%q) = %+v, %v, want %+v", roles, got, err, want)
		}
		if got := logsIn(t, d, "alice", password); !reflect.DeepEqual(got, want) {
			t.Errorf("Authenticate returned %+v, want %+v", got, want)
		}
	}
	_, err := d.SetRoles(t.Context(), "alice", "two words")
	wantErr(t, "a role with a space", err, identity.ErrRoles)
}

func testRemove(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	alice, bob := add(t, d, "alice"), add(t, d, "bob")
	got, err := d.Remove(t.Context(), "Alice")
	if err != nil || !reflect.DeepEqual(got, alice) {
		t.Fatalf("Remove = %+v, %v, want %+v", got, err, alice)
	}
	isRefused(t, d, "alice", password)
	_, err = d.Account(t.Context(), alice.Subject)
	wantErr(t, "Account of the removed", err, identity.ErrNotFound)
	if got := logsIn(t, d, "bob", password); !reflect.DeepEqual(got, bob) {
		t.Errorf("the other account became %+v", got)
	}
	if again := add(t, d, "alice"); again.Subject == alice.Subject {
		t.Errorf("the subject %q was given away again", alice.Subject)
	}
	_, err = d.Account(t.Context(), alice.Subject)
	wantErr(t, "Account of the removed after another took the name", err, identity.ErrNotFound)
}

// changes are the methods that need an existing account.
func changes(d identity.Directory, username string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Get":         func(ctx context.Context) error { _, err := d.Get(ctx, username); return err },
		"SetPassword": func(ctx context.Context) error { _, err := d.SetPassword(ctx, username, another); return err },
		"SetDisabled": func(ctx context.Context) error { _, err := d.SetDisabled(ctx, username, true); return err },
		"SetRoles":    func(ctx context.Context) error { _, err := d.SetRoles(ctx, username, "admin"); return err },
		"Remove":      func(ctx context.Context) error { _, err := d.Remove(ctx, username); return err },
	}
}

func testUnknown(t *testing.T, o OpenDirectory) {
	d, work := open(t, o)
	add(t, d, "alice")
	work.take()
	for name, change := range changes(d, "mallory") {
		wantErr(t, name+" of an unknown user", change(t.Context()), identity.ErrNotFound)
		wantWork(t, name+" of an unknown user", work)
	}
	for name, change := range changes(d, "two words") {
		wantErr(t, name+" of no name", change(t.Context()), identity.ErrUsername)
	}
}

func testContext(t *testing.T, o OpenDirectory) {
	d, _ := open(t, o)
	alice := add(t, d, "alice")
	calls := changes(d, "alice")
	calls["Add"] = func(ctx context.Context) error { _, err := d.Add(ctx, "bob", password); return err }
	calls["Import"] = func(ctx context.Context) error { _, err := d.Import(ctx, "bob", ""); return err }
	calls["List"] = func(ctx context.Context) error { _, err := d.List(ctx, "", 0); return err }
	for name, call := range calls {
		wantErr(t, name+" after the caller left", call(canceled(t)), context.Canceled)
	}
	if got := logsIn(t, d, "alice", password); !reflect.DeepEqual(got, alice) {
		t.Errorf("after all that the account is %+v", got)
	}
}
