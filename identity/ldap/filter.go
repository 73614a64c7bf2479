package ldap

import (
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// equals is the filter of entries whose attribute has a value. What comes from outside enters a filter here and nowhere
// else, escaped (RFC 4515 section 3): it can be nothing but a value. The attribute is the configuration's.
func equals(attribute, value string) string {
	return "(" + attribute + "=" + goldap.EscapeFilter(value) + ")"
}

// present is the filter of entries that have an attribute.
func present(attribute string) string { return "(" + attribute + "=*)" }

// anyOf is the filter of entries one of whose attributes has a value.
func anyOf(attributes []string, value string) string {
	if len(attributes) == 1 {
		return equals(attributes[0], value)
	}
	var b strings.Builder
	b.WriteString("(|")
	for _, a := range attributes {
		b.WriteString(equals(a, value))
	}
	b.WriteString(")")
	return b.String()
}

// both is the filter of entries that all of the filters find.
func both(filters ...string) string { return "(&" + strings.Join(filters, "") + ")" }
