package identity_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/htpasswd"
	"github.com/authd-project/authd/identity/identitytest"
	"github.com/authd-project/authd/identity/sqlstore"
)

func quickHasher(t testing.TB) *identity.Hasher {
	t.Helper()
	h, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hashOf(t testing.TB, h *identity.Hasher, password string) string {
	t.Helper()
	if password == "" {
		return ""
	}
	hash, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// managed returns a directory with people.
func managed(t testing.TB, h *identity.Hasher, people ...identitytest.Person) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "users.db"), sqlstore.Config{Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, p := range people {
		if _, err := s.Import(t.Context(), p.Username, hashOf(t, h, p.Password), p.Roles...); err != nil {
			t.Fatal(err)
		}
		if p.Disabled {
			if _, err := s.SetDisabled(t.Context(), p.Username, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// file returns a source of a file with people.
func file(t testing.TB, h *identity.Hasher, people ...identitytest.Person) *htpasswd.Source {
	t.Helper()
	var lines strings.Builder
	for _, p := range people {
		lock := ""
		if p.Disabled {
			lock = "!"
		}
		lines.WriteString(p.Username + ":" + lock + hashOf(t, h, p.Password) + "\n")
	}
	path := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := htpasswd.Open(path, htpasswd.Config{Hasher: h})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// down is a source that does not answer, and says how often it was asked.
type down struct{ asked int }

var errDown = errors.Join(identity.ErrUnavailable, errors.New("down"))

func (d *down) Authenticate(context.Context, string, string) (identity.Account, error) {
	d.asked++
	return identity.Account{}, errDown
}
func (d *down) Account(context.Context, string) (identity.Account, error) {
	d.asked++
	return identity.Account{}, errDown
}
func (d *down) Get(context.Context, string) (identity.User, error) {
	d.asked++
	return identity.User{}, errDown
}
func (d *down) List(context.Context, string, int) ([]identity.User, error) {
	d.asked++
	return nil, errDown
}

// counted counts how often a source is asked for a name and for a password.
type counted struct {
	identity.Reader
	gets, logins int
}

func (c *counted) Get(ctx context.Context, username string) (identity.User, error) {
	c.gets++
	return c.Reader.Get(ctx, username)
}

func (c *counted) Authenticate(ctx context.Context, username, password string) (identity.Account, error) {
	c.logins++
	return c.Reader.Authenticate(ctx, username, password)
}

func inOrder(t testing.TB, sources ...identity.Source) *identity.InOrder {
	t.Helper()
	o, err := identity.NewInOrder(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Several sources are a source like any other, and one alone is the directory that it was.
func TestInOrderConforms(t *testing.T) {
	identitytest.RunReader(t, func(t *testing.T, people ...identitytest.Person) identity.Reader {
		h := quickHasher(t)
		var shares [3][]identitytest.Person
		for i, p := range people {
			shares[i%3] = append(shares[i%3], p)
		}
		return inOrder(t, identity.Source{Users: managed(t, h, shares[0]...)},
			identity.Source{Name: "first", Users: file(t, h, shares[1]...)}, identity.Source{Name: "second", Users: file(t, h, shares[2]...)})
	})
	identitytest.RunReaderRoles(t, func(t *testing.T, people ...identitytest.Person) identity.Reader {
		h := quickHasher(t)
		return inOrder(t, identity.Source{Name: "file", Users: file(t, h)}, identity.Source{Users: managed(t, h, people...)})
	})
	identitytest.RunDirectory(t, func(t *testing.T, h *identity.Hasher) identity.Directory {
		return inOrder(t, identity.Source{Users: managed(t, h)})
	})
}

const right, wrong = "violin marmalade tundra", "copper lantern giraffe"

// A name belongs to the first source that has it, whatever its state there. The password of a namesake in a later one
// opens nothing.
func TestInOrderNamesakes(t *testing.T) {
	h := quickHasher(t)
	first := file(t, h, identitytest.Person{Username: "alice", Password: right},
		identitytest.Person{Username: "disabled", Password: right, Disabled: true}, identitytest.Person{Username: "nopassword"}, identitytest.Person{Username: "filed", Password: right})
	second := managed(t, h, identitytest.Person{Username: "alice", Password: wrong}, identitytest.Person{Username: "disabled", Password: wrong},
		identitytest.Person{Username: "nopassword", Password: wrong}, identitytest.Person{Username: "bob", Password: right})
	o := inOrder(t, identity.Source{Name: "file", Users: first}, identity.Source{Users: second})

	alice, err := o.Authenticate(t.Context(), "alice", right)
	if err != nil || !strings.HasPrefix(alice.Subject, "file:") {
		t.Errorf("Authenticate = %+v, %v", alice, err)
	}
	for _, name := range []string{"alice", "Alice", "disabled", "nopassword"} {
		if account, err := o.Authenticate(t.Context(), name, wrong); !errors.Is(err, identity.ErrInvalidCredentials) {
			t.Errorf("%s, with the password of a later namesake: %+v, %v", name, account, err)
		}
	}
	bob, err := o.Authenticate(t.Context(), "bob", right)
	if err != nil || strings.Contains(bob.Subject, ":") {
		t.Errorf("Authenticate = %+v, %v", bob, err)
	}

	// Changes of a name whose owner cannot be changed hit nobody.
	for name, change := range map[string]func(string) error{
		"SetDisabled": func(n string) error { _, err := o.SetDisabled(t.Context(), n, true); return err },
		"SetPassword": func(n string) error { _, err := o.SetPassword(t.Context(), n, right); return err },
		"SetRoles":    func(n string) error { _, err := o.SetRoles(t.Context(), n, "admin"); return err },
		"Remove":      func(n string) error { _, err := o.Remove(t.Context(), n); return err },
	} {
		if err := change("alice"); !errors.Is(err, identity.ErrReadOnly) {
			t.Errorf("%s of a name of the file: error %v, want ErrReadOnly", name, err)
		}
		if err := change("nobody"); !errors.Is(err, identity.ErrNotFound) {
			t.Errorf("%s of nobody: error %v, want ErrNotFound", name, err)
		}
	}
	if _, err := second.Authenticate(t.Context(), "alice", wrong); err != nil {
		t.Errorf("the namesake was changed: %v", err)
	}
	if _, err := o.Add(t.Context(), "filed", right); !errors.Is(err, identity.ErrExists) {
		t.Errorf("Add of a name of the file: error %v, want ErrExists", err)
	}
	if _, err := o.Import(t.Context(), "FILED", ""); !errors.Is(err, identity.ErrExists) {
		t.Errorf("Import of a name of the file: error %v, want ErrExists", err)
	}
	if dave, err := o.Add(t.Context(), "dave", right); err != nil || dave.Subject == "" {
		t.Errorf("Add = %+v, %v", dave, err)
	}
	if _, err := o.Authenticate(t.Context(), "dave", right); err != nil {
		t.Errorf("the new user: %v", err)
	}
	users, err := o.List(t.Context(), "", 0)
	var names []string
	for _, u := range users {
		names = append(names, u.Username)
	}
	if err != nil || !slices.Equal(names, []string{"alice", "bob", "dave", "disabled", "filed", "nopassword"}) {
		t.Errorf("List = %q, %v", names, err)
	}
}

// The same subject of two sources is two accounts: htpasswd makes equal ones of equal names.
func TestInOrderSubjects(t *testing.T) {
	h := quickHasher(t)
	alice := identitytest.Person{Username: "alice", Password: right}
	one, other := file(t, h, alice), file(t, h, alice)
	a := inOrder(t, identity.Source{Name: "a", Users: one}, identity.Source{Name: "b", Users: other})
	b := inOrder(t, identity.Source{Name: "b", Users: other}, identity.Source{Name: "a", Users: one})
	inA, err := a.Authenticate(t.Context(), "alice", right)
	if err != nil {
		t.Fatal(err)
	}
	inB, err := b.Authenticate(t.Context(), "alice", right)
	if err != nil {
		t.Fatal(err)
	}
	if inA.Subject == inB.Subject {
		t.Errorf("two accounts have the subject %s", inA.Subject)
	}
	for _, o := range []*identity.InOrder{a, b} { // also an account that a namesake now hides keeps its sessions
		for _, want := range []identity.Account{inA, inB} {
			if got, err := o.Account(t.Context(), want.Subject); err != nil || got.Subject != want.Subject {
				t.Errorf("Account(%q) = %+v, %v", want.Subject, got, err)
			}
		}
	}
	bare := strings.TrimPrefix(inA.Subject, "a:")
	for _, subject := range []string{bare, ":" + bare, "c:" + bare, "a:a:" + bare, "A:" + bare, "a:", "a", ""} {
		if account, err := a.Account(t.Context(), subject); !errors.Is(err, identity.ErrNotFound) {
			t.Errorf("Account(%q) = %+v, %v, want ErrNotFound", subject, account, err)
		}
	}
}

// A source that is down ends the matter for names that it may have, and is not noticed by others.
func TestInOrderOutage(t *testing.T) {
	h := quickHasher(t)
	early := file(t, h, identitytest.Person{Username: "early", Password: right})
	late := managed(t, h, identitytest.Person{Username: "late", Password: right})
	d := &down{}
	o := inOrder(t, identity.Source{Name: "file", Users: early}, identity.Source{Name: "ldap", Users: d}, identity.Source{Users: late})

	account, err := o.Authenticate(t.Context(), "early", right)
	if err != nil || d.asked > 0 {
		t.Errorf("a login at an earlier source = %+v, %v, asking the one that is down %d times", account, err, d.asked)
	}
	if _, err := o.Authenticate(t.Context(), "early", wrong); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("a wrong password at an earlier source: error %v", err)
	}
	if _, err := o.Account(t.Context(), account.Subject); err != nil {
		t.Errorf("a refresh at an earlier source: %v", err)
	}
	for name, call := range map[string]func() error{
		"login":       func() error { _, err := o.Authenticate(t.Context(), "late", right); return err },
		"of nobody":   func() error { _, err := o.Authenticate(t.Context(), "nobody", right); return err },
		"refresh":     func() error { _, err := o.Account(t.Context(), "ldap:x"); return err },
		"Get":         func() error { _, err := o.Get(t.Context(), "late"); return err },
		"List":        func() error { _, err := o.List(t.Context(), "", 0); return err },
		"Add":         func() error { _, err := o.Add(t.Context(), "new", right); return err },
		"SetDisabled": func() error { _, err := o.SetDisabled(t.Context(), "late", true); return err },
	} {
		err := call()
		if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, identity.ErrInvalidCredentials) || !strings.HasPrefix(err.Error(), "ldap: ") {
			t.Errorf("%s: error %v, want ErrUnavailable that names the source", name, err)
		}
	}
	bare, err := late.Get(t.Context(), "late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Account(t.Context(), bare.Subject); err != nil {
		t.Errorf("a refresh at a later source: %v", err)
	}
}

// Each refusal has asked each source for the name once, and one for the password: always the same for the same name.
func TestInOrderSameWork(t *testing.T) {
	h := quickHasher(t)
	a := &counted{Reader: file(t, h, identitytest.Person{Username: "alice", Password: right}, identitytest.Person{Username: "off", Password: right, Disabled: true})}
	b := &counted{Reader: file(t, h, identitytest.Person{Username: "bob", Password: right})}
	o := inOrder(t, identity.Source{Name: "a", Users: a}, identity.Source{Name: "b", Users: b})
	asked := map[*counted]int{}
	for _, name := range []string{"alice", "off", "bob", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12"} {
		var before *counted
		for range 3 {
			*a, *b = counted{Reader: a.Reader}, counted{Reader: b.Reader}
			if _, err := o.Authenticate(t.Context(), name, wrong); !errors.Is(err, identity.ErrInvalidCredentials) {
				t.Fatalf("Authenticate(%q): %v", name, err)
			}
			if a.gets != 1 || b.gets != 1 || a.logins+b.logins != 1 {
				t.Errorf("refusing %q looks %d and %d times for the name, and checks %d and %d passwords", name, a.gets, b.gets, a.logins, b.logins)
			}
			by := a
			if b.logins > 0 {
				by = b
			}
			if before != nil && by != before {
				t.Errorf("%q is refused by another source than before", name)
			}
			before = by
			if strings.HasPrefix(name, "s") {
				asked[by]++
			}
		}
	}
	if asked[a] == 0 || asked[b] == 0 {
		t.Errorf("names that nobody has are refused by the sources %d and %d times", asked[a], asked[b])
	}
}

func TestInOrderOfReadOnly(t *testing.T) {
	o := inOrder(t, identity.Source{Name: "file", Users: file(t, quickHasher(t))})
	if _, err := o.Add(t.Context(), "alice", right); !errors.Is(err, identity.ErrReadOnly) {
		t.Errorf("Add: error %v, want ErrReadOnly", err)
	}
	if _, err := o.SetDisabled(t.Context(), "alice", true); !errors.Is(err, identity.ErrReadOnly) {
		t.Errorf("SetDisabled: error %v, want ErrReadOnly", err)
	}
}

func TestNewInOrderRefuses(t *testing.T) {
	h := quickHasher(t)
	users, directory := file(t, h), managed(t, h)
	for name, sources := range map[string][]identity.Source{
		"none":            nil,
		"colon":           {{Name: "a:b", Users: users}},
		"capitals":        {{Name: "LDAP", Users: users}},
		"long name":       {{Name: strings.Repeat("a", 33), Users: users}},
		"a name twice":    {{Name: "a", Users: users}, {Name: "a", Users: users}},
		"no name twice":   {{Users: users}, {Users: users}},
		"two directories": {{Name: "a", Users: directory}, {Name: "b", Users: directory}},
	} {
		if _, err := identity.NewInOrder(sources...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAdopt(t *testing.T) {
	got, err := identity.Adopt(identity.Account{Subject: "5f2c", Username: "Alice@Example.com", Roles: []string{"b", "a", "b"}})
	if err != nil || got.Username != "alice@example.com" || !slices.Equal(got.Roles, []string{"a", "b"}) {
		t.Errorf("Adopt = %+v, %v", got, err)
	}
	for name, a := range map[string]identity.Account{
		"no subject":       {Username: "alice"},
		"line break":       {Subject: "a\r\nX-Auth-Subject: b", Username: "alice"},
		"space":            {Subject: "a b", Username: "alice"},
		"not ASCII":        {Subject: "jos\u00e9", Username: "alice"},
		"long subject":     {Subject: strings.Repeat("a", identity.MaxSubjectLength+1), Username: "alice"},
		"no name":          {Subject: "a"},
		"name with spaces": {Subject: "a", Username: "Alice Smith"},
		"role with spaces": {Subject: "a", Username: "alice", Roles: []string{"domain admins"}},
	} {
		if got, err := identity.Adopt(a); err == nil || got.Subject != "" {
			t.Errorf("%s: Adopt = %+v, %v", name, got, err)
		}
	}
}
