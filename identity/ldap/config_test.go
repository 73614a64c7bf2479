package ldap_test

import (
	"strings"
	"testing"

	"github.com/authd-project/authd/identity/ldap"
)

// Every problem is reported at once, with the name of the setting, and no secret with it.
func TestValidate(t *testing.T) {
	const secret = "s3cr3t"
	good := ldap.Config{URLs: []string{"ldaps://ldap.example.com"}, Base: "dc=example,dc=com"}
	if err := good.Validate(); err != nil {
		t.Errorf("the least that is needed: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*ldap.Config)
		want   []string
	}{
		"nothing":              {func(c *ldap.Config) { *c = ldap.Config{} }, []string{"url: required", "base: required"}},
		"clear text":           {func(c *ldap.Config) { c.URLs = []string{"ldap://ldap.example.com"} }, []string{"url ", "in clear"}},
		"TLS twice":            {func(c *ldap.Config) { c.StartTLS = true }, []string{"start_tls"}},
		"another scheme":       {func(c *ldap.Config) { c.URLs = []string{"https://u:" + secret + "@ldap.example.com"} }, []string{"url: want ldaps://"}},
		"user in the URL":      {func(c *ldap.Config) { c.URLs = []string{"ldaps://u:" + secret + "@ldap.example.com"} }, []string{"url ", "end with the host"}},
		"base in the URL":      {func(c *ldap.Config) { c.URLs = []string{"ldaps://ldap.example.com/dc=example"} }, []string{"url ", "end with the host"}},
		"socket":               {func(c *ldap.Config) { c.URLs = []string{"ldapi://run/ldapi"} }, []string{"url ", "%2F"}},
		"DN without password":  {func(c *ldap.Config) { c.BindDN = "cn=authd" }, []string{"bind_dn and bind_password_file"}},
		"password without DN":  {func(c *ldap.Config) { c.BindPassword = secret }, []string{"bind_dn and bind_password_file"}},
		"DN as subject":        {func(c *ldap.Config) { c.Subject = "entrydn" }, []string{"subject: a DN changes"}},
		"not DNs":              {func(c *ldap.Config) { c.Base, c.BindDN, c.Decoy = "a", "b", "c" }, []string{`base "a"`, `bind_dn "b"`, `decoy "c"`}},
		"not filters":          {func(c *ldap.Config) { c.Filter, c.Disabled = "a=b", "(a=b" }, []string{`filter "a=b"`, `disabled "(a=b"`}},
		"two filters in one":   {func(c *ldap.Config) { c.Filter = "(a=b)(c=d)" }, []string{`filter "(a=b)(c=d)"`}},
		"not attributes":       {func(c *ldap.Config) { c.Login, c.Username = []string{"uid", "a=*)(b"}, "a b" }, []string{`login "a=*)(b"`, `username "a b"`}},
		"attribute and search": {func(c *ldap.Config) { c.Roles.Attribute, c.Roles.Search.Filter = "memberOf", "(a=b)" }, []string{"roles: want attribute or search", "roles: base: required"}},
		"map of nothing":       {func(c *ldap.Config) { c.Roles.Map = map[string]string{"cn=a": "b"} }, []string{"roles: map"}},
		"map without base": {func(c *ldap.Config) {
			c.Roles = ldap.Roles{Attribute: "memberOf", Map: map[string]string{"admins": "b"}}
		}, []string{`roles: map: "admins"`}},
		"member":  {func(c *ldap.Config) { c.Roles.Search.Member = "member:1.2" }, []string{"roles: search: member"}},
		"numbers": {func(c *ldap.Config) { c.Timeout, c.Connections = -1, -1 }, []string{"timeout", "connections"}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			c.change(&bad)
			err := bad.Validate()
			if err == nil {
				t.Fatal("no error")
			}
			if _, err := ldap.New(bad); err == nil {
				t.Error("New takes it")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not mention %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error has the secret: %v", err)
			}
		})
	}
	for name, change := range map[string]func(*ldap.Config){
		"loopback":      func(c *ldap.Config) { c.URLs = []string{"ldap://127.0.0.1:389", "ldap://localhost", "ldap://[::1]"} },
		"socket":        func(c *ldap.Config) { c.URLs = []string{"ldapi://%2Frun%2Fslapd%2Fldapi"} },
		"nested groups": func(c *ldap.Config) { c.Roles.Search.Member = "member:1.2.840.113556.1.4.1941:" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
