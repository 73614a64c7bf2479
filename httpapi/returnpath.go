package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReturnPath bounds where a login may lead, in bytes. An authorization request must fit.
const maxReturnPath = 4096

// knownReturns are this server's own paths that a login may lead to.
func knownReturns() []string {
	return []string{pathAccount, pathFactors, pathFactors + "/app", pathFactors + "/passkey", pathPassword, "/oauth2/authorize"}
}

// ownPage tells whether a path, as [public.returnPath] gives it, is a page that leads to no other origin.
func ownPage(target string) bool {
	target, _, _ = strings.Cut(target, "?")
	return target == pathAccount || strings.HasPrefix(target, pathAccount+"/")
}

// returnPath returns where a login may lead: a path that this server knows, or one below [PublicConfig].ReturnTo, together
// with its query. Whatever else it was asked for, which may be a way to another site, leads to the account.
func (p *public) returnPath(asked string) string {
	target, query, hasQuery := strings.Cut(asked, "?")
	if len(asked) > maxReturnPath || strings.ContainsFunc(asked, oddInURL) || !p.returns(target) {
		return pathAccount
	}
	if hasQuery {
		return target + "?" + query
	}
	return target
}

// oddInURL finds what no URL has as it is, and browsers read in their own ways.
func oddInURL(r rune) bool {
	return r <= 0x20 || r >= 0x7F || strings.ContainsRune("\\#\"'<>`{}|^", r)
}

func (p *public) returns(target string) bool {
	for _, known := range knownReturns() {
		if target == known {
			return true
		}
	}
	plain, ok := plainPath(target)
	if !ok || plain == pathLogin || plain == pathLogout {
		return false
	}
	for _, below := range p.cfg.ReturnTo {
		if strings.HasPrefix(target, below) && strings.HasPrefix(plain, below) {
			return true
		}
	}
	return false
}

// plainPath decodes a path that means the same to everybody who reads it: rooted, without empty or dotted elements, and
// without anything escaped that would be a separator or a control character.
func plainPath(raw string) (plain string, ok bool) {
	plain, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(plain) || strings.Count(plain, "/") != strings.Count(raw, "/") {
		return "", false
	}
	if strings.ContainsFunc(plain, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return "", false
	}
	cleaned := path.Clean(plain)
	return plain, strings.HasPrefix(plain, "/") && (plain == cleaned || cleaned != "/" && plain == cleaned+"/")
}

// validateReturnTo reports every prefix that is none.
func (c PublicConfig) validateReturnTo() error {
	var problems []error
	for _, below := range c.ReturnTo {
		if err := CheckReturnTo(below); err != nil {
			problems = append(problems, fmt.Errorf("return to %q: %w", below, err))
		}
	}
	return errors.Join(problems...)
}

// CheckReturnTo says whether a login may lead to the paths below this one; see [PublicConfig].ReturnTo.
func CheckReturnTo(below string) error {
	plain, ok := plainPath(below)
	if !ok || plain != below || !strings.HasSuffix(below, "/") || strings.ContainsFunc(below, oddInURL) {
		return errors.New("must be a path that begins and ends with a slash, such as /shop/")
	}
	return nil
}
