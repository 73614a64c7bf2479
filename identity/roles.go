package identity

import (
	"errors"
	"fmt"
	"slices"
)

// ErrRoles means that an account cannot have these roles; the error's text says why.
var ErrRoles = errors.New("roles not accepted")

const (
	maxRoles      = 64 // they travel in every token
	maxRoleLength = 64
)

// NormalizeRoles returns the roles sorted and each once; nil when there are none. A role is 1 to 64 printable ASCII
// characters without space, quote or backslash, as in an OAuth scope (RFC 6749 section 3.3). The error wraps ErrRoles.
func NormalizeRoles(roles []string) ([]string, error) {
	for _, role := range roles {
		if role == "" || len(role) > maxRoleLength {
			return nil, fmt.Errorf("%w: a role has 1 to %d characters", ErrRoles, maxRoleLength)
		}
		for _, c := range []byte(role) {
			if c <= ' ' || c > '~' || c == '"' || c == '\\' {
				return nil, fmt.Errorf("%w: %q has a character that roles may not have", ErrRoles, role)
			}
		}
	}
	if len(roles) == 0 {
		return nil, nil
	}
	roles = slices.Clone(roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) > maxRoles {
		return nil, fmt.Errorf("%w: %d are too many, at most %d", ErrRoles, len(roles), maxRoles)
	}
	return roles, nil
}
