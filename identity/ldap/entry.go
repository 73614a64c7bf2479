package ldap

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/authd-project/authd/identity"
)

// entry is a user in the directory.
type entry struct {
	*goldap.Entry
	disabled bool
}

// noAttributes asks for entries without what is in them (RFC 4511 section 4.5.1.8).
const noAttributes = "1.1"

// attributes are those of a user that mean something here.
func (c Config) attributes() []string {
	names := []string{c.Subject, c.Username, attrCreated, attrModified}
	for _, n := range []string{c.PasswordChanged, c.Roles.Attribute} {
		if n != "" {
			names = append(names, n)
		}
	}
	return names
}

func (s *Source) request(base string, scope, sizeLimit int, filter string, attributes ...string) *goldap.SearchRequest {
	return goldap.NewSearchRequest(base, scope, goldap.NeverDerefAliases, sizeLimit, 0, false, filter, attributes, nil)
}

// search returns what the directory finds. More than the request's limit is not an error.
func (s *Source) search(ctx context.Context, request *goldap.SearchRequest) ([]*goldap.Entry, error) {
	var result *goldap.SearchResult
	err := s.searches.do(ctx, func(c *goldap.Conn) (err error) {
		result, err = c.Search(request)
		return err
	})
	if goldap.IsErrorWithCode(err, goldap.LDAPResultSizeLimitExceeded) && result != nil && len(result.Entries) == request.SizeLimit {
		err = nil
	}
	if err != nil {
		return nil, unavailable(ctx, "searching", err)
	}
	return result.Entries, nil
}

// find returns the user whom a filter finds; nil when it is none. If it is not one alone, nobody can say who is meant: the
// first is returned, as disabled.
func (s *Source) find(ctx context.Context, filter string) (*entry, error) {
	filter = both(s.c.Filter, filter)
	found, err := s.search(ctx, s.request(s.c.Base, goldap.ScopeWholeSubtree, 2, filter, s.c.attributes()...))
	if err != nil {
		return nil, err
	}
	var disabled []*goldap.Entry
	if s.c.Disabled != "" {
		filter = both(filter, s.c.Disabled)
		disabled, err = s.search(ctx, s.request(s.c.Base, goldap.ScopeWholeSubtree, 2, filter, noAttributes))
		if err != nil {
			return nil, err
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &entry{found[0], len(disabled) > 0}, nil
	}
	s.log.ErrorContext(ctx, "several entries go by one name, none of them can log in", "dn", found[0].DN, "other", found[1].DN)
	return &entry{found[0], true}, nil
}

// named is an entry with the name under which it is listed.
type named struct {
	name  string
	entry *entry
}

// all returns all users. Those whose name authd cannot take are left out: they cannot log in.
func (s *Source) all(ctx context.Context) ([]named, error) {
	filter := both(s.c.Filter, present(s.c.Username))
	found, err := s.searchPaged(ctx, s.request(s.c.Base, goldap.ScopeWholeSubtree, 0, filter, s.c.attributes()...))
	if err != nil {
		return nil, err
	}
	disabled := map[string]bool{}
	if s.c.Disabled != "" {
		entries, err := s.searchPaged(ctx, s.request(s.c.Base, goldap.ScopeWholeSubtree, 0, both(filter, s.c.Disabled), noAttributes))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			disabled[e.DN] = true
		}
	}
	users := make([]named, 0, len(found))
	for _, e := range found {
		name, err := identity.NormalizeUsername(e.GetEqualFoldAttributeValue(s.c.Username))
		if err == nil && s.c.subjectOf(e) != "" {
			users = append(users, named{name, &entry{e, disabled[e.DN]}})
		}
	}
	return users, nil
}

// searchPaged is search for any number of entries (RFC 2696).
func (s *Source) searchPaged(ctx context.Context, request *goldap.SearchRequest) ([]*goldap.Entry, error) {
	const page = 500
	var result *goldap.SearchResult
	err := s.searches.do(ctx, func(c *goldap.Conn) (err error) {
		result, err = c.SearchWithPaging(request, page)
		return err
	})
	switch {
	case goldap.IsErrorAnyOf(err, goldap.LDAPResultSizeLimitExceeded, goldap.LDAPResultAdminLimitExceeded, goldap.LDAPResultUnavailableCriticalExtension):
		return nil, fmt.Errorf("%w: the directory refuses to show them all", identity.ErrNotListed)
	case err != nil:
		return nil, unavailable(ctx, "listing", err)
	}
	return result.Entries, nil
}

// subjectOf returns the subject of an entry; empty when it has none.
func (c Config) subjectOf(e *goldap.Entry) string {
	if !strings.EqualFold(c.Subject, attrGUID) {
		return e.GetEqualFoldAttributeValue(c.Subject)
	}
	guid := e.GetEqualFoldRawAttributeValue(c.Subject)
	if len(guid) != guidSize {
		return ""
	}
	return formatGUID(guid)
}

// subjectValue returns the value of the attribute for a subject; not ok when no entry can have it.
func (c Config) subjectValue(subject string) (value string, ok bool) {
	if !strings.EqualFold(c.Subject, attrGUID) {
		return subject, subject != "" && utf8.ValidString(subject) && !strings.Contains(subject, "\x00")
	}
	guid, err := parseGUID(subject)
	return string(guid), err == nil
}

const guidSize = 16 // bytes

// formatGUID writes a GUID as Microsoft's tools do: the first three of its fields are little-endian.
func formatGUID(b []byte) string {
	b = mixed(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func parseGUID(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != guidSize {
		return nil, errors.New("not a GUID")
	}
	return mixed(b), nil
}

// mixed turns the byte order of a GUID's first three fields around.
func mixed(b []byte) []byte {
	b = bytes.Clone(b)
	for _, field := range [][]byte{b[:4], b[4:6], b[6:8]} {
		slices.Reverse(field)
	}
	return b
}

// parseFileTime reads a count of 100 ns since 1601, in which 0 means never.
func parseFileTime(text string) time.Time {
	const since1601 = 116444736000000000 // until 1970
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= since1601 || n > since1601+1<<57 {
		return time.Time{}
	}
	return time.Unix(0, (n-since1601)*100).UTC()
}
