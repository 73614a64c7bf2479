package ldap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/identitytest"
	"github.com/authd-project/authd/identity/ldap"
	"github.com/authd-project/authd/internal/testenv"
)

const password = "violin marmalade tundra"

// units counts those that tests have made.
var units atomic.Int32

// newUnit makes a unit for the users and groups of one test, and returns its DN.
func newUnit(t testing.TB, s *testenv.LDAPServer) string {
	t.Helper()
	dn := fmt.Sprintf("ou=test-%d,%s", units.Add(1), testenv.LDAPSuffix)
	s.Apply(t, ldif("dn", dn, "changetype", "add", "objectClass", "organizationalUnit"))
	return dn
}

// ldif returns an entry or a change of pairs of names and values.
func ldif(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s:: %s\n", pairs[i], base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.ReplaceAll(b.String(), "changetype:: YWRk", "changetype: add") + "\n"
}

// person is the LDIF of a user. Pairs of further attributes may follow.
func person(unit, uid, password string, more ...string) string {
	pairs := []string{"dn", dnOf(unit, uid), "changetype", "add", "objectClass", "inetOrgPerson", "uid", uid, "cn", uid, "sn", uid}
	if password != "" {
		pairs = append(pairs, "userPassword", password)
	}
	return ldif(append(pairs, more...)...)
}

func dnOf(unit, uid string) string { return "uid=" + uid + "," + unit }

// groups is the LDIF of a unit's groups.
func groups(unit string, members map[string][]string) string {
	var b strings.Builder
	for name, uids := range members {
		pairs := []string{"dn", "cn=" + name + "," + unit, "changetype", "add", "objectClass", "groupOfNames", "cn", name}
		for _, uid := range uids {
			pairs = append(pairs, "member", dnOf(unit, uid))
		}
		b.WriteString(ldif(pairs...))
	}
	return b.String()
}

// config is that of a source of the users of a unit.
func config(s *testenv.LDAPServer, unit string) ldap.Config {
	return ldap.Config{
		URLs: []string{"ldap://" + s.Addr}, BindDN: testenv.LDAPReader, BindPassword: testenv.LDAPReaderPassword,
		Base: unit, Filter: "(objectClass=inetOrgPerson)", Disabled: "(employeeType=disabled)",
		Roles: ldap.Roles{Attribute: "memberOf", Base: unit},
	}
}

func open(t testing.TB, c ldap.Config) *ldap.Source {
	t.Helper()
	s, err := ldap.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// seed makes a unit with people.
func seed(t testing.TB, people ...identitytest.Person) (unit string) {
	t.Helper()
	unit = newUnit(t, directory)
	members := map[string][]string{}
	var text strings.Builder
	for _, p := range people {
		var more []string
		if p.Disabled {
			more = []string{"employeeType", "disabled"}
		}
		text.WriteString(person(unit, p.Username, p.Password, more...))
		for _, role := range p.Roles {
			if !slices.Contains(members[role], p.Username) {
				members[role] = append(members[role], p.Username)
			}
		}
	}
	directory.Apply(t, text.String()+groups(unit, members))
	return unit
}

func TestSource(t *testing.T) {
	identitytest.RunReader(t, func(t *testing.T, people ...identitytest.Person) identity.Reader {
		return open(t, config(directory, seed(t, people...)))
	})
}

func TestRoles(t *testing.T) {
	t.Run("memberOf", func(t *testing.T) {
		identitytest.RunReaderRoles(t, func(t *testing.T, people ...identitytest.Person) identity.Reader {
			return open(t, config(directory, seed(t, people...)))
		})
	})
	t.Run("search", func(t *testing.T) {
		identitytest.RunReaderRoles(t, func(t *testing.T, people ...identitytest.Person) identity.Reader {
			unit := seed(t, people...)
			c := config(directory, unit)
			c.Roles = ldap.Roles{Base: unit, Search: ldap.GroupSearch{Filter: "(objectClass=groupOfNames)"}}
			return open(t, c)
		})
	})
}

func logsIn(t *testing.T, s *ldap.Source, username string) identity.Account {
	t.Helper()
	account, err := s.Authenticate(t.Context(), username, password)
	if err != nil {
		t.Fatalf("Authenticate(%q): %v", username, err)
	}
	return account
}

func TestGroupsByName(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "alice", Password: password})
	directory.Apply(t, ldif("dn", "cn=staff,"+unit, "changetype", "add", "objectClass", "posixGroup", "cn", "staff",
		"gidNumber", "100", "memberUid", "alice"))
	c := config(directory, unit)
	c.Roles = ldap.Roles{Base: unit, Search: ldap.GroupSearch{Filter: "(objectClass=posixGroup)", Member: "memberUid", ByName: true}}
	if got := logsIn(t, open(t, c), "alice").Roles; !slices.Equal(got, []string{"staff"}) {
		t.Errorf("roles %q", got)
	}
}

// Only groups of the map count, by their DN, and only below the base: anybody may be allowed to make a group of the same
// name elsewhere.
func TestRoleMap(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "alice", Password: password, Roles: []string{"Admins", "others", "two words"}})
	elsewhere := newUnit(t, directory)
	directory.Apply(t, ldif("dn", "cn=reader,"+elsewhere, "changetype", "add", "objectClass", "groupOfNames", "cn", "reader",
		"member", dnOf(unit, "alice")))
	for name, c := range map[string]struct {
		roles ldap.Roles
		want  []string
	}{
		"names":             {ldap.Roles{Base: unit, Map: map[string]string{"admins": "admin", "reader": "reader"}}, []string{"admin"}},
		"DNs":               {ldap.Roles{Map: map[string]string{"CN=admins," + unit: "admin", "cn=reader," + unit: "reader"}}, []string{"admin"}},
		"several of one":    {ldap.Roles{Base: unit, Map: map[string]string{"admins": "b", "cn=Admins," + unit: "a"}}, []string{"a", "b"}},
		"no map":            {ldap.Roles{Base: unit}, []string{"Admins", "others"}},
		"no base":           {ldap.Roles{}, []string{"Admins", "others", "reader"}},
		"base of elsewhere": {ldap.Roles{Base: elsewhere}, []string{"reader"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := config(directory, unit)
			config.Roles = c.roles
			config.Roles.Attribute = "memberOf"
			if got := logsIn(t, open(t, config), "alice").Roles; !slices.Equal(got, c.want) {
				t.Errorf("roles %q, want %q", got, c.want)
			}
		})
	}
}

// The subject stays when the entry is renamed and moved, and is not that of a new entry with the same name.
func TestSubject(t *testing.T) {
	unit, elsewhere := seed(t, identitytest.Person{Username: "alice", Password: password}), newUnit(t, directory)
	c := config(directory, testenv.LDAPSuffix)
	c.Filter = "(&(objectClass=inetOrgPerson)(employeeNumber=" + unit + "))"
	directory.Apply(t, "dn: "+dnOf(unit, "alice")+"\nchangetype: modify\nadd: employeeNumber\nemployeeNumber: "+unit+"\n")
	s := open(t, c)
	alice := logsIn(t, s, "alice")
	directory.Apply(t, "dn: "+dnOf(unit, "alice")+"\nchangetype: modrdn\nnewrdn: uid=alicia\ndeleteoldrdn: 1\nnewsuperior: "+elsewhere+"\n")
	alicia := logsIn(t, s, "alicia")
	if alicia.Subject != alice.Subject || alicia.Username != "alicia" {
		t.Errorf("renamed, %+v is %+v", alice, alicia)
	}
	directory.Apply(t, person(unit, "alice", password, "employeeNumber", unit))
	if other := logsIn(t, s, "alice"); other.Subject == alice.Subject {
		t.Error("another entry has the subject of one that had its name before")
	}
	if _, err := s.Account(t.Context(), strings.ToUpper(alice.Subject)); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("another spelling of a subject: error %v, want ErrNotFound", err)
	}
	directory.Apply(t, "dn: "+dnOf(elsewhere, "alicia")+"\nchangetype: modify\ndelete: employeeNumber\n")
	if _, err := s.Account(t.Context(), alice.Subject); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("an entry that the filter does not find any more: error %v, want ErrNotFound", err)
	}
}

// Any of the attributes is the typed name. Two entries that go by one are both refused, rather than one taken for the
// other.
func TestLoginAttributes(t *testing.T) {
	unit := newUnit(t, directory)
	directory.Apply(t, person(unit, "alice", password, "mail", "alice@example.com")+
		person(unit, "bob", password, "mail", "trudy")+person(unit, "trudy", password))
	var log bytes.Buffer
	c := config(directory, unit)
	c.Login, c.Logger = []string{"uid", "mail"}, slog.New(slog.NewTextHandler(&log, nil))
	s := open(t, c)
	if a, b := logsIn(t, s, "alice"), logsIn(t, s, "Alice@example.com"); !reflect.DeepEqual(a, b) || a.Username != "alice" {
		t.Errorf("by uid %+v, by mail %+v", a, b)
	}
	logsIn(t, s, "bob")
	if _, err := s.Authenticate(t.Context(), "trudy", password); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("a name of two: error %v, want ErrInvalidCredentials", err)
	}
	if !strings.Contains(log.String(), "several entries") {
		t.Errorf("the log does not say why:\n%s", log.String())
	}
}

// The time of a password's change is the directory's own.
func TestPasswordChanged(t *testing.T) {
	unit := newUnit(t, directory)
	before := time.Now().Add(-2 * time.Second)
	directory.Apply(t, person(unit, "alice", password, "employeeNumber", "134116992000000000"))
	c := config(directory, unit)
	c.PasswordChanged = "pwdChangedTime"
	alice := logsIn(t, open(t, c), "alice")
	if alice.PasswordChangedAt.Before(before) || alice.PasswordChangedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("changed at %v, made at %v", alice.PasswordChangedAt, before)
	}
	c.PasswordChanged = "employeeNumber" // as Active Directory counts
	if got, want := logsIn(t, open(t, c), "alice").PasswordChangedAt, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("changed at %v, want %v", got, want)
	}
	c.PasswordChanged = "description"
	if got := logsIn(t, open(t, c), "alice").PasswordChangedAt; !got.IsZero() {
		t.Errorf("changed at %v, want a time that is not known", got)
	}
}

// A lock of the directory's password policy refuses the right password, and an administrator's lock, as a filter sees
// it, ends sessions too.
func TestPolicyLock(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "alice", Password: password})
	c := config(directory, unit)
	c.Disabled = "(pwdAccountLockedTime=000001010000Z)"
	s := open(t, c)
	alice := logsIn(t, s, "alice")
	directory.Apply(t, "dn: "+dnOf(unit, "alice")+"\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")
	if _, err := s.Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("locked, alice logs in: %v", err)
	}
	if account, err := s.Account(t.Context(), alice.Subject); err != nil || !account.Disabled {
		t.Errorf("locked, Account = %+v, %v", account, err)
	}
}

// requests returns what the directory was asked during f, without what differs by the name.
func requests(t *testing.T, f func()) (list []string) {
	t.Helper()
	from := len(directory.Log())
	f()
	for _, line := range directory.Log()[from:] {
		for _, kind := range []string{"SRCH base=", "BIND dn=", "ADD ", "MOD ", "CMP "} {
			if i := strings.Index(line, " "+kind); i >= 0 {
				kind, _, _ = strings.Cut(line[i+1:], "\"")
				list = append(list, kind)
			}
		}
	}
	return list
}

// Whoever is refused, the directory is asked the same.
func TestSameWork(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "alice", Password: password}, identitytest.Person{Username: "bob", Password: password, Disabled: true},
		identitytest.Person{Username: "carol"})
	s := open(t, config(directory, unit))
	refuse := func(username, password string) func() {
		return func() {
			if _, err := s.Authenticate(t.Context(), username, password); !errors.Is(err, identity.ErrInvalidCredentials) {
				t.Errorf("Authenticate(%q): %v", username, err)
			}
		}
	}
	refuse("alice", "wrong")() // connects
	want := requests(t, refuse("alice", "wrong"))
	if len(want) < 3 {
		t.Fatalf("a wrong password asks the directory %q", want)
	}
	for name, login := range map[string][2]string{
		"unknown": {"mallory", password}, "disabled": {"bob", password}, "disabled, wrong": {"bob", "wrong"}, "no password": {"carol", password},
	} {
		if got := requests(t, refuse(login[0], login[1])); !slices.Equal(got, want) {
			t.Errorf("%s asks the directory %q, a wrong password %q", name, got, want)
		}
	}
	for _, username := range []string{"alice", "mallory"} {
		if got := requests(t, refuse(username, "")); len(got) > 0 {
			t.Errorf("an empty password of %s asks the directory %q", username, got)
		}
	}
}

// The decoy is bound as, never let in: not even with its own password.
func TestDecoy(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "decoy", Password: "its own password"})
	c := config(directory, unit)
	c.Filter, c.Decoy = "(&(objectClass=inetOrgPerson)(!(uid=decoy)))", dnOf(unit, "decoy")
	s := open(t, c)
	from := len(directory.Log())
	if account, err := s.Authenticate(t.Context(), "mallory", "its own password"); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("Authenticate = %+v, %v", account, err)
	}
	if log := strings.Join(directory.Log()[from:], "\n"); !strings.Contains(log, `BIND dn="uid=decoy,`) {
		t.Errorf("no bind as the decoy:\n%s", log)
	}
}

func certificates(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return pool
}

func TestTLS(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "alice", Password: password})
	for name, change := range map[string]func(*ldap.Config){
		"ldaps":    func(c *ldap.Config) { c.URLs = []string{"ldaps://" + directory.AddrTLS} },
		"StartTLS": func(c *ldap.Config) { c.StartTLS = true },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(directory, unit)
			change(&c)
			from := len(directory.Log())
			stranger := open(t, c)
			if _, err := stranger.Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrUnavailable) {
				t.Errorf("with a certificate of an unknown authority: error %v, want ErrUnavailable", err)
			}
			if log := strings.Join(directory.Log()[from:], "\n"); strings.Contains(log, "BIND") {
				t.Errorf("a server that is not known was sent a password:\n%s", log)
			}
			c.CA = certificates(t, directory.CA)
			s := open(t, c)
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			logsIn(t, s, "alice")
			if log := strings.Join(directory.Log()[from:], "\n"); !strings.Contains(log, "TLS established") {
				t.Errorf("the server does not know of TLS:\n%s", log)
			}
		})
	}
}

// What will not get better by itself is told from what may.
func TestPing(t *testing.T) {
	unit := newUnit(t, directory)
	if err := open(t, config(directory, unit)).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		change      func(*ldap.Config)
		want        string
		unavailable bool
	}{
		"wrong password": {func(c *ldap.Config) { c.BindPassword = "s3cr3t" }, "bind_dn", false},
		"no such base":   {func(c *ldap.Config) { c.Base = "ou=nowhere," + testenv.LDAPSuffix }, "base", false},
		"nobody there":   {func(c *ldap.Config) { c.URLs = []string{"ldap://127.0.0.1:1"} }, "127.0.0.1:1", true},
	} {
		t.Run(name, func(t *testing.T) {
			config := config(directory, unit)
			c.change(&config)
			s := open(t, config)
			err := s.Ping(t.Context())
			if err == nil || errors.Is(err, identity.ErrUnavailable) != c.unavailable || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Ping: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error has the password: %v", err)
			}
			if c.want == "base" {
				return
			}
			if _, err := s.Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, identity.ErrInvalidCredentials) {
				t.Errorf("Authenticate: error %v, want ErrUnavailable", err)
			}
		})
	}
}

// A user without what makes an account cannot log in; with the wrong password nobody hears of that.
func TestEntryWithoutSubject(t *testing.T) {
	c := config(directory, seed(t, identitytest.Person{Username: "alice", Password: password}))
	c.Subject = "employeeNumber"
	s := open(t, c)
	_, err := s.Authenticate(t.Context(), "alice", password)
	if !errors.Is(err, identity.ErrUnavailable) || !strings.Contains(err.Error(), "employeeNumber") {
		t.Errorf("error %v, want ErrUnavailable that names the attribute", err)
	}
	if _, err := s.Authenticate(t.Context(), "alice", "wrong"); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("with a wrong password: %v", err)
	}
}

// recovers waits until logins work. Until then the directory is unavailable, and nothing else.
func recovers(t *testing.T, s *ldap.Source) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := s.Authenticate(t.Context(), "alice", password)
		if err == nil {
			return
		}
		if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Authenticate: error %v, want ErrUnavailable until it recovers", err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("has not recovered: %v", err)
		}
	}
}

func isUnavailable(t *testing.T, s *ldap.Source, subject string) {
	t.Helper()
	var wg sync.WaitGroup // all at once, as they may have to wait for a timeout
	defer wg.Wait()
	for name, call := range map[string]func() error{
		"Authenticate": func() error { _, err := s.Authenticate(t.Context(), "alice", password); return err },
		"Account":      func() error { _, err := s.Account(t.Context(), subject); return err },
		"Get":          func() error { _, err := s.Get(t.Context(), "alice"); return err },
		"List":         func() error { _, err := s.List(t.Context(), "", 0); return err },
		"Ping":         func() error { return s.Ping(t.Context()) },
	} {
		wg.Go(func() {
			if err := call(); !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: error %v, want ErrUnavailable before the caller's time is up", name, err)
			}
		})
	}
}

func TestOutages(t *testing.T) {
	server := testenv.NewLDAP(t)
	unit := newUnit(t, server)
	server.Apply(t, person(unit, "alice", password))
	proxy := testenv.NewProxy(t, server.Addr)
	c := config(server, unit)
	c.URLs, c.Timeout = []string{"ldap://" + proxy.Addr}, 8*time.Second
	s := open(t, c)
	alice := logsIn(t, s, "alice")

	for range 3 { // connections that died while they were idle are not noticed
		proxy.Cut()
		logsIn(t, s, "alice")
	}
	server.Stop()
	isUnavailable(t, s, alice.Subject)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	recovers(t, s)

	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	isUnavailable(t, s, alice.Subject)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Authenticate(ctx, "alice", password); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("when the caller's time is up: error %v", err)
	}
	server.Thaw()
	recovers(t, s)
	if again := logsIn(t, s, "alice"); again.Subject != alice.Subject {
		t.Errorf("after all that alice is %q, not %q", again.Subject, alice.Subject)
	}
}

// With several servers, one that is down or frozen is gone round.
func TestFailover(t *testing.T) {
	first := testenv.NewLDAP(t)
	unit := seed(t, identitytest.Person{Username: "alice", Password: password})
	c := config(directory, unit)
	c.URLs, c.Timeout = []string{"ldap://" + first.Addr, "ldap://" + directory.Addr}, 12*time.Second
	if err := first.Freeze(); err != nil {
		t.Fatal(err)
	}
	logsIn(t, open(t, c), "alice")
	first.Thaw()
	first.Stop()
	logsIn(t, open(t, c), "alice")
}

// No more connections are made than are allowed, however many ask.
func TestConnectionsAreBounded(t *testing.T) {
	unit := seed(t, identitytest.Person{Username: "alice", Password: password})
	c := config(directory, unit)
	c.Connections, c.Timeout = 2, time.Minute
	s := open(t, c)
	from := len(directory.Log())
	done := make(chan error)
	for range 40 {
		go func() { _, err := s.Authenticate(t.Context(), "alice", password); done <- err }()
	}
	for range 40 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(strings.Join(directory.Log()[from:], "\n"), " ACCEPT from "); n > 2+2+1 {
		t.Errorf("%d connections, allowed are 2 for searches, 2 for binds, and one is of Log", n)
	}
}

func TestClose(t *testing.T) {
	s := open(t, config(directory, seed(t, identitytest.Person{Username: "alice", Password: password})))
	logsIn(t, s, "alice")
	_ = s.Close()
	if _, err := s.Authenticate(t.Context(), "alice", password); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("after Close: error %v, want ErrUnavailable", err)
	}
}
