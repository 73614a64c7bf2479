package testenv_test

import (
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/authd-project/authd/internal/testenv"
)

func TestLDAP(t *testing.T) {
	server := testenv.NewLDAP(t)
	server.Apply(t, "dn: cn=kept,"+testenv.LDAPSuffix+"\nchangetype: add\nobjectClass: applicationProcess\n")
	connect := func() *goldap.Conn {
		t.Helper()
		c, err := goldap.DialURL("ldap://" + server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	look := goldap.NewSearchRequest("cn=kept,"+testenv.LDAPSuffix, goldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil, nil)

	server.Stop()
	server.Stop()
	if c, err := goldap.DialURL("ldap://" + server.Addr); err == nil {
		t.Error("a server that was stopped answers")
		_ = c.Close()
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := connect().Search(look); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if log := strings.Join(server.Log(), "\n"); !strings.Contains(log, "SRCH base=\"cn=kept,") {
		t.Errorf("the log does not tell of the search:\n%s", log)
	}

	c := connect()
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() { _, err := c.Search(look); answered <- err }()
	select {
	case <-answered:
		t.Error("a frozen server answers")
	case <-time.After(100 * time.Millisecond): // a running one would have
		server.Thaw()
		if err := <-answered; err != nil {
			t.Errorf("after the thaw: %v", err)
		}
	}
}
