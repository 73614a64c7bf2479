package ldap

import (
	"context"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/authd-project/authd/identity"
)

// maxGroups bounds what is read of one user's groups.
const maxGroups = 2000

// group is one that a user is in. Its dn is nil where the directory gave a name alone.
type group struct {
	name string
	dn   *goldap.DN
}

// roles returns the roles of a user.
func (s *Source) roles(ctx context.Context, e *entry) ([]string, error) {
	groups, err := s.groups(ctx, e)
	if err != nil {
		return nil, err
	}
	base, err := goldap.ParseDN(s.c.Roles.Base)
	if err != nil {
		return nil, err // validated
	}
	var roles []string
	for _, g := range groups {
		below := g.dn != nil && base.AncestorOfFold(g.dn)
		if s.c.Roles.Base != "" && !below {
			continue
		}
		roles = append(roles, s.c.Roles.of(g)...)
	}
	return roles, nil
}

// of returns what a group means.
func (r Roles) of(g group) (roles []string) {
	if len(r.Map) == 0 {
		if _, err := identity.NormalizeRoles([]string{g.name}); err != nil {
			return nil
		}
		return []string{g.name}
	}
	for key, role := range r.Map {
		dn, err := goldap.ParseDN(key)
		if r.Base != "" && strings.EqualFold(key, g.name) || err == nil && g.dn != nil && dn.EqualFold(g.dn) {
			roles = append(roles, role)
		}
	}
	return roles
}

func (s *Source) groups(ctx context.Context, e *entry) ([]group, error) {
	r := s.c.Roles
	if r.Attribute != "" {
		var groups []group
		for _, value := range e.GetEqualFoldAttributeValues(r.Attribute) {
			groups = append(groups, groupOf(value))
		}
		return groups, nil
	}
	if r.Search.Filter == "" {
		return nil, nil
	}
	member := e.DN
	if r.Search.ByName {
		member = e.GetEqualFoldAttributeValue(s.c.Username)
	}
	filter := both(r.Search.Filter, equals(r.Search.Member, member))
	found, err := s.search(ctx, s.request(r.Base, goldap.ScopeWholeSubtree, maxGroups, filter, r.Search.Name))
	if err != nil {
		return nil, err
	}
	var groups []group
	for _, f := range found {
		g := groupOf(f.DN)
		g.name = f.GetEqualFoldAttributeValue(r.Search.Name)
		groups = append(groups, g)
	}
	return groups, nil
}

// groupOf reads a value of memberOf: a DN, which begins with the group's name, or the name alone.
func groupOf(value string) group {
	dn, err := goldap.ParseDN(value)
	if err != nil || len(dn.RDNs) == 0 {
		return group{name: value}
	}
	return group{name: dn.RDNs[0].Attributes[0].Value, dn: dn}
}
