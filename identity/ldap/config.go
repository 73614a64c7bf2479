package ldap

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// Config says how to reach a directory, and what its entries mean. [Config.Validate] names its fields as files of settings
// do: BindDN is bind_dn.
type Config struct {
	// URLs are those of servers that hold the same: ldaps://HOST, ldap://HOST or ldapi://SOCKET with / as %2F. The one that
	// answered last is asked first.
	URLs []string
	// StartTLS turns ldap:// connections into TLS before anything else. Without it ldap:// is for loopback only.
	StartTLS bool
	CA       *x509.CertPool // of the servers' certificates; default: the system's

	BindDN       string // authd's own account, which may read; empty: anonymous
	BindPassword string

	Base   string   // the entry below which the users are
	Filter string   // which entries are users; default (objectClass=person)
	Login  []string // attributes one of which is the typed name; default uid

	Subject         string // attribute that stays with the entry for good; default entryUUID
	Username        string // attribute; default the first of Login
	PasswordChanged string // attribute with the time, such as pwdChangedTime or pwdLastSet; default: not known
	Disabled        string // filter of the users who may not log in; default: none
	Roles           Roles

	// Decoy is the DN with which a bind is tried for names that nobody has. A directory refuses one that does not exist a
	// little sooner than a wrong password, by the work of a hash: an entry that has a password of the same kind as users
	// have, which nobody knows, makes that equal. Default: one that does not exist.
	Decoy string

	Timeout     time.Duration // of each request, with the wait for a connection; default 5 s
	Connections int           // at most, for searches and again for binds; default 8

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: discard
}

// Roles say which groups make which roles. The zero value gives none.
type Roles struct {
	// Attribute of a user holds the groups, as DNs or names: memberOf. Or:
	Attribute string
	// Search finds them.
	Search GroupSearch
	// Base is the entry below which groups must be to count; with Search, where they are searched. Without it everybody
	// who can make a group anywhere in the directory can give it the name of a role.
	Base string
	// Map gives the role of a group, which is named by its DN, or by its name where Base is set. Groups that are not in it
	// count for nothing. Without a map the group's name is the role; names that cannot be roles count for nothing.
	Map map[string]string
}

// GroupSearch is how groups are found that name their members.
type GroupSearch struct {
	Filter string // which entries are groups: (objectClass=groupOfNames); empty: no search
	Member string // attribute with the members; default member
	ByName bool   // the members are usernames, as in memberUid, and not DNs
	Name   string // attribute with the group's name; default cn
}

const (
	attrCreated, attrModified = "createTimestamp", "modifyTimestamp"
	attrGUID                  = "objectGUID"
)

func (c Config) withDefaults() Config {
	c.Filter = cmp.Or(c.Filter, "(objectClass=person)")
	if len(c.Login) == 0 {
		c.Login = []string{"uid"}
	}
	c.Subject = cmp.Or(c.Subject, "entryUUID")
	c.Username = cmp.Or(c.Username, c.Login[0])
	c.Decoy = cmp.Or(c.Decoy, "cn=authd-decoy,"+c.Base)
	c.Roles.Search.Member = cmp.Or(c.Roles.Search.Member, "member")
	c.Roles.Search.Name = cmp.Or(c.Roles.Search.Name, "cn")
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Connections = cmp.Or(c.Connections, 8)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every problem at once, each with the name of the setting to change.
func (c Config) Validate() error {
	c = c.withDefaults()
	problems := []error{
		require(len(c.URLs) > 0, "url: required, such as ldaps://ldap.example.com"),
		require(c.Base != "", "base: required: the entry below which the users are"),
		dn("base", c.Base), dn("bind_dn", c.BindDN), dn("decoy", c.Decoy),
		require((c.BindDN == "") == (c.BindPassword == ""), "bind_dn and bind_password_file: want both, or none for anonymous searches"),
		filter("filter", c.Filter),
		filter("disabled", c.Disabled),
		attribute("subject", c.Subject),
		require(!isDN(c.Subject), "subject: a DN changes when its entry is moved or renamed; want entryUUID or objectGUID"),
		attribute("username", c.Username),
		attribute("password_changed", c.PasswordChanged),
		require(c.Timeout > 0, "timeout %v: must be above 0", c.Timeout),
		require(c.Connections > 0, "connections %d: must be above 0", c.Connections),
		c.Roles.validate(),
	}
	for _, name := range c.Login {
		problems = append(problems, require(name != "", "login: an attribute has no name"), attribute("login", name))
	}
	for _, u := range c.URLs {
		problems = append(problems, c.checkURL(u))
	}
	return errors.Join(problems...)
}

func (r Roles) validate() error {
	problems := []error{
		require(r.Attribute == "" || r.Search.Filter == "", "roles: want attribute or search, not both"),
		require(len(r.Map) == 0 || r.Attribute != "" || r.Search.Filter != "", "roles: map: want attribute or search with it"),
		require(r.Search.Filter == "" || r.Base != "", "roles: base: required with search"),
		attribute("roles: attribute", r.Attribute),
		filter("roles: search: filter", r.Search.Filter),
		matching("roles: search: member", r.Search.Member),
		attribute("roles: search: name", r.Search.Name),
		dn("roles: base", r.Base),
	}
	for group := range r.Map {
		if _, err := goldap.ParseDN(group); err != nil && r.Base == "" {
			problems = append(problems, fmt.Errorf("roles: map: %q: want the group's DN, or set base: "+
				"a group of that name anywhere in the directory would do", group))
		}
	}
	return errors.Join(problems...)
}

func (c Config) checkURL(text string) error {
	if socket, ok := strings.CutPrefix(text, "ldapi://"); ok {
		path, err := url.PathUnescape(socket)
		return require(err == nil && strings.HasPrefix(path, "/"), "url %q: want ldapi:// and the socket's path with / as %%2F", text)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "":
		return errors.New("url: want ldaps://HOST, ldap://HOST or ldapi://SOCKET") // quoting nothing: it may hold a password
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("url %s://%s: must end with the host and port", u.Scheme, u.Host)
	case u.Scheme == "ldaps" && c.StartTLS:
		return fmt.Errorf("url %q: is TLS already, leave start_tls out or use ldap://", text)
	case u.Scheme == "ldap" && !c.StartTLS && !loopback(u.Hostname()):
		return fmt.Errorf("url %q: passwords would cross the network in clear; want ldaps:// or start_tls", text)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func require(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func dn(key, value string) error {
	_, err := goldap.ParseDN(value)
	return require(err == nil, "%s %q: not a distinguished name such as ou=people,dc=example,dc=com", key, value)
}

func filter(key, value string) error {
	if value == "" {
		return nil
	}
	if _, err := goldap.CompileFilter(value); err != nil {
		return fmt.Errorf("%s %q: not a filter such as (objectClass=person): %w", key, value, err)
	}
	return nil
}

func attribute(key, value string) error {
	name := regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*$`)
	return require(value == "" || name.MatchString(value), "%s %q: not the name of an attribute", key, value)
}

// matching is an attribute that may be followed by a matching rule (RFC 4515 section 3), as for nested groups.
func matching(key, value string) error {
	name, rule, ruled := strings.Cut(value, ":")
	if rule, closed := strings.CutSuffix(rule, ":"); ruled {
		return errors.Join(require(closed, "%s %q: a matching rule ends with a colon", key, value), attribute(key, name), attribute(key, rule))
	}
	return attribute(key, name)
}

func isDN(attribute string) bool {
	return slices.ContainsFunc([]string{"dn", "entryDN", "distinguishedName"}, func(n string) bool { return strings.EqualFold(n, attribute) })
}

// bounded returns a context for one request.
func (c Config) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.Timeout, errNoAnswer)
}
